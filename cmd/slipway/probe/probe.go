// Package probe is the command slipway probe: whether addresses answer, for the
// checks of images that hold nothing else to ask with.
package probe

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
)

type options struct {
	connect  string        // address and port; empty: what the URL says
	insecure bool          // whatever the certificate
	within   time.Duration // of all
}

// pause is how long a failed attempt is from the next.
const pause = 500 * time.Millisecond

// Command is `slipway probe`.
func Command(out io.Writer) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use: "probe URL…", Short: "Ask whether addresses answer", Hidden: true, Args: cobra.MinimumNArgs(1),
		Long: `Ask whether addresses answer: each by GET, until its status is below 300 or the
time is over. Redirects are not followed.`,
		RunE: func(cmd *cobra.Command, urls []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), o.within)
			defer cancel()
			for _, url := range urls {
				if err := o.await(ctx, url); err != nil {
					return err
				}
				fmt.Fprintf(out, "%s answers\n", url)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.connect, "connect", "", "`ADDRESS` and port to connect to, whatever the host of the URL")
	f.BoolVar(&o.insecure, "insecure", false, "do not look at the certificate")
	f.DurationVar(&o.within, "within", 30*time.Second, "how long to try")
	return cmd
}

// await asks until the answer is good or ctx ends; the error is that of the
// last attempt.
func (o options) await(ctx context.Context, url string) error {
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if o.connect != "" {
					address = o.connect
				}
				return new(net.Dialer).DialContext(ctx, network, address)
			},
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: o.insecure}, //nolint:gosec // the user says so
			DisableKeepAlives: true,
		},
	}
	last := fmt.Errorf("there was no time to try")
	for {
		err := ask(ctx, client, url)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return controlplane.Errorf(controlplane.CodeUnavailable, "reach %s: %v", url, last)
		}
	}
}

func ask(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return fmt.Errorf("the answer is %s: %q", resp.Status, text)
	}
	return nil
}
