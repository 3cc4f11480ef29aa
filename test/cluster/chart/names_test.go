package chart

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// serveNames is a name server for the pods of this cluster, which has none, until
// the test ends: it knows the addresses of Services, NAME.NAMESPACE.svc.cluster.local.
// The kubelet tells all pods of it at the node's address.
func serveNames(t *testing.T) {
	t.Helper()
	node := kubectl(t, "get", "nodes", "-o", "jsonpath={.items[0].status.addresses[?(@.type==\"InternalIP\")].address}")
	address := &net.UDPAddr{IP: net.ParseIP(node), Port: 53}
	l, err := net.ListenUDP("udp", address)
	for deadline := time.Now().Add(5 * time.Minute); errors.Is(err, syscall.EADDRINUSE) && time.Now().Before(deadline); {
		time.Sleep(time.Second) // another one of these tests has it
		l, err = net.ListenUDP("udp", address)
	}
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		question := make([]byte, 512)
		for {
			n, from, err := l.ReadFromUDP(question)
			if err != nil {
				return // it is closed
			}
			if answer, err := named(t, question[:n]); err == nil {
				_, _ = l.WriteToUDP(answer, from)
			}
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
}

// named is the answer to a question.
func named(t *testing.T, question []byte) ([]byte, error) {
	var p dnsmessage.Parser
	header, err := p.Start(question)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	reply := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: header.ID, Response: true, RecursionDesired: header.RecursionDesired, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q},
	}
	address := serviceAddress(t, q.Name.String())
	switch {
	case address == nil:
		reply.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		reply.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 5},
			Body:   &dnsmessage.AResource{A: [4]byte(address)},
		}}
	}
	return reply.Pack()
}

func serviceAddress(t *testing.T, name string) net.IP {
	service, in := strings.CutSuffix(strings.ToLower(name), ".svc.cluster.local.")
	name, namespace, two := strings.Cut(service, ".")
	if !in || !two || strings.Contains(namespace, ".") {
		return nil
	}
	address, err := command(t, "kubectl", "--namespace", namespace, "get", "service", name, "-o", "jsonpath={.spec.clusterIP}")
	if err != nil {
		return nil
	}
	return net.ParseIP(address).To4()
}
