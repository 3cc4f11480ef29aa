//go:build linux

package process

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// Behaviours that only processes have.
const (
	forks     launchertest.Behaviour = "forks"      // leaves processes wherever it can
	elsewhere launchertest.Behaviour = "elsewhere"  // listens on another port
	unhealthy launchertest.Behaviour = "unhealthy"  // answers 500
	inspects  launchertest.Behaviour = "inspects"   // prints what it finds, then serves
	hungry    launchertest.Behaviour = "hungry"     // takes 512 MiB of memory once it serves
	loses     launchertest.Behaviour = "loses"      // loses a child that takes 512 MiB once it serves, and ends after LIVES (a duration)
	eats      launchertest.Behaviour = "eats"       // takes 512 MiB of memory
	keeps     launchertest.Behaviour = "keeps"      // adds to the files KEPT, prints the files READ, then serves
	chatty    launchertest.Behaviour = "chatty"     // writes 4 MiB, then serves
	onIPv6    launchertest.Behaviour = "on-ipv6"    // listens on [::1] only
	late      launchertest.Behaviour = "late"       // listens once the file ALLOWED is there
	suicide   launchertest.Behaviour = "suicide"    // sends itself SIGKILL
	everyAddr launchertest.Behaviour = "every-addr" // listens on every address
)

var behaviours = map[launchertest.Behaviour]func(){
	forks: func() {
		spawn := func(attr syscall.SysProcAttr, env []string) {
			cmd := exec.Command(os.Args[0], "sample-app")
			cmd.Env = append(env, launchertest.EnvBehaviour+"="+string(launchertest.NeverOpen))
			cmd.SysProcAttr = &attr
			if err := cmd.Start(); err != nil {
				panic(err)
			}
			fmt.Println("child", cmd.Process.Pid)
		}
		mine := []string{procgroup.MarkerName + "=" + os.Getenv(procgroup.MarkerName)}
		spawn(syscall.SysProcAttr{}, nil)              // in the session, no marker
		spawn(syscall.SysProcAttr{Setpgid: true}, nil) // in the session, another group
		spawn(syscall.SysProcAttr{Setsid: true}, mine) // another session, marked
		spawn(syscall.SysProcAttr{Setsid: true}, nil)  // a descendant, nothing else
		launchertest.Serve(os.Getenv("PORT"))
	},
	elsewhere: func() { launchertest.Serve("0") },
	unhealthy: func() {
		http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
		}))
	},
	inspects: func() {
		found := inspection{Env: os.Environ()}
		found.Dir, _ = os.Getwd()
		entries, _ := os.ReadDir("/proc/self/fd")
		for _, e := range entries {
			if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
				found.FDs = append(found.FDs, e.Name()+" "+to)
			}
		}
		found.UID = os.Getuid()
		var processes unix.Rlimit
		_ = unix.Getrlimit(unix.RLIMIT_NPROC, &processes)
		found.Processes = processes.Cur
		_, shadow := os.ReadFile("/etc/shadow")
		found.Closed = os.IsPermission(shadow)
		p, _ := procgroup.ReadProc(os.Getpid())
		found.Leads = p.Session == p.PID && p.Group == p.PID
		token, _ := os.ReadFile(os.Getenv("SLIPWAY_TOKEN_FILE"))
		found.Token = string(token)
		file, _ := os.ReadFile("conf/app.yaml")
		found.File = string(file)
		b, _ := json.Marshal(found)
		fmt.Printf("inspection %s\n", b)
		launchertest.Serve(os.Getenv("PORT"))
	},
	hungry: func() {
		go eat()
		launchertest.Serve(os.Getenv("PORT"))
	},
	loses: func() {
		go func() {
			child := exec.Command("/proc/self/exe", "sample-app")
			child.Env = []string{launchertest.EnvBehaviour + "=" + string(eats)}
			fmt.Println("lost a child:", child.Run())
			lives, err := time.ParseDuration(os.Getenv("LIVES"))
			if err != nil {
				panic(err)
			}
			time.Sleep(lives)
			os.Exit(3)
		}()
		launchertest.Serve(os.Getenv("PORT"))
	},
	eats: eat,
	keeps: func() {
		for _, path := range strings.Split(os.Getenv("KEPT"), ":") {
			before, _ := os.ReadFile(path)
			err := os.WriteFile(path, append(before, '+'), 0o600)
			fmt.Printf("kept %s %q %v\n", path, before, err)
		}
		for _, path := range strings.Split(os.Getenv("READ"), ":") {
			b, err := os.ReadFile(path)
			fmt.Printf("read %s %q %v\n", path, b, err)
		}
		launchertest.Serve(os.Getenv("PORT"))
	},
	chatty: func() {
		line := strings.Repeat("x", 1023) + "\n"
		for range 4 << 10 {
			fmt.Print(line)
		}
		launchertest.Serve(os.Getenv("PORT"))
	},
	onIPv6: func() {
		l, err := net.Listen("tcp6", "[::1]:"+os.Getenv("PORT"))
		if err != nil {
			panic(err)
		}
		http.Serve(l, nil)
	},
	everyAddr: func() { http.ListenAndServe(":"+os.Getenv("PORT"), nil) },
	late: func() {
		for _, err := os.Stat(os.Getenv("ALLOWED")); err != nil; _, err = os.Stat(os.Getenv("ALLOWED")) {
			time.Sleep(10 * time.Millisecond)
		}
		launchertest.Serve(os.Getenv("PORT"))
	},
	suicide: func() { syscall.Kill(os.Getpid(), syscall.SIGKILL); time.Sleep(time.Minute) },
}

// eat takes 512 MiB of memory, once an app that does so would be ready.
func eat() {
	time.Sleep(300 * time.Millisecond)
	eaten := make([]byte, 512<<20)
	for n := 0; n < len(eaten); n += 4096 {
		eaten[n] = 1
	}
	runtime.KeepAlive(eaten)
}

type inspection struct {
	Env, FDs         []string
	Dir, Token, File string
	Leads, Closed    bool
	UID              int
	Processes        uint64 // the limit of them
}

// runControlPlane starts and stops workloads at random until it is killed.
func runControlPlane(dir string) {
	l, err := New(Config{DataDir: dir, Unpack: unzip})
	if err == nil {
		epoch, _ := strconv.ParseInt(os.Getenv("PROCESSTEST_EPOCH"), 10, 64)
		err = l.Lead(context.Background(), epoch)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("open")
	kinds := []launchertest.Behaviour{launchertest.Serves, launchertest.SlowStart, launchertest.Stubborn, launchertest.Crashes}
	for {
		id := fmt.Sprintf("instance-%d", rand.IntN(4))
		generation := time.Now().UnixNano()
		switch rand.IntN(5) {
		case 0:
			err = l.Stop(context.Background(), id, generation, 10*time.Millisecond)
		default:
			w := workload(id, generation, kinds[rand.IntN(len(kinds))],
				launchertest.EnvCensus+"="+os.Getenv(launchertest.EnvCensus))
			w.StopGrace = 20 * time.Millisecond
			err = l.Start(context.Background(), w)
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
	}
}
