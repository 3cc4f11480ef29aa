package offer

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Config is the settings. The zero value is an installation that configures
// nothing.
type Config struct {
	Runtimes []controlplane.RuntimeVersion // nil: those of the App Store
	Profiles []controlplane.LaunchProfile
	// Default are the resources of apps that ask for none; an empty memory limit
	// is 2Gi, an empty reservation 512Mi, of the CPU none. Max bounds them all;
	// empty: nothing does. Of Max the limits and the GPU count are used.
	Default, Max controlplane.Resources
	// Images, Categories and Env are RE2 expressions, matched whole: of images
	// that container apps may have, of tags that are categories, and of names that
	// begin with H2O_WAVE and are allowed in [[Env]] all the same.
	Images, Categories, Env []string
	GPUTypes                []string // that app.toml may ask for; the first is for apps that name none
}

// The memory of apps that ask for none, of installations that configure none.
const (
	defaultMemoryLimit       = "2Gi"
	defaultMemoryReservation = "512Mi"
)

var (
	nameRule   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`)
	pythonRule = regexp.MustCompile(`^3\.[0-9]{1,2}$`)
	// quantityRule is stricter than the library, which would compute 1e999999999
	// digit by digit.
	quantityRule = regexp.MustCompile(`^[0-9]{1,15}(\.[0-9]{1,9})?([numkMGTPE]|[KMGTPE]i)?$`)
)

// New checks the settings. The error names every fault.
func New(c Config) (*Offers, error) {
	o := &Offers{config: c, builtIn: c.Runtimes == nil}
	if o.builtIn {
		o.config.Runtimes = controlplane.AppStoreRuntimes()
	}
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	seen := map[string]bool{}
	defaults := 0
	for _, r := range c.Runtimes {
		switch {
		case !nameRule.MatchString(r.Name):
			add("runtime_version %q: a name has letters, digits and inner dots, hyphens and underscores, at most 63", r.Name)
		case seen[strings.ToLower(r.Name)]:
			add("runtime_version %s is given twice", r.Name)
		case r.Python != "" && !pythonRule.MatchString(r.Python):
			add("runtime_version %s: python is one such as 3.10, not %q", r.Name, r.Python)
		case r.Default && r.Deprecated:
			add("runtime_version %s is deprecated and cannot be the default", r.Name)
		}
		if r.Image != "" {
			if _, err := resolve(r.Image); err != nil {
				add("runtime_version %s: image %q: %w", r.Name, r.Image, err)
			}
		}
		if seen[strings.ToLower(r.Name)] = true; r.Default {
			defaults++
		}
	}
	if defaults > 1 {
		add("%d runtime_versions are the default; one can be", defaults)
	}
	seen = map[string]bool{}
	for _, p := range c.Profiles {
		switch {
		case !nameRule.MatchString(p.Name):
			add("launch_profile %q: a name has letters, digits and inner dots, hyphens and underscores, at most 63", p.Name)
		case seen[p.Name]:
			add("launch_profile %s is given twice", p.Name)
		}
		seen[p.Name] = true
		errs = append(errs, check("launch_profile "+p.Name, p.Resources))
	}
	errs = append(errs, check("default_resources", c.Default), check("max_resources", c.Max))
	if c.Max.MemoryReservation != "" || c.Max.CPUReservation != "" || c.Max.GPUType != "" {
		add("max_resources bounds memory_limit, cpu_limit and gpu_count; a reservation never exceeds its limit")
	}
	if c.Default.GPUCount != 0 || c.Default.GPUType != "" {
		add("default_resources has no GPUs: an app asks for them, or a launch profile gives them")
	}
	o.images = compile("allowed_images", c.Images, &errs)
	o.categories = compile("category_tags", c.Categories, &errs)
	compile("allowed_env", c.Env, &errs)
	return o, errors.Join(errs...)
}

// check finds what is wrong with the quantities of a setting.
func check(of string, r controlplane.Resources) error {
	var errs []error
	for _, q := range []struct {
		name, text string
		least      resource.Quantity
	}{
		{"memory_limit", r.MemoryLimit, resource.MustParse("1Mi")}, {"memory_reservation", r.MemoryReservation, resource.MustParse("1Mi")},
		{"cpu_limit", r.CPULimit, resource.MustParse("1m")}, {"cpu_reservation", r.CPUReservation, resource.MustParse("1m")},
	} {
		if q.text == "" {
			continue
		}
		if !quantityRule.MatchString(q.text) {
			errs = append(errs, fmt.Errorf("%s: %s is a quantity such as 512Mi of memory or 1.5 of cores, not %q", of, q.name, q.text))
			continue
		}
		if n, err := resource.ParseQuantity(q.text); err != nil || n.Cmp(q.least) < 0 {
			errs = append(errs, fmt.Errorf("%s: %s %s is less than %s", of, q.name, q.text, q.least.String()))
		}
	}
	if more(r.MemoryReservation, r.MemoryLimit) || more(r.CPUReservation, r.CPULimit) {
		errs = append(errs, fmt.Errorf("%s: a reservation is more than its limit", of))
	}
	if r.GPUCount < 0 || r.GPUCount > 1024 {
		errs = append(errs, fmt.Errorf("%s: gpu_count lies between 0 and 1024", of))
	}
	return errors.Join(errs...)
}

// compile makes expressions that match whole.
func compile(setting string, list []string, errs *[]error) (out []*regexp.Regexp) {
	for _, text := range list {
		r, err := regexp.Compile(`^(?:` + text + `)$`)
		if _, alone := regexp.Compile(text); err == nil {
			err = alone // one such as a)|(b is none by itself
		}
		if err != nil {
			*errs = append(*errs, fmt.Errorf("%s: %w", setting, err))
			continue
		}
		out = append(out, r)
	}
	return out
}
