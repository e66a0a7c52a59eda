package appliance

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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
	for range maxWaiting + 5 {
		c.now = c.now.Add(figures.Hour * time.Second)
		if err := r.look(); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.waiting) != maxWaiting {
		t.Errorf("%d statements wait, at most %d", len(r.waiting), maxWaiting)
	}
}

func TestFiguresAreKeptOnceAndForALimitedTime(t *testing.T) {
	c := &counted{now: time.Unix(1780002000, 0)}
	r := newReporter(c)
	dir := filepath.Join(t.TempDir(), "figures")
	open := func() *figureShelf {
		s, err := openFigures(dir, r.clock, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	hour := func() (figures.Figures, figures.Signed) {
		c.n += 500
		c.now = c.now.Add(figures.Hour * time.Second)
		if err := r.look(); err != nil {
			t.Fatal(err)
		}
		signed := r.waiting[len(r.waiting)-1]
		f, err := signed.Figures()
		if err != nil {
			t.Fatal(err)
		}
		return f, signed
	}
	read := func(from, to int64) int {
		var b bytes.Buffer
		if err := s.Write(&b, time.Unix(from, 0), time.Unix(to, 0)); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, err := range figures.Read(&b) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	f, signed := hour()
	for range 2 {
		if err := s.Add(f, signed); err != nil {
			t.Fatal(err)
		}
	}
	s = open() // after a restart
	if err := s.Add(f, signed); err != nil {
		t.Fatal(err)
	}
	if n := read(0, 1<<35); n != 1 {
		t.Errorf("%d records after the same hour three times, want 1", n)
	}
	if n := read(f.Hour+1, 1<<35); n != 0 {
		t.Errorf("%d records from after the hour", n)
	}
	path := filepath.Join(dir, dayFile(f.Hour))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(whole, 0, 0, 1), 0o600); err != nil { // the power went away while another was written
		t.Fatal(err)
	}
	s = open()
	g, next := hour()
	if err := s.Add(g, next); err != nil {
		t.Fatal(err)
	}
	if n := read(0, 1<<35); n != 2 {
		t.Errorf("%d records behind a cut off one, want 2", n)
	}
	late := c.now
	c.now = c.now.Add(figureLate + 2*time.Hour)
	if err := s.Add(f, signed); err == nil || !strings.Contains(err.Error(), "too late") {
		t.Errorf("an hour of three days ago: %v", err)
	}
	c.now = time.Unix(g.Hour, 0)
	if err := s.Add(g, next); err == nil {
		t.Error("an hour that is not over is kept")
	}
	c.now = late.AddDate(0, 0, figureDays+1)
	r.begin()
	if f, signed = hour(); s.Add(f, signed) != nil {
		t.Fatal("not kept")
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("after %d days the file is still there: %v", figureDays, err)
	}
}

// Damage in a file costs what it hit and nothing else, and a write that the disk did not take is as if it had never been.
func TestFiguresSurviveTheDisk(t *testing.T) {
	c := &counted{now: time.Unix(1780012800, 0)} // 0:00 UTC
	r := newReporter(c)
	dir := t.TempDir()
	open := func() *figureShelf {
		s, err := openFigures(dir, r.clock, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	var ends []int
	var last figures.Signed
	var whole []byte
	var path string
	for range 4 {
		c.now = c.now.Add(figures.Hour * time.Second)
		if err := r.look(); err != nil {
			t.Fatal(err)
		}
		last = r.waiting[len(r.waiting)-1]
		f, err := last.Figures()
		if err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(dir, dayFile(f.Hour))
		if len(ends) == 3 { // of the fourth, the disk fails once
			s.sync = func(*os.File) error { return errors.New("input/output error") }
			if err := s.Add(f, last); err == nil {
				t.Error("a statement that is not on the disk was taken")
			}
			s.sync = (*os.File).Sync
		}
		if err := s.Add(f, last); err != nil {
			t.Fatal(err)
		}
		if whole, err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, len(whole))
	}
	hours := func(b []byte) []int64 {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open()
		f, err := last.Figures()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Add(f, last); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := s.Write(&out, time.Unix(0, 0), time.Unix(1<<35, 0)); err != nil {
			t.Fatal(err)
		}
		var at []int64
		for signed, err := range figures.Read(&out) {
			if err != nil {
				t.Fatal(err)
			}
			f, err := signed.Figures()
			if err != nil {
				t.Fatal(err)
			}
			at = append(at, f.Hour)
		}
		return at
	}
	all := hours(whole)
	if len(all) != 4 {
		t.Fatalf("%d hours are there, want 4: the one whose first writing failed is there once", len(all))
	}
	for _, x := range []struct {
		name string
		at   int
	}{{"its length", ends[0]}, {"its head", ends[0] + 5}, {"its body", ends[1] - 3}} {
		b := bytes.Clone(whole)
		b[x.at] ^= 0xff
		if got := hours(b); !slices.Equal(got, []int64{all[0], all[2], all[3]}) {
			t.Errorf("the second of four has %s damaged: hours %v are there, want all but %d", x.name, got, all[1])
		}
	}
	if got := hours(whole[:ends[3]-5]); !slices.Equal(got, all) {
		t.Errorf("the last was cut off and came again: hours %v", got)
	}
}
