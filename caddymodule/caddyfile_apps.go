package caddymodule

import (
	"strconv"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// repeated are the settings that may be given again, with another name.
var repeated = []string{"launcher", "runtime_version", "launch_profile"}

// appOption reads the setting whose name was read last, if it is one of
// AppSettings.
func (p *parser) appOption() (known bool, err error) {
	s := &p.app.AppSettings
	switch p.Val() {
	case "runtime_version":
		return true, p.runtimeVersion()
	case "launch_profile":
		return true, p.launchProfile()
	case "default_resources":
		return true, p.resources("default_resources", &s.DefaultResources)
	case "max_resources":
		return true, p.resources("max_resources", &s.MaxResources)
	case "allowed_images":
		return true, p.list(&s.AllowedImages)
	case "allowed_env":
		return true, p.list(&s.AllowedEnv)
	case "gpu_types":
		return true, p.list(&s.GPUTypes)
	case "category_tags":
		return true, p.list(&s.CategoryTags)
	}
	return false, nil
}

func (p *parser) runtimeVersion() error {
	var r controlplane.RuntimeVersion
	if err := p.one(&r.Name); err != nil {
		return err
	}
	err := p.block("runtime_version "+r.Name, map[string]func() error{
		"default":    func() error { return p.flag(&r.Default) },
		"deprecated": func() error { return p.flag(&r.Deprecated) },
		"image":      func() error { return p.one(&r.Image) },
		"python":     func() error { return p.one(&r.Python) },
	})
	p.app.RuntimeVersions = append(p.app.RuntimeVersions, r)
	return err
}

func (p *parser) launchProfile() error {
	var l controlplane.LaunchProfile
	if err := p.one(&l.Name); err != nil {
		return err
	}
	err := p.resourcesBlock("launch_profile "+l.Name, &l.Resources)
	p.app.LaunchProfiles = append(p.app.LaunchProfiles, l)
	return err
}

func (p *parser) resources(of string, into *controlplane.Resources) error {
	if p.NextArg() {
		return p.ArgErr()
	}
	return p.resourcesBlock(of, into)
}

func (p *parser) resourcesBlock(of string, r *controlplane.Resources) error {
	return p.block(of, map[string]func() error{
		"memory_limit":       func() error { return p.one(&r.MemoryLimit) },
		"memory_reservation": func() error { return p.one(&r.MemoryReservation) },
		"cpu_limit":          func() error { return p.one(&r.CPULimit) },
		"cpu_reservation":    func() error { return p.one(&r.CPUReservation) },
		"gpu_type":           func() error { return p.one(&r.GPUType) },
		"gpu_count": func() (err error) {
			var text string
			if err := p.one(&text); err != nil {
				return err
			}
			if r.GPUCount, err = strconv.Atoi(text); err != nil || r.GPUCount < 0 {
				return p.Errf("%q is not a number of GPUs", text)
			}
			return nil
		},
	})
}
