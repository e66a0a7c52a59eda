package figures

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/resolver/match"
)

var (
	edgeKey  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{4}, 32))
	edgePub  = edgeKey.Public().(ed25519.PublicKey)
	otherPub = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, 32)).Public().(ed25519.PublicKey)
)

const cluster = "08a0b6f4c63756b94673a288aeec45ec"

func counts() []Count {
	return []Count{
		{"hotline-one/main", match.BasisVoluntary, 0}, {"hotline-one/main", match.BasisLaw, 1000}, {"hotline-one/main", match.BasisOrder, 7},
	}
}

func statement(t testing.TB, hour int64) Signed {
	t.Helper()
	s, err := New(cluster, "e1", hour, Hour, counts(), edgeKey, seeded(2))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAStatementHasNoiseAndHidesWhatIsSmall(t *testing.T) {
	s := statement(t, 1780002000)
	f, err := s.Verify(edgePub)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Rows) != 3 || f.Rows[0].Basis != "law" || f.Rows[0].Hidden || f.Rows[0].N < 900 || f.Rows[0].N > 1100 || !f.Rows[1].Hidden || !f.Rows[2].Hidden {
		t.Errorf("rows %+v", f.Rows)
	}
	if _, err := s.Verify(otherPub); !errors.Is(err, audit.ErrSignature) {
		t.Errorf("with another edge's key: %v", err)
	}
	broken := s
	broken.Body = bytes.Clone(s.Body)
	broken.Body[len(broken.Body)-1] ^= 1
	if _, err := broken.Verify(edgePub); err == nil {
		t.Error("a changed statement verifies")
	}
	different := false
	for i := range byte(20) {
		o, err := New(cluster, "e1", 1780002000, Hour, counts(), edgeKey, seeded(10+i))
		if err != nil {
			t.Fatal(err)
		}
		g, _ := o.Figures()
		different = different || g.Rows[0].N != f.Rows[0].N
	}
	if !different {
		t.Error("twenty statements of the same counts have the same number")
	}
}

func TestAStatementThatBreaksItsFormIsRefused(t *testing.T) {
	good, err := statement(t, 1780002000).Figures()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(f *Figures){
		"half an hour later":    func(f *Figures) { f.Hour += 1800 },
		"of no second":          func(f *Figures) { f.Seconds = 0 },
		"of more than an hour":  func(f *Figures) { f.Seconds = Hour + 1 },
		"less noise":            func(f *Figures) { f.Epsilon = [2]uint64{100, 1} },
		"a lower threshold":     func(f *Figures) { f.Threshold = 1 },
		"a number below it":     func(f *Figures) { f.Rows[1] = Row{f.Rows[1].List, f.Rows[1].Basis, 7, false} },
		"a hidden number":       func(f *Figures) { f.Rows[1].N = 7 },
		"rows in another order": func(f *Figures) { f.Rows[0], f.Rows[1] = f.Rows[1], f.Rows[0] },
		"a list that is none":   func(f *Figures) { f.Rows[0].List = "x" },
		"a basis that is none":  func(f *Figures) { f.Rows[0].Basis = "whim" },
		"of nobody":             func(f *Figures) { f.Edge = "" },
	} {
		f := good
		f.Rows = append([]Row{}, good.Rows...)
		change(&f)
		body, err := encMode.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		s := Signed{Body: body, Sig: ed25519.Sign(edgeKey, append([]byte(tag), body...))}
		if _, err := s.Verify(edgePub); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAFileIsReadToItsFirstFault(t *testing.T) {
	b := AppendRecord(AppendRecord(nil, statement(t, 1780002000)), statement(t, 1780005600))
	n := 0
	for s, err := range Read(bytes.NewReader(b)) {
		if _, ferr := s.Figures(); err != nil || ferr != nil {
			t.Fatal(err, ferr)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d records, want 2", n)
	}
	for _, cut := range []int{2, 10, len(b) - 1} {
		var last error
		for _, last = range Read(bytes.NewReader(b[:cut])) {
		}
		if !errors.Is(last, audit.ErrFormat) {
			t.Errorf("cut after %d bytes: %v", cut, last)
		}
	}
}

func TestASumOfNothingNamesNoTime(t *testing.T) {
	var text strings.Builder
	if err := new(Sum).WriteText(&text); err != nil || !strings.Contains(text.String(), "no statement") || strings.Contains(text.String(), "0001") {
		t.Errorf("%v:\n%s", err, &text)
	}
}

func TestASumSaysHowWrongItMayBe(t *testing.T) {
	s := NewSum(time.Unix(1780002000, 0), time.Unix(1780002000+3*Hour, 0))
	total := uint64(0)
	for i := range int64(4) {
		f, err := statement(t, 1780002000+i*Hour).Figures()
		if err != nil {
			t.Fatal(err)
		}
		if added := s.Add(f); added != (i < 3) {
			t.Errorf("hour %d: added %t", i, added)
		}
		if i < 3 {
			total += f.Rows[0].N
		}
		if s.Add(f) {
			t.Error("the same hour of an edge counts twice")
		}
	}
	law := s.Rows[0]
	if law.N != total || law.Said != 3 || law.Error95 != 20 || s.Rows[1].Unsaid != 3 || s.Hours != 3 || s.Seconds != 3*Hour {
		t.Errorf("sum %+v, want %d with an error of 20 (1.96 times the root of 96)", s, total)
	}
	var text strings.Builder
	if err := s.WriteText(&text); err != nil || !strings.Contains(text.String(), "give or take 20") || !strings.Contains(text.String(), "not one person") {
		t.Errorf("%v:\n%s", err, &text)
	}
}

func TestTheDocumentsVectorIsWhatWeWrite(t *testing.T) {
	doc, err := os.ReadFile("FIGURES.md")
	if err != nil {
		t.Fatal(err)
	}
	s := statement(t, 1780002000)
	for name, b := range map[string][]byte{"body": s.Body, "signature": s.Sig, "record": AppendRecord(nil, s)} {
		if line := name + " = " + hex.EncodeToString(b) + "\n"; !strings.Contains(string(doc), line) {
			t.Errorf("FIGURES.md lacks\n%s", line)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(AppendRecord(nil, statement(f, 1780002000)))
	f.Add([]byte{0, 0, 0, 1, 0xa0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		for s, err := range Read(bytes.NewReader(b)) {
			if err != nil {
				return
			}
			again = AppendRecord(again, s)
		}
		if !bytes.Equal(again, b) {
			t.Error("accepted, but written again it has other bytes")
		}
	})
}

// Whatever a disk made of a file, Salvage ends, and what it gives is what Decode takes; of a sound file it is what Read gives.
func FuzzSalvage(f *testing.F) {
	var whole []byte
	for hour := range int64(3) {
		whole = AppendRecord(whole, statement(f, 1780002000+hour*Hour))
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-7])
	f.Add(append([]byte{0, 0}, whole...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var sound, saved int
		clean := true
		for _, err := range Read(bytes.NewReader(b)) {
			if clean = err == nil; clean {
				sound++
			}
		}
		for s, err := range Salvage(bytes.NewReader(b)) {
			if err != nil {
				if clean {
					t.Fatalf("a sound file: %v", err)
				}
				continue
			}
			if _, err := Decode(AppendRecord(nil, s)[4:]); err != nil {
				t.Fatal(err)
			}
			saved++
		}
		if saved < sound || clean && saved != sound {
			t.Fatalf("%d records read, %d salvaged", sound, saved)
		}
	})
}

func TestDamageFarFromRecordsIsPassedOver(t *testing.T) {
	record := AppendRecord(nil, statement(t, 1780002000))
	for n := range 40 { // wherever a buffer ends
		b := slices.Concat(record, bytes.Repeat([]byte{0xa2, 0x63, 's'}, 4*MaxSize+n), record)
		found, broken := 0, 0
		for _, err := range Salvage(bytes.NewReader(b)) {
			if err == nil {
				found++
			} else {
				broken++
			}
		}
		if found != 2 || broken != 1 {
			t.Fatalf("filler %d: %d records and %d stretches, want 2 and 1", n, found, broken)
		}
	}
}
