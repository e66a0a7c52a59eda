package witness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A memory that somebody took away, a file or all of the folder, is missed; so is none that there never was.
func TestAMemoryThatIsGoneIsMissed(t *testing.T) {
	a, b := logParty(t, "log.example/one", 1), logParty(t, "log.example/two", 2)
	logs := []Log{mustLog(t, a.vkey), mustLog(t, b.vkey)}
	hand, err := NewSigner("w.example/w", seed(60))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "witness")
	open := func() (*Keeper, error) {
		k, err := OpenKeeper(KeeperConfig{Dir: dir, Hand: hand, Clock: time.Now})
		if err == nil {
			err = k.SetLogs(logs)
		}
		return k, err
	}
	k, err := open()
	if err != nil {
		t.Fatal(err)
	}
	tr := newTree(9)
	for _, p := range []party{a, b} {
		if _, err := k.Add(Request{Note: sign(t, tr.text(p.signer.Name(), 5), p)}); err != nil {
			t.Fatal(err)
		}
	}
	left := filepath.Join(dir, tempPrefix+"123")
	if err := os.WriteFile(left, []byte("cut off"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a crash left of a file is still there: %v", err)
	}
	one := filepath.Join(dir, k.disk.name(a.signer.Name()))
	if err := os.Remove(one); err != nil {
		t.Fatal(err)
	}
	for range 2 { // not only at the first start
		if _, err := open(); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), one) || !strings.Contains(err.Error(), a.signer.Name()) {
			t.Errorf("one file is gone: %v", err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := open(); !errors.Is(err, ErrGone) {
		t.Errorf("the folder is gone: %v", err)
	}
	names, err := os.ReadFile(dir + namedSuffix)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+namedSuffix, names[:len(names)-9], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(); !errors.Is(err, ErrDamaged) {
		t.Errorf("its names are damaged: %v", err)
	}
	if err := os.Remove(dir + namedSuffix); err != nil { // what a person does who has no backup
		t.Fatal(err)
	}
	if k, err = open(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Add(Request{Note: sign(t, tr.text(a.signer.Name(), 7), a)}); err != nil {
		t.Errorf("after its line was taken out: %v", err)
	}
}

// A log that has somebody shown a row of checkpoints with huge sizes does not make this memory forget what others see of it, or keep it back from them.
func TestARowOfHugeCheckpointsHidesNothing(t *testing.T) {
	a := logParty(t, "log.example/one", 1)
	log := mustLog(t, a.vkey)
	dir := t.TempDir()
	open := func() *Seen {
		s, err := OpenSeen(dir, time.Now, func(Fork) { t.Error("a fork") })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s, tr := open(), newTree(200)
	for size := 1; size <= 20; size++ {
		if err := s.Add(log, sign(t, tr.text(log.Origin, size), a), "repository"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 * maxHeads {
		root := [32]byte{byte(i)}
		huge := fmt.Sprintf("%s\n%d\n%s\n", log.Origin, 1<<39+i, encode64(root[:]))
		if err := s.Add(log, sign(t, huge, a), "asked to witness it"); err != nil {
			t.Fatal(err)
		}
		if i == 50 {
			s = open() // who showed them is remembered
		}
	}
	if err := s.Add(log, sign(t, tr.text(log.Origin, 21), a), "repository"); err != nil {
		t.Fatal(err)
	}
	heads := s.Heads(log.Origin)
	if len(heads) != maxHeads || heads[0].Size != 1 || heads[20].Size != 21 {
		t.Errorf("%d heads, the first of size %d, want all 21 that the repository showed", len(heads), heads[0].Size)
	}
	if n := s.Newest(); len(n) != 2 || n[0].Size != 21 || n[1].Size != 1<<39+3*maxHeads-1 {
		t.Errorf("newest %+v, want the repository's beside the huge one", n)
	}
}
