package edge

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestOldCheckpointsAndClocksBehindAreSaidOnce(t *testing.T) {
	var out bytes.Buffer
	a := ages{maxStale: time.Hour, log: slog.New(slog.NewTextHandler(&out, nil))}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		age  time.Duration
		said string // "" for nothing
	}{
		{0, ""}, {time.Hour, ""},
		{time.Hour + time.Second, "checkpoint is old"}, {2 * time.Hour, ""}, {time.Minute, "fresh again"},
		{-time.Minute, ""}, // control nodes' own clocks differ by seconds
		{-time.Minute - time.Second, "behind=1m1s"}, {-time.Hour, ""}, {-time.Minute, ""}, {-time.Second, "agrees with its cluster's again"},
		{0, ""},
	} {
		out.Reset()
		a.look(t.Context(), now, now.Add(-tt.age))
		if got := out.String(); (got == "") != (tt.said == "") || !strings.Contains(got, tt.said) {
			t.Errorf("age %v: said %q, want %q", tt.age, got, tt.said)
		}
		later := a
		out.Reset()
		if later.look(t.Context(), now.Add(time.Hour), now.Add(-tt.age)); strings.Contains(out.String(), "clock") {
			t.Errorf("age %v: time alone made it say %q", tt.age, out.String())
		}
	}
}
