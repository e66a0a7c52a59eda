package edge

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
		{}, {Answers: 9, Failures: 1}, {Answers: 9, Failures: 1}, // well, then idle
		{Attempts: 1, Answers: 9, Failures: 8},   // one name, again and again
		{Attempts: 100, Answers: 9, Failures: 8}, // questions whose time is not up
		{Answers: 9, Failures: 9, Servers: []upstream.ServerCounts{{Server: netip.MustParseAddrPort("192.0.2.8:853"), Trouble: "it has another key"}, {}}}, // dead
		{Answers: 9, Failures: 11},
		{Attempts: 300, Answers: 9, Failures: 11}, {Answers: 13, Failures: 12}, // idle, then back
		{Answers: 13, Failures: 19}, {Answers: 14, Failures: 19}, {Answers: 14, Failures: 20}, // too few in a row
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
	if strings.Count(log, "no upstream resolver answers") != 1 || !strings.Contains(log, `reason="192.0.2.8:853: it has another key"`) || !strings.Contains(log, "attempts=8") || strings.Count(log, "answer again") != 1 {
		t.Errorf("log:\n%s", log)
	}
}
