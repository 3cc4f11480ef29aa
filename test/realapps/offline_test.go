package realapps

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestWheelsInTheBundleNeedNoNetwork: pip's index and every proxy are a server
// of this test's, which has nothing and is not asked.
func TestWheelsInTheBundleNeedNoNetwork(t *testing.T) {
	var asked atomic.Int64
	index := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(rw, "there is nothing here", http.StatusNotFound)
	}))
	t.Cleanup(index.Close)
	env := []string{"PIP_CONFIG_FILE=/dev/null", "PIP_FIND_LINKS=", "PIP_INDEX_URL=" + index.URL + "/simple/"}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		env = append(env, name+"="+index.URL)
	}
	w := newWorld(t, append(env, "NO_PROXY=", "no_proxy=")...)
	python := w.venv(w.interpreter())
	files := inMode(w.tutorials(python, framework(t, "FastAPI")), "BASE_URL")

	in := w.begin(w.pack(with(files, w.wheels(python, files["requirements.txt"]))))
	w.becomes(in, "DEPLOYED", installing)
	if n := asked.Load(); n != 0 {
		t.Errorf("the network was asked %d times:\n%s", n, w.logs(in))
	}
	p := w.person()
	p.Open(in.URL + "docs")
	p.Is("its documentation is shown", isDocs)
	p.chats()
	p.leaves()
	second := w.another(in.AppID)
	w.becomes(second, "DEPLOYED", starting)
	w.installedNothing(second)

	t.Log("without the wheels")
	files["app.toml"] = strings.Replace(files["app.toml"], "-tutorial", "-bare", 1)
	bare := w.begin(w.pack(files))
	w.becomes(bare, "FAILED", installing)
	if why := w.instance(bare.ID).Reason; why == nil || why.Code != "dependencies" || asked.Load() == 0 {
		t.Errorf("it failed because of %+v, and the network was asked %d times", why, asked.Load())
	}
}

// interpreter is the python3 that the launcher takes, as an app tells.
func (w *world) interpreter() string {
	w.Helper()
	in := w.begin(w.pack(map[string]string{
		"app.toml": "[App]\nName = \"which\"\nVersion = \"1.0.0\"\n[Runtime]\nAppMode = \"python\"\nModule = \"which\"\n",
		"which.py": "import sys\nprint('it is', sys.executable)\n",
	}))
	w.becomes(in, "FAILED", starting)
	_, path, _ := strings.Cut(w.logs(in), "it is ")
	path, _, _ = strings.Cut(path, "\n")
	return path
}

// wheels are the files that `pip download` leaves in the folder wheels.
func (w *world) wheels(python, requirements string) map[string]string {
	w.Helper()
	dir := w.TempDir()
	w.execute(python, "-m", "pip", "download", "--only-binary", ":all:", "-d", dir, "-r", w.file("requirements.txt", requirements))
	entries, err := os.ReadDir(dir)
	if err != nil {
		w.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			w.Fatal(err)
		}
		files["wheels/"+e.Name()] = string(raw)
	}
	return files
}
