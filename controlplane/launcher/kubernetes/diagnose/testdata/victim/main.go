// Command victim is what the captured pods run: it ends in the way that its
// arguments say.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		os.Args = append(os.Args, "serve")
	}
	switch os.Args[1] {
	case "serve":
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM)
		<-ended
	case "exit": // CODE [TERMINATION-MESSAGE]
		if len(os.Args) > 3 {
			_ = os.WriteFile("/dev/termination-log", []byte(os.Args[3]), 0o600)
		}
		code, _ := strconv.Atoi(os.Args[2])
		os.Exit(code)
	case "eat": // MEBIBYTES
		n, _ := strconv.Atoi(os.Args[2])
		var held [][]byte
		for range n {
			block := make([]byte, 1<<20)
			for i := range block {
				block[i] = 1
			}
			held = append(held, block)
		}
		fmt.Println(len(held))
		time.Sleep(time.Hour)
	case "write": // PATH MEBIBYTES
		n, _ := strconv.Atoi(os.Args[3])
		if err := os.WriteFile(os.Args[2], make([]byte, n<<20), 0o600); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		time.Sleep(time.Hour)
	}
}
