package launchertest

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Behaviour is what a workload of the suite does.
type Behaviour string

// The behaviours that a fixture provides.
const (
	Serves    Behaviour = "serves"     // opens its port and serves until SIGTERM
	SlowStart Behaviour = "slow-start" // serves after half a second
	Crashes   Behaviour = "crashes"    // ends with exit code 3 before it serves
	NeverOpen Behaviour = "never-open" // runs without ever opening its port
	Stubborn  Behaviour = "stubborn"   // serves and ignores SIGTERM
)

// The environment of a workload, by which a fixture tells it what to do.
const (
	EnvBehaviour = "LAUNCHERTEST_BEHAVIOUR"
	EnvInstance  = "LAUNCHERTEST_INSTANCE"
	EnvCensus    = "LAUNCHERTEST_CENSUS" // where workloads count themselves: a folder, or a [Census]
	EnvHost      = "LAUNCHERTEST_HOST"   // where they listen; empty: 127.0.0.1
)

// Workload does not return in a process that was started as a workload. A
// launcher's own tests may bring behaviours of their own.
func Workload(own map[Behaviour]func()) {
	b := Behaviour(os.Getenv(EnvBehaviour))
	if b == "" || len(os.Args) < 2 || os.Args[1] != "sample-app" {
		return
	}
	fmt.Printf("%s has started\n", b)
	count()
	switch b {
	case Serves:
		Serve(os.Getenv("PORT"))
	case SlowStart:
		time.Sleep(500 * time.Millisecond)
		Serve(os.Getenv("PORT"))
	case Crashes:
		fmt.Println("it will not do")
		os.Exit(3)
	case NeverOpen:
		<-time.After(10 * time.Minute)
	case Stubborn:
		signal.Ignore(syscall.SIGTERM)
		Serve(os.Getenv("PORT"))
	default:
		own[b]()
	}
	os.Exit(0)
}

// Serve serves on the port of EnvHost: /exit?code=3 ends the process so, all else
// answers with its number.
func Serve(port string) {
	fmt.Println("it serves") // before: whoever finds the port open may read the log at once
	l, err := net.Listen("tcp", net.JoinHostPort(cmp.Or(os.Getenv(EnvHost), "127.0.0.1"), port))
	if err != nil {
		fmt.Println(err)
		os.Exit(4)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/exit", func(_ http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.FormValue("code"))
		os.Exit(code)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, os.Getpid())
	})
	fmt.Println(http.Serve(l, mux))
}

// count holds the instance's lock for the life of the process, or leaves a note
// that another process of the instance holds it.
func count() {
	dir, id := os.Getenv(EnvCensus), os.Getenv(EnvInstance)
	if dir == "" {
		return
	}
	if address, ok := strings.CutPrefix(dir, censusScheme); ok {
		report(address, id)
		return
	}
	fd, err := syscall.Open(filepath.Join(dir, id+".lock"), syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err == nil {
		err = syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		note := filepath.Join(dir, fmt.Sprintf("%s.%d.overlap", id, os.Getpid()))
		if err := os.WriteFile(note, []byte(err.Error()), 0o600); err != nil {
			panic(err) // the suite would miss an overlap
		}
	}
}

// Overlaps lists the notes of workloads that met another one of their instance.
func Overlaps(census string) []string {
	found, _ := filepath.Glob(filepath.Join(census, "*.overlap"))
	return found
}
