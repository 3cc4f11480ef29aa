package bundle

import "testing"

func TestNamesWave(t *testing.T) {
	for _, c := range []struct {
		name, requirements string
		want               bool
	}{
		{"nothing", "", false},
		{"other packages", "numpy\nh2o\nwave\n", false},
		{"by name", "numpy\nh2o-wave\n", true},
		{"a version and a marker", "h2o-wave[ml]>=1.0,<2 ; python_version < '3.13'\n", true},
		{"another spelling", "H2O_Wave==1.8.16\n", true},
		{"a byte order mark", "\ufeffh2o.wave\n", true},
		{"one of the family", "h2o-wave-ml\n", true},
		{"another project that begins so", "h2o-wavelet\n", false},
		{"a comment", "# h2o-wave\nnumpy # h2o-wave\n", false},
		{"a wheel in the bundle", "./wheels/h2o_wave-1.8.16-py3-none-manylinux1_x86_64.whl\n", true},
		{"a wheel with its hash", "wheels/h2o_wave-1.8.16-py3-none-any.whl --hash=sha256:00\n", true},
		{"a wheel of another project", "wheels/h2o_wavelet-1.0-py3-none-any.whl\n", false},
		{"a continued line", "h2o-wave \\\n  ==1.8.16\n", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := namesWave([]byte(c.requirements)); got != c.want {
				t.Errorf("%q: %v", c.requirements, got)
			}
		})
	}
}
