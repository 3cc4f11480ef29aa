//go:build linux

package identity

import (
	"fmt"
	"testing"
)

// BenchmarkCheck is what one new connection costs more.
func BenchmarkCheck(b *testing.B) {
	for _, c := range []struct{ name, how string }{{"alone", "serve"}, {"shareable", "share"}} {
		b.Run(c.name, func(b *testing.B) {
			address := fmt.Sprintf("127.0.0.1:%d", freePort(b))
			own, checker := start(b, c.how, address), newChecker(b)
			in := own.instance()
			if err := ask(b, checker, address, in); err != nil {
				b.Fatal(err)
			}
			conn, began, err := dial(address)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			b.ReportAllocs()
			for b.Loop() {
				if err := checker.Check(conn, began, in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("first", func(b *testing.B) {
		address := fmt.Sprintf("127.0.0.1:%d", freePort(b))
		own := start(b, "serve", address)
		conn, began, err := dial(address)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		for b.Loop() {
			checker := newChecker(b)
			if err := checker.Check(conn, began, own.instance()); err != nil {
				b.Fatal(err)
			}
			checker.Close()
		}
	})
}
