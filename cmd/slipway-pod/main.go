//go:build linux

package main

import (
	"os"

	"github.com/seed-dbc68772/slipway/cmd/slipway-pod/pod"
)

func main() { os.Exit(pod.Main(os.Args[1:])) }
