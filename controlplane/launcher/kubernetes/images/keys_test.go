package images

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
)

func TestWhichKeyFits(t *testing.T) {
	all, err := readKeys([][]byte{
		[]byte(`{"auths":{"https://index.docker.io/v1/":{"auth":"ZG9ja2VyOnBhc3M6d29yZA=="},
			"registry.example.com":{"username":"all","password":"x"},
			"registry.example.com/team":{"username":"team","password":"x"},
			"*.example.com":{"username":"any","password":"x"}}}`),
		[]byte(`{"auths":{"registry.example.com:5000":{"username":"port","password":"x"},"http://old.example.org/v2/":{"username":"old","password":"x"}}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	for image, want := range map[string]string{
		"nginx":                              "docker",
		"docker.io/team/app":                 "docker",
		"registry.example.com/app":           "all",
		"registry.example.com/team/app":      "team",
		"registry.example.com/team":          "team",
		"registry.example.com/teams/app":     "all",
		"registry.example.com:5000/app":      "port",
		"registry.example.com:5001/app":      "",
		"other.example.com/app":              "any",
		"a.other.example.com/app":            "",
		"old.example.org/app":                "old",
		"registry.example.com.evil.test/app": "",
	} {
		ref, err := name.ParseReference(image)
		if err != nil {
			t.Fatal(err)
		}
		found, err := all.Resolve(ref.Context())
		if err != nil {
			t.Fatal(err)
		}
		with, err := found.Authorization()
		if err != nil {
			t.Fatal(err)
		}
		if with.Username != want {
			t.Errorf("%s is asked for by %q, want %q", image, with.Username, want)
		}
		if want == "docker" && with.Password != "pass:word" {
			t.Errorf("its password is %q", with.Password)
		}
	}
}

// FuzzPullSecrets holds that no document breaks the reader, and that none of its
// errors repeats what it reads.
func FuzzPullSecrets(f *testing.F) {
	for _, seed := range []string{
		`{"auths":{"https://index.docker.io/v1/":{"auth":"ZG9ja2VyOnBhc3M6d29yZA=="}}}`,
		`{"auths":{"*.[example.com:5000/a":{"username":"u","password":"p","identitytoken":"t"}}}`,
		`{"auths":{"":{}}}`, `{"auths":null}`, `[]`, `{"auths":hunter2}`,
	} {
		f.Add([]byte(seed))
	}
	ref, err := name.ParseReference("registry.example.com:5000/team/app")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := readKeys([][]byte{text})
		if err != nil {
			if want := "read pull secrets: the 1. is no .dockerconfigjson; make it with kubectl create secret docker-registry"; err.Error() != want {
				t.Errorf("error %v, want %s", err, want)
			}
			return
		}
		if _, err := all.Resolve(ref.Context()); err != nil {
			t.Error(err)
		}
	})
}
