package publish

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

// world is an authority, three officers and a hotline in a temporary directory, with a clock of its own.
type world struct {
	t         testing.TB
	dir       string
	now       time.Time
	c         Config
	officers  []string
	h         *Hotline
	accredits string
	cluster   *age.X25519Identity
}

var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// unaccredited makes a world up to the hotline's request.
func unaccredited(t testing.TB) *world {
	t.Helper()
	return seeded(t, 7)
}

// seeded is unaccredited with keys of its own for each seed.
func seeded(t testing.TB, n byte) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), now: start}
	seed := rand.NewChaCha8([32]byte{n})
	w.c = Config{Clock: func() time.Time { return w.now }, Rand: seed, Wait: 2 * time.Second}
	_, err := InitAuthority(w.c, w.path("authority"), true)
	w.must(err)
	var pubs []string
	for i := range 3 {
		dir := w.path(fmt.Sprintf("officer-%d", i+1))
		_, err := NewOfficer(w.c, dir, "")
		w.must(err)
		w.officers = append(w.officers, dir)
		pubs = append(pubs, filepath.Join(dir, "officer.pub"))
	}
	w.h, err = Init(w.c, InitOptions{Dir: w.path("hotline"), ID: "hotline-one", Name: "Hotline One", List: "hotline-one/main", Canary: "canary.hotline-one.test", Officers: pubs})
	w.must(err)
	w.accredits = w.path("accredited")
	return w
}

// accredit has the authority grant days, signed by all who must.
func (w *world) accredit(days int) {
	w.t.Helper()
	granted, err := Accredit(w.c, AccreditOptions{
		Dir: w.path("authority"), Request: w.path("hotline", "request.json"), Out: w.accredits, ValidDays: days,
		Jurisdictions: []string{"XA", "XB"}, Bases: []string{"law", "order", "voluntary"}, Kinds: []string{"url", "prefix", "host", "domain"},
	})
	w.must(err)
	for i, keys := range [][]string{{"root-1", "root-2", "root-4"}, {"accreditation-1", "accreditation-3"}} {
		for _, k := range keys {
			_, err := SignMetadata(w.c, w.path("authority", k), granted.Sign[i])
			w.must(err)
		}
	}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := unaccredited(t)
	w.accredit(365)
	_, err := w.h.Accept(w.accredits)
	w.must(err)
	return w
}

func (w *world) path(elem ...string) string {
	return filepath.Join(append([]string{w.dir}, elem...)...)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// review is a good review_by for an import at any time a test reaches.
func (w *world) review() string { return w.now.Add(170 * 24 * time.Hour).Format(time.DateOnly) }

// importRows imports "expression,kind" pairs with good values in the other columns.
func (w *world) importRows(rows ...string) Imported {
	w.t.Helper()
	done, err := w.h.Import(strings.NewReader(w.csv(rows...)))
	w.must(err)
	return done
}

func (w *world) csv(rows ...string) string {
	text := Header + "\n"
	for _, r := range rows {
		text += r + ",csam-baseline,law,XA," + w.review() + ",ann,bob,\"synthetic, for tests\"\n"
	}
	return text
}

// publishAll signs with the first two officers and publishes.
func (w *world) publishAll() *Published {
	w.t.Helper()
	for _, o := range w.officers[:2] {
		_, err := w.h.Sign(o)
		w.must(err)
	}
	p, err := w.h.Publish("")
	w.must(err)
	return p
}

// addOperator makes an operator's cluster key and adds it.
func (w *world) addOperator(name string) string {
	w.t.Helper()
	id, err := age.GenerateX25519Identity()
	w.must(err)
	w.cluster = id
	cluster := hex.EncodeToString(fmt.Appendf(nil, "%-16.16s", name))
	b, err := json.Marshal(Operator{Cluster: cluster, Name: name, Recipient: id.Recipient().String()})
	w.must(err)
	path := w.path(name + ".pub")
	w.must(os.WriteFile(path, b, 0o600))
	_, err = w.h.AddOperator(path)
	w.must(err)
	return cluster
}

func TestRowCodecIsJSON(t *testing.T) {
	w := newWorld(t)
	w.importRows("a.test,host", `"http://b.test/a?x=%22,y",url`)
	text := w.csv("c.test,domain")
	text = strings.Replace(text, "synthetic, for tests", `he said ""no"" — über \ <b>`, 1)
	_, err := w.h.Import(strings.NewReader(text))
	w.must(err)
	path := w.path("hotline", "entries.jsonl")
	entries, _, err := readEntries(path)
	w.must(err)
	raw, err := os.ReadFile(path)
	w.must(err)
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	if len(lines) != 3 || len(entries) != 3 {
		t.Fatalf("got %d lines and %d entries, want 3 and 3", len(lines), len(entries))
	}
	for i, l := range lines {
		var r row
		w.must(json.Unmarshal([]byte(l), &r))
		e, err := r.entry()
		w.must(err)
		if e != entries[i] {
			t.Errorf("line %d: encoding/json reads %+v, the codec %+v", i+1, e, entries[i])
		}
		again, err := newRowReader().read(strings.Replace(l, `,"kind"`, ` ,  "kind"`, 1))
		w.must(err)
		if again != e {
			t.Errorf("line %d with spaces: got %+v, want %+v", i+1, again, e)
		}
	}
}

func TestLineReaderKeepsNoLongLine(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
	}{
		{"nothing", "", nil},
		{"no last newline", "a\nb", []string{"a", "b"}},
		{"windows", "a\r\nb\r\n", []string{"a", "b"}},
		{"empty lines", "\n\r\n", []string{"", ""}},
		{"at the limit", strings.Repeat("x", 100) + "\r\ny", []string{strings.Repeat("x", 100), "y"}},
		{"over the limit", strings.Repeat("x", 101) + "\ny\n", []string{"!", "y"}},
		{"far over the limit", strings.Repeat("x", 1<<20) + "\ny", []string{"!", "y"}},
		{"over the limit at the end", "y\n" + strings.Repeat("x", 1<<20), []string{"y", "!"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := newLineReader(strings.NewReader(tt.in), 100)
			var got []string
			for {
				line, err := in.next()
				if err == io.EOF {
					break
				}
				if err == errLineTooLong {
					line = []byte("!")
				} else if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(line))
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestJSONFromOutsideIsStrict(t *testing.T) {
	tests := []struct {
		name, in string
		ok       bool
	}{
		{"good", `{"cluster":"x","name":"n","recipient":"r"}`, true},
		{"member twice", `{"cluster":"x","cluster":"y"}`, false},
		{"other case", `{"Cluster":"x"}`, false},
		{"unknown member", `{"clusters":"x"}`, false},
		{"trailing data", `{"cluster":"x"} {}`, false},
		{"deep", strings.Repeat(`{"cluster":`, 40), false},
		{"cut off", `{"cluster":"x"`, false},
		{"empty", ``, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var o Operator
			if err := decodeJSON([]byte(tt.in), &o); (err == nil) != tt.ok {
				t.Errorf("got error %v, want ok %t", err, tt.ok)
			}
		})
	}
}
