package edge

import (
	"bytes"
	"crypto/ed25519"
	"log/slog"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster/audit/figures"
	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/match"
)

const figureCluster = "08a0b6f4c63756b94673a288aeec45ec"

// counted is a resolver that has stopped this many names.
type counted struct {
	n   uint64
	now time.Time
}

func (c *counted) counts() []resolver.ListCount {
	return []resolver.ListCount{{List: "hotline-one/main", Basis: match.BasisLaw, N: c.n}}
}

func newReporter(c *counted) *reporter {
	r := &reporter{
		cluster: figureCluster, name: "e1", key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{4}, 32)), counts: c.counts,
		clock: func() time.Time { return c.now }, log: slog.New(slog.DiscardHandler),
	}
	r.begin()
	return r
}

func TestAnEdgeMakesOneStatementAnHour(t *testing.T) {
	c := &counted{n: 5000, now: time.Unix(1780002000+600, 0)} // ten minutes into an hour, and 5000 counted before
	r := newReporter(c)
	look := func(want int) figures.Figures {
		t.Helper()
		if err := r.look(); err != nil {
			t.Fatal(err)
		}
		if len(r.waiting) != want {
			t.Fatalf("%d statements, want %d", len(r.waiting), want)
		}
		if want == 0 {
			return figures.Figures{}
		}
		f, err := r.waiting[want-1].Figures()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	near := func(f figures.Figures, n uint64) {
		t.Helper()
		if len(f.Rows) != 1 || f.Rows[0].N+200 < n || f.Rows[0].N > n+200 { // beyond 200: 1 in 10^21
			t.Errorf("%+v, counted were %d", f.Rows, n)
		}
	}
	c.n += 1000
	look(0)
	c.now = time.Unix(1780002000+figures.Hour+1, 0)
	f := look(1)
	near(f, 1000)
	if f.Hour != 1780002000 || f.Seconds != 3000 {
		t.Errorf("hour %d, %d seconds of it, want 1780002000 and 3000", f.Hour, f.Seconds)
	}
	look(1)
	c.now = c.now.Add(-figures.Hour * time.Second) // the clock is set back: that hour has its noise
	c.n += 400
	look(1)
	c.now = c.now.Add(2*figures.Hour*time.Second + time.Second)
	f = look(2)
	near(f, 400)
	if f.Seconds != figures.Hour {
		t.Errorf("%d seconds", f.Seconds)
	}
	for range api.FigureHours + 5 {
		c.now = c.now.Add(figures.Hour * time.Second)
		if err := r.look(); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.waiting) != api.FigureHours {
		t.Errorf("%d statements wait, at most %d", len(r.waiting), api.FigureHours)
	}
}
