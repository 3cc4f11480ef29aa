package controlmodule

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/bundle"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/manual"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process"
)

func init() {
	caddy.RegisterModule(Process{})
	caddy.RegisterModule(Manual{})
}

// Process is the guest module slipway.launchers.process: a child process per
// instance, on this machine.
type Process struct {
	// Folder that everything of the instances is kept in. Default: processes
	// in Caddy's data folder. A change needs a restart.
	Data string `json:"data,omitempty"`
	// Whether the instances end with the control plane, if it leads. Default:
	// they go on, and the next leader adopts them. A change needs a restart.
	StopAll bool `json:"stop_on_exit,omitempty"`
	// The numbers of the users that instances get, each its own, where this
	// process is root: the first and the last. Two installations on a machine need
	// ranges of their own. Default: 200000 and 265535. A change needs a restart.
	Users *[2]int `json:"users,omitempty"`
	// The network that instances with a fixed port get addresses of, on this
	// machine alone. Default: 10.213.0.0/16. A change needs a restart.
	Network netip.Prefix `json:"network,omitzero"`
	// How many processes and threads an instance may have. Default: 4096. A
	// change needs a restart.
	Processes int `json:"processes,omitempty"`
	// The size of the /dev/shm of apps that ask for it by Runtime.EnableSHM, in
	// bytes. Default: 2 GiB. A change needs a restart.
	SHM int64 `json:"shm,omitempty"`
	// The program that serves Wave apps whose own h2o-wave package brings none:
	// waved, with its folder www beside it. Default: none, and those apps are not
	// runnable. A change needs a restart.
	WaveServer string `json:"wave_server,omitempty"`
	// Folders that instances do not see where they run as the user of this
	// process. Caddy's data folder is always one, and so are the folders of
	// bundles and of the files secret_keys and client_secret_file, unless programs
	// are there. A change needs a restart.
	Hide []string `json:"hide,omitempty"`

	bundles string   // the control plane's folder of bundles
	secrets []string // its files that nobody else may read
}

// keepFrom has instances not see what of the control plane is secret, either.
func (p *Process) keepFrom(c *ControlPlane, o *caddymodule.OIDC) (err error) {
	files := []string{c.SecretKeys}
	if o != nil {
		files = append(files, o.ClientSecretFile)
	}
	p.secrets = nil
	for _, file := range files {
		if file == "" {
			continue
		}
		path, pathErr := filepath.Abs(file)
		p.secrets, err = append(p.secrets, path), errors.Join(err, pathErr)
	}
	bundles, pathErr := filepath.Abs(c.Blobs)
	p.bundles = bundles
	return errors.Join(err, pathErr)
}

// CaddyModule implements caddy.Module.
func (Process) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "slipway.launchers.process", New: func() caddy.Module { return new(Process) }}
}

// UnmarshalCaddyfile reads:
//
//	launcher process {
//		data DIR
//		stop_on_exit
//		users FIRST LAST
//		network NETWORK
//		processes NUMBER
//		shm SIZE
//		wave_server PATH
//		hide FOLDER …
//	}
func (p *Process) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the launcher's name
	if d.NextArg() {
		return d.ArgErr()
	}
	given := caddymodule.Given{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := given.Once(d, d.Val(), "hide"); err != nil {
			return err
		}
		switch d.Val() {
		case "data":
			if !d.Args(&p.Data) || d.NextArg() {
				return d.ArgErr()
			}
		case "stop_on_exit":
			if d.NextArg() {
				return d.ArgErr()
			}
			p.StopAll = true
		case "users":
			if err := p.readUsers(d); err != nil {
				return err
			}
		case "network":
			var text string
			if !d.Args(&text) || d.NextArg() {
				return d.ArgErr()
			}
			var err error
			if p.Network, err = netip.ParsePrefix(text); err != nil {
				return d.Errf("%q is not a network such as 10.213.0.0/16", text)
			}
		case "processes":
			var text string
			if !d.Args(&text) || d.NextArg() {
				return d.ArgErr()
			}
			var err error
			if p.Processes, err = strconv.Atoi(text); err != nil {
				return d.Errf("%q is not a number of processes", text)
			}
		case "shm":
			var text string
			if !d.Args(&text) || d.NextArg() {
				return d.ArgErr()
			}
			var err error
			if p.SHM, err = caddymodule.ParseBytes(text); err != nil {
				return d.WrapErr(err)
			}
		case "wave_server":
			if !d.Args(&p.WaveServer) || d.NextArg() {
				return d.ArgErr()
			}
		case "hide":
			folders := d.RemainingArgs()
			if len(folders) == 0 {
				return d.ArgErr()
			}
			p.Hide = append(p.Hide, folders...)
		default:
			return d.Errf("launcher process has no setting %q; there are data, stop_on_exit, users, network, processes, shm, wave_server and hide", d.Val())
		}
	}
	return nil
}

func (p *Process) readUsers(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.ArgErr()
	}
	p.Users = new([2]int)
	for i, arg := range args {
		n, err := strconv.Atoi(arg)
		if err != nil {
			return d.Errf("%q is not the number of a user", arg)
		}
		p.Users[i] = n
	}
	return nil
}

// The bounds of processes: what a small app needs, and what Linux can number.
const (
	minProcesses = 16
	maxProcesses = 1 << 22
)

// Validate implements caddy.Validator.
func (p *Process) Validate() error {
	var errs []error
	if u := p.Users; u != nil && (u[0] < 1000 || u[1] < u[0] || u[1] >= 1<<31) {
		errs = append(errs, fmt.Errorf("launcher process: users %d to %d are no range of numbers from 1000 on", u[0], u[1]))
	}
	if n := p.Network; n.IsValid() && (!n.Addr().Is4() || n.Bits() > 28 || n != n.Masked()) {
		errs = append(errs, fmt.Errorf("launcher process: network %s is not one of IPv4 with room for some instances, as 10.213.0.0/16", n))
	}
	if n := p.Processes; n != 0 && (n < minProcesses || n > maxProcesses) {
		errs = append(errs, fmt.Errorf("launcher process: processes %d is not from %d to %d", n, minProcesses, maxProcesses))
	}
	if p.SHM < 0 {
		errs = append(errs, fmt.Errorf("launcher process: shm %d is not a number of bytes above 0", p.SHM))
	}
	if w := p.WaveServer; w != "" && !filepath.IsAbs(w) {
		errs = append(errs, fmt.Errorf("launcher process: wave_server %q is no absolute path", w))
	}
	for _, folder := range p.Hide {
		if !filepath.IsAbs(folder) || filepath.Clean(folder) == "/" {
			errs = append(errs, fmt.Errorf("launcher process: hide %q is no absolute path below /", folder))
		}
	}
	return errors.Join(errs...)
}

// Open implements LauncherModule.
func (p *Process) Open(log *zap.Logger) (launcher.Launcher, error) {
	dir := p.Data
	if dir == "" {
		dir = filepath.Join(caddy.AppDataDir(), "slipway", "processes")
	}
	config := process.Config{
		DataDir: dir, Unpack: unpack, Network: p.Network, Processes: p.Processes, Log: log.Named("process"),
		WaveServer:   p.WaveServer,
		SharedMemory: p.SHM,
		Hide:         append([]string{caddy.AppDataDir()}, p.Hide...),
		Secrets:      p.secrets,
	}
	if p.bundles != "" {
		config.Hide = append(config.Hide, p.bundles)
	}
	if p.Users != nil {
		config.FirstUser, config.LastUser = p.Users[0], p.Users[1]
	}
	return process.New(config)
}

// unpack writes a bundle into an empty folder. That it harms nobody was checked
// at import, and is checked again: the folder of bundles is only a folder.
func unpack(ctx context.Context, blob controlplane.Blob, dir string) error {
	b, err := bundle.Reopen(blob, blob.Size())
	if err != nil {
		return err
	}
	return b.Unpack(ctx, dir)
}

// Modes implements LauncherModule.
func (*Process) Modes() []controlplane.AppMode {
	return []controlplane.AppMode{controlplane.Python, controlplane.Binary, controlplane.Wave}
}

// StopOnExit implements LauncherModule.
func (p *Process) StopOnExit() bool { return p.StopAll }

// Manual is the guest module slipway.launchers.manual: nothing is run, a given
// address is probed.
type Manual struct {
	// Networks that addresses may lie in, such as 10.0.0.0/8. Default: none.
	// Loopback, link-local and metadata addresses need one that lies within such
	// a range, such as 127.0.0.0/8. A change needs a restart.
	Allow []netip.Prefix `json:"allow,omitempty"`
}

// CaddyModule implements caddy.Module.
func (Manual) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "slipway.launchers.manual", New: func() caddy.Module { return new(Manual) }}
}

// UnmarshalCaddyfile reads:
//
//	launcher manual {
//		allow NETWORK...
//	}
func (m *Manual) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the launcher's name
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "allow" {
			return d.Errf("launcher manual has no setting %q; there is allow", d.Val())
		}
		args := d.RemainingArgs()
		if len(args) == 0 {
			return d.ArgErr()
		}
		for _, arg := range args {
			prefix, err := netip.ParsePrefix(arg)
			if err != nil {
				return d.Errf("%q is not a network such as 10.0.0.0/8", arg)
			}
			m.Allow = append(m.Allow, prefix)
		}
	}
	return nil
}

// Validate implements caddy.Validator.
func (m *Manual) Validate() error {
	var errs []error
	for _, p := range m.Allow {
		if !p.IsValid() {
			errs = append(errs, fmt.Errorf("launcher manual: %q is not a network", p))
		}
	}
	return errors.Join(errs...)
}

// Open implements LauncherModule.
func (m *Manual) Open(*zap.Logger) (launcher.Launcher, error) {
	return manual.New(manual.Config{Allow: m.Allow, Deny: ownAddress}), nil
}

// ownAddress reports whether this process itself listens there: an app at such
// an address would be the edge calling itself.
func ownAddress(target netip.AddrPort) bool {
	own := errors.New("own address")
	err := caddymodule.Listeners(caddy.ActiveContext(), func(a caddy.NetworkAddress) error {
		if port := uint(target.Port()); a.IsUnixNetwork() || port < a.StartPort || port > a.EndPort {
			return nil
		}
		if ip, err := netip.ParseAddr(a.Host); err == nil && !ip.IsUnspecified() && ip != target.Addr() {
			return nil
		}
		return own
	})
	return errors.Is(err, own)
}

// Modes implements LauncherModule.
func (*Manual) Modes() []controlplane.AppMode { return []controlplane.AppMode{controlplane.Manual} }

// StopOnExit implements LauncherModule: there is nothing to stop.
func (*Manual) StopOnExit() bool { return false }

var (
	_ LauncherModule        = (*Process)(nil)
	_ LauncherModule        = (*Manual)(nil)
	_ caddyfile.Unmarshaler = (*Process)(nil)
	_ caddy.Validator       = (*Process)(nil)
	_ caddyfile.Unmarshaler = (*Manual)(nil)
	_ caddy.Validator       = (*Manual)(nil)
)
