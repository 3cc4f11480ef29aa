package images

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
)

// keys are credentials for registries, the most exact one first.
type keys []key

type key struct {
	host, path string // what they are for; labels of the host may be patterns
	with       authn.AuthConfig
}

// keys reads the pull secrets.
func (i *Images) keys(ctx context.Context) (keys, error) {
	if i.cfg.Secrets == nil {
		return nil, nil
	}
	secrets, err := i.cfg.Secrets(ctx)
	if err != nil {
		return nil, fmt.Errorf("read pull secrets: %w", err)
	}
	return readKeys(secrets)
}

// readKeys reads documents of type kubernetes.io/dockerconfigjson.
func readKeys(secrets [][]byte) (keys, error) {
	var all keys
	for n, text := range secrets {
		var document struct {
			Auths map[string]struct {
				Username, Password, Auth, IdentityToken, RegistryToken string
			}
		}
		if json.Unmarshal(text, &document) != nil { // its error may quote a password
			return nil, fmt.Errorf("read pull secrets: the %d. is no .dockerconfigjson; make it with kubectl create secret docker-registry", n+1)
		}
		for where, c := range document.Auths {
			k := key{with: authn.AuthConfig{Username: c.Username, Password: c.Password, IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken}}
			if pair, err := base64.StdEncoding.DecodeString(c.Auth); err == nil && c.Auth != "" {
				k.with.Username, k.with.Password, _ = strings.Cut(string(pair), ":")
			}
			where = strings.TrimPrefix(strings.TrimPrefix(where, "https://"), "http://")
			where = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(where, "/"), "/v1"), "/v2")
			k.host, k.path, _ = strings.Cut(where, "/")
			if k.host == "docker.io" {
				k.host = "index.docker.io"
			}
			all = append(all, k)
		}
	}
	slices.SortStableFunc(all, func(a, b key) int {
		return cmp.Or(cmp.Compare(len(b.path), len(a.path)), cmp.Compare(strings.Count(a.host, "*"), strings.Count(b.host, "*")), cmp.Compare(b.host, a.host))
	})
	return all, nil
}

// Resolve implements authn.Keychain. As the kubelet does it, the first whose
// host and path fit is taken.
func (k keys) Resolve(of authn.Resource) (authn.Authenticator, error) {
	_, repository, _ := strings.Cut(of.String(), "/")
	for _, key := range k {
		if hostFits(key.host, of.RegistryStr()) && (key.path == "" || repository == key.path || strings.HasPrefix(repository, key.path+"/")) {
			return authn.FromConfig(key.with), nil
		}
	}
	return authn.Anonymous, nil
}

// hostFits compares label by label, so that *.example.com is no a.b.example.com.
func hostFits(pattern, host string) bool {
	patternName, patternPort := split(pattern)
	name, port := split(host)
	wanted, labels := strings.Split(patternName, "."), strings.Split(name, ".")
	if patternPort != port || len(wanted) != len(labels) {
		return false
	}
	for n, label := range labels {
		if fits, err := path.Match(wanted[n], label); err != nil || !fits {
			return false
		}
	}
	return true
}

func split(host string) (name, port string) {
	if name, port, err := net.SplitHostPort(host); err == nil {
		return name, port
	}
	return host, ""
}
