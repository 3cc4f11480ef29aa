package oidctest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long the engine may take for an answer, or to end.
const patience = time.Minute

// engine is the program that makes codes and tokens, one for each provider. It
// ends with its input, and so with the tests, however they end.
type engine struct {
	mu      sync.Mutex
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
}

// startedIn is the folder of the package under test.
var startedIn, errStartedIn = os.Getwd()

// engineProgram builds the engine, and says where it is: in the build cache of
// the go command, which builds it again when its sources have changed.
var engineProgram = sync.OnceValues(func() (string, error) {
	folder, err := engineFolder()
	if err != nil {
		return "", err
	}
	if err := touch(folder); err != nil {
		return "", fmt.Errorf("look at sources: %w", err)
	}
	var faults strings.Builder
	cmd := exec.Command("go", "tool", "-n", "engine")
	cmd.Dir, cmd.Stderr = folder, &faults
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, faults.String())
	}
	return strings.TrimSpace(string(out)), nil
})

func engineFolder() (string, error) {
	if errStartedIn != nil {
		return "", errStartedIn
	}
	for dir := startedIn; ; {
		folder := filepath.Join(dir, "controlplane", "identity", "oidctest", "engine")
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("find the engine's sources: %s is not in the module", startedIn)
		}
		dir = parent
	}
}

// touch looks at the engine's sources, so that go test's cache knows that the
// tests depend on them: it sees what a test itself looks at.
func touch(folder string) error {
	files, err := os.ReadDir(folder)
	for _, file := range files {
		if err == nil {
			_, err = os.Stat(filepath.Join(folder, file.Name()))
		}
	}
	return err
}

func startEngine() (*engine, error) {
	program, err := engineProgram()
	if err != nil {
		return nil, fmt.Errorf("build engine: %w", err)
	}
	e := &engine{cmd: exec.Command(program)}
	e.cmd.Stderr = os.Stderr
	if e.in, err = e.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	e.answers = json.NewDecoder(out)
	e.answers.DisallowUnknownFields()
	return e, e.cmd.Start()
}

// stop ends the engine.
func (e *engine) stop(t testing.TB) {
	e.mu.Lock()
	defer e.mu.Unlock()
	defer time.AfterFunc(patience, func() { _ = e.cmd.Process.Kill() }).Stop()
	e.in.Close()
	if err := e.cmd.Wait(); err != nil {
		t.Errorf("end the provider's engine: %v", err)
	}
}

// ask has a question answered. What the provider knows is told at that moment,
// so that no answer follows from what was known before an earlier one.
func (p *Provider) ask(q question) (a answer, err error) {
	e := p.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	p.mu.Lock()
	q.World = p.world()
	line, err := json.Marshal(q)
	p.mu.Unlock()
	if err != nil {
		return a, fmt.Errorf("write question: %w", err)
	}
	defer time.AfterFunc(patience, func() { _ = e.cmd.Process.Kill() }).Stop()
	if _, err := e.in.Write(append(line, '\n')); err != nil {
		return a, fmt.Errorf("ask engine: %w", err)
	}
	if err := e.answers.Decode(&a); err != nil {
		return a, fmt.Errorf("read the engine's answer: %w", err)
	}
	return a, nil
}

// pass answers a request with what the engine says, and reports whether it says
// anything.
func (p *Provider) pass(w http.ResponseWriter, q question) bool {
	a, err := p.ask(q)
	if err != nil {
		p.t.Errorf("%s: %v", q.Do, err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return true
	}
	if a.Status == 0 {
		return false
	}
	a.write(w)
	return true
}

// passed answers the requests of an endpoint that is the engine's alone.
func (p *Provider) passed(do string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		q := question{Do: do, Method: r.Method, Authorization: r.Header.Get("Authorization"), Body: r.PostForm.Encode()}
		if !p.pass(w, q) {
			p.t.Errorf("%s: the engine says nothing", do)
		}
	}
}
