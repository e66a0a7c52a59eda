package control

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit/figures"
	"github.com/cordon-project/cordon/resolver/match"
)

// counted is an edge that has stopped so many names, and the hours that it hands in.
type counted struct {
	n   uint64
	now time.Time
}

func (c *counted) clock() time.Time { return c.now }

// hour is the statement of an hour that ends now, after one more.
func (c *counted) hour(t *testing.T) (figures.Figures, figures.Signed) {
	t.Helper()
	c.now = c.now.Add(figures.Hour * time.Second)
	ended := c.now.Unix()/figures.Hour*figures.Hour - figures.Hour
	rows := []figures.Count{{List: "hotline-one/main", Basis: match.BasisLaw, N: c.n}}
	signed, err := figures.New("08a0b6f4c63756b94673a288aeec45ec", "e1", ended, figures.Hour, rows, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{4}, 32)), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f, err := signed.Figures()
	if err != nil {
		t.Fatal(err)
	}
	return f, signed
}

func TestFiguresAreKeptOnceAndForALimitedTime(t *testing.T) {
	c := &counted{n: 500, now: time.Unix(1780002000, 0)}
	dir := filepath.Join(t.TempDir(), "figures")
	open := func() *figureShelf {
		s, err := openFigures(dir, c.clock, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
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
	f, signed := c.hour(t)
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
	g, next := c.hour(t)
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
	if f, signed = c.hour(t); s.Add(f, signed) != nil {
		t.Fatal("not kept")
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("after %d days the file is still there: %v", figureDays, err)
	}
}

// Damage in a file costs what it hit and nothing else, and a write that the disk did not take is as if it had never been.
func TestFiguresSurviveTheDisk(t *testing.T) {
	c := &counted{n: 500, now: time.Unix(1780012800, 0)} // 0:00 UTC
	dir := t.TempDir()
	open := func() *figureShelf {
		s, err := openFigures(dir, c.clock, slog.New(slog.DiscardHandler))
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
		var f figures.Figures
		f, last = c.hour(t)
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
		var err error
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
