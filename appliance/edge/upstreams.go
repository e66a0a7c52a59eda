package edge

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/resolver/upstream"
)

const upstreamsEvery = 10 * time.Second

// enoughFailures is how many attempts in a row must fail before all upstreams are said to be silent: a question may have three, so that one, or one
// that is asked again, alarms nobody.
const enoughFailures = 8

// watchUpstreams says in the log when no upstream resolver answers any more, and when one does again. Until then names that are not listed get
// SERVFAIL with EDE 22 or 23, and listed ones are stopped as ever.
func watchUpstreams(ctx context.Context, counts func() upstream.Counts, every time.Duration, log *slog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	last, dead, row := counts(), false, uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := counts()
		answered := now.Answers > last.Answers
		if row += now.Failures - last.Failures; answered {
			row = 0
		}
		switch {
		case !dead && row >= enoughFailures:
			dead = true
			log.ErrorContext(ctx, "no upstream resolver answers: names that are not listed get SERVFAIL", slog.Uint64("attempts", row), slog.String("reason", troubles(now)))
		case dead && answered:
			dead = false
			log.InfoContext(ctx, "upstream resolvers answer again")
		}
		last = now
	}
}

// troubles says of each upstream to which no connection could be opened why, so that a wrong pin or name is not guessed at.
func troubles(c upstream.Counts) string {
	var out []string
	for _, s := range c.Servers {
		if s.Trouble != "" {
			out = append(out, s.Server.String()+": "+s.Trouble)
		}
	}
	if len(out) == 0 {
		return "no usable answer came in time"
	}
	return strings.Join(out, "; ")
}

// zones are the names that have resolvers of their own.
func zones(c *config.Edge) []upstream.Zone {
	var out []upstream.Zone
	for _, f := range c.Forward {
		out = append(out, upstream.Zone{Name: f.Zone, Servers: f.Servers})
	}
	return out
}

// upstreamIdentity is how upstreams prove who they are; nil: they are asked in clear.
func upstreamIdentity(c *config.Edge) (*upstream.Identity, error) {
	u := &c.UpstreamTLS
	if !u.Used() {
		return nil, nil
	}
	id := &upstream.Identity{Name: u.Name, Pins: u.Pins}
	if u.CA != "" {
		pem, err := os.ReadFile(u.CA)
		if err != nil {
			return nil, fmt.Errorf("read upstream_tls.ca: %w", err)
		}
		if id.Roots = x509.NewCertPool(); !id.Roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read upstream_tls.ca: %s holds no certificate; name a PEM file", u.CA)
		}
	}
	return id, nil
}
