// Command pause holds the namespaces of a pod open: it waits for a signal to
// end, and reaps what it inherits as process 1 of a pod.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ends, orphans := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGINT, syscall.SIGTERM)
	signal.Notify(orphans, syscall.SIGCHLD)
	for {
		select {
		case <-ends:
			return
		case <-orphans:
			for pid := 1; pid > 0; { // one signal may stand for several
				pid, _ = syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			}
		}
	}
}
