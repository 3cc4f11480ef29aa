package caddymodule

import "testing"

func TestBundlesHaveAGibibyteAtMost(t *testing.T) {
	var s Settings
	s.setDefaults()
	if s.MaxUpload != 1<<30 {
		t.Errorf("max_upload is %d bytes by default", s.MaxUpload)
	}
}
