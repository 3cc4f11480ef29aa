//go:build linux

package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// table is what our table of nftables is called inside; outside, the owner's
// name follows.
const table = "slipway"

// toLoopback lets connections to the port reach 127.0.0.1, in the namespace
// that the thread is in. An app that listens on that address alone, and by its
// fixed port needs nothing else, could not be reached otherwise.
func toLoopback(port int) error {
	if err := os.WriteFile("/proc/sys/net/ipv4/conf/"+inner+"/route_localnet", []byte("1"), 0); err != nil {
		return fmt.Errorf("reach the loopback inside: %w", err)
	}
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("reach the loopback inside: %w", err)
	}
	t := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: table})
	chain := c.AddChain(&nftables.Chain{
		Name: "prerouting", Table: t, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest,
	})
	c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, uint16(port))},
		&expr.Immediate{Register: 1, Data: net.IPv4(127, 0, 0, 1).To4()},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1},
	}})
	if err := c.Flush(); err != nil {
		return fmt.Errorf("reach the loopback inside: %w", err)
	}
	return nil
}

// Outbound keeps namespaces from each other, and lets them reach what is beyond
// this machine. An error says why they do not; it is no fault of theirs, and to
// be told the owner once. It may be called again at any time.
func (n *Networks) Outbound() error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("translate addresses of network namespaces: %w", err)
	}
	t := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: n.table})
	c.DelTable(t) // what an earlier life left, in the same transaction
	c.AddTable(t)
	ours := []byte(linkPrefix) // shorter than a name: all that begin so
	forward := c.AddChain(&nftables.Chain{
		Name: "forward", Table: t, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	c.AddRule(&nftables.Rule{Table: t, Chain: forward, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: ours},
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: ours},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	leave := c.AddChain(&nftables.Chain{
		Name: "postrouting", Table: t, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	base := n.prefix.Addr().As4()
	c.AddRule(&nftables.Rule{Table: t, Chain: leave, Exprs: []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4}, // source
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: net.CIDRMask(n.prefix.Bits(), 32), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: base[:]},
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: ours},
		&expr.Masq{},
	}})
	if err := c.Flush(); err != nil {
		return fmt.Errorf("translate addresses of network namespaces: %w", err)
	}
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	if err != nil {
		return fmt.Errorf("look whether this machine forwards: %w", err)
	}
	if strings.TrimSpace(string(b)) != "1" {
		return errors.New("apps with a fixed port reach this machine alone, since it does not forward; allow it with `sysctl -w net.ipv4.ip_forward=1`")
	}
	return nil
}

// Clear takes out what Outbound put in, in this life or an earlier one. Without
// any of it, it does nothing.
func (n *Networks) Clear() error {
	there, err := n.Ruled()
	if err != nil || !there {
		return err
	}
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("clear nftables: %w", err)
	}
	// Made first, since another may have cleared it meanwhile.
	t := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: n.table})
	c.DelTable(t)
	if err := c.Flush(); err != nil {
		return fmt.Errorf("clear nftables: %w", err)
	}
	return nil
}

// Ruled reports whether there is what Outbound puts in. Where tables cannot even
// be listed, there is none.
func (n *Networks) Ruled() (bool, error) {
	c, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("list nftables: %w", err)
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return false, nil //nolint:nilerr // this kernel has no nftables
	}
	return slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == n.table }), nil
}
