package appliance

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/resolver/upstream"
)

func TestDeadUpstreamsAreSaidOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	story := []upstream.Counts{
		{}, {Attempts: 10, Failures: 1}, {Attempts: 10, Failures: 1}, // well, then idle
		{Attempts: 15, Failures: 6, Servers: []upstream.ServerCounts{{Server: netip.MustParseAddrPort("192.0.2.8:853"), Trouble: "it has another key"}, {}}}, // dead
		{Attempts: 20, Failures: 11},
		{Attempts: 20, Failures: 11}, {Attempts: 25, Failures: 12}, // idle, then back
	}
	i := 0
	counts := func() upstream.Counts {
		c := story[min(i, len(story)-1)]
		if i++; i > len(story)+1 {
			cancel()
		}
		return c
	}
	var out bytes.Buffer
	watchUpstreams(ctx, counts, time.Millisecond, slog.New(slog.NewTextHandler(&out, nil)))
	log := out.String()
	if strings.Count(log, "no upstream resolver answers") != 1 || !strings.Contains(log, `reason="192.0.2.8:853: it has another key"`) || strings.Count(log, "answer again") != 1 {
		t.Errorf("log:\n%s", log)
	}
}
