//go:build linux

package pair

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func init() {
	if c, ok := parse(os.Args[1:]); ok {
		os.Exit(keep(c))
	}
}

// member is one of the two.
type member struct {
	name    string // for the log
	process *os.Process
	ended   chan int // gets its exit code
	over    bool
}

// keep runs both until one ends, or both after a SIGTERM, and returns the
// keeper's exit code.
func keep(c Command) int {
	asked := make(chan os.Signal, 1) // before there is anybody to be ended
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	server, err := start("the Wave server", c.Folder, []string{c.Server}, os.Environ())
	if err != nil {
		say("%s cannot be executed: %v", c.Server, err)
		return ServerEnded
	}
	app, err := start("the app", "", c.App, appEnviron(os.Environ()))
	if err != nil {
		say("%s cannot be executed: %v", c.App[0], err)
		return 127
	}
	select {
	case code := <-server.ended:
		say("%s ended with exit code %d", server.name, code)
		return ServerEnded
	case code := <-app.ended:
		say("%s ended with exit code %d", app.name, code)
		return exitCode(code)
	case <-asked:
	}
	for _, m := range []*member{app, server} {
		m.ask()
		for !m.over {
			select {
			case <-app.ended:
				app.over = true
			case <-server.ended:
				server.over = true
			case <-asked: // once is enough; the launcher's patience has an end
			}
		}
	}
	return 0
}

// exitCode keeps the app's code apart from what the server's end is told by.
func exitCode(app int) int {
	if app == ServerEnded {
		return 1
	}
	return app
}

// start begins a process group with the keeper's standard streams.
func start(name, dir string, args, env []string) (*member, error) {
	p, err := os.StartProcess(args[0], args, &os.ProcAttr{
		Dir:   dir,
		Env:   env,
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return nil, err
	}
	m := &member{name: name, process: p, ended: make(chan int, 1)}
	go m.await()
	return m, nil
}

// await ends with the process.
func (m *member) await() {
	state, err := m.process.Wait()
	code := 1
	if err == nil {
		status := state.Sys().(syscall.WaitStatus)
		if code = status.ExitStatus(); status.Signaled() {
			code = 128 + int(status.Signal())
		}
	}
	m.ended <- code
}

// ask asks the member's group to end. One that has ended is nobody's any more.
func (m *member) ask() {
	if !m.over {
		_ = syscall.Kill(-m.process.Pid, syscall.SIGTERM) // it may have ended just now
	}
}

// say writes a line to the instance's log.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "slipway: "+format+"\n", args...)
}
