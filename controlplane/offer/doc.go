// Package offer is what an installation offers to apps: runtime versions,
// launch profiles, resources and their caps, images, GPUs, categories (spec
// interfaces.md §6, apps.md §2). It implements controlplane.Offers.
//
// The resources of an instance come from four places, the later before the
// earlier: the setting default_resources; the launch profile of the app; what
// app.toml itself asks for; the launch profile that the instance is started
// with. Where one of them names a limit alone, or a reservation alone, the
// other's earlier value gives way to it. The setting max_resources bounds the
// outcome, whatever asked for it.
//
// An image is compared as it is resolved: with its registry, its repository and
// its tag or digest, such as docker.io/library/nginx:latest for nginx. It must
// match one of the setting allowed_images whole.
package offer
