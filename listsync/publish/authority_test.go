package publish

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
)

func TestAcceptRefuses(t *testing.T) {
	tests := []struct {
		name string
		do   func(w *world)
		code Code
		want string
	}{
		{"an empty directory", func(w *world) { w.must(os.RemoveAll(w.accredits)); w.must(os.Mkdir(w.accredits, 0o700)) }, CodeInput, "no root.json"},
		{"too few root signatures", func(w *world) { w.unsign("1.root.json") }, CodeVerify, "2 of 3 root signatures"},
		{"too few accreditation signatures", func(w *world) { w.unsign("1.targets.json") }, CodeVerify, "1 of 2 accreditation signatures"},
		{"an edited charter", func(w *world) { w.edit("charter.json", "Hotline One", "Hotline Two") }, CodeVerify, "charter.json is not the charter"},
		{"an edited root", func(w *world) { w.edit("1.root.json", `"version":1`, `"version":2`) }, CodeInput, ""},
		{"another hotline's", func(w *world) {
			other := seeded(w.t, 8)
			other.accredit(10)
			w.accredits = other.accredits
		}, CodeInput, "names another"},
		{"one that has ended", func(w *world) { w.now = w.now.Add(366 * 24 * time.Hour) }, CodeVerify, "expired"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := unaccredited(t)
			w.accredit(365)
			tt.do(w)
			_, err := w.h.Accept(w.accredits)
			if ExitCode(err) != int(tt.code) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v (code %d), want code %d and %q", err, ExitCode(err), tt.code, tt.want)
			}
		})
	}
}

// unsign takes the last signature off a metadata file of the authority.
func (w *world) unsign(name string) {
	w.t.Helper()
	path := filepath.Join(w.accredits, name)
	b, err := os.ReadFile(path)
	w.must(err)
	end := bytes.Index(b, []byte(`],"signed"`))
	start := bytes.LastIndex(b[:end], []byte(`,{"keyid"`))
	w.must(os.WriteFile(path, append(b[:start:start], b[end:]...), 0o600))
}

func (w *world) edit(name, old, new string) {
	w.t.Helper()
	path := filepath.Join(w.accredits, name)
	b, err := os.ReadFile(path)
	w.must(err)
	if !bytes.Contains(b, []byte(old)) {
		w.t.Fatalf("%s does not hold %q", name, old)
	}
	w.must(os.WriteFile(path, bytes.Replace(b, []byte(old), []byte(new), 1), 0o600))
}

func TestAnOlderAccreditationIsRefused(t *testing.T) {
	w := unaccredited(t)
	w.accredit(365)
	old := w.path("old")
	w.must(copyDir(old, w.accredits))
	w.accredit(365)
	_, err := w.h.Accept(w.accredits)
	w.must(err)
	if _, err := w.h.Accept(old); !errors.Is(err, trust.ErrRollback) {
		t.Errorf("got %v", err)
	}
}

func TestKeysSignOnlyTheirOwnFile(t *testing.T) {
	w := unaccredited(t)
	w.accredit(365)
	root, targets := filepath.Join(w.accredits, "1.root.json"), filepath.Join(w.accredits, "1.targets.json")
	if _, err := SignMetadata(w.c, w.path("authority", "accreditation-1"), root); ExitCode(err) != int(CodeInput) {
		t.Errorf("accreditation key on root.json: got %v", err)
	}
	if _, err := SignMetadata(w.c, w.path("authority", "root-1"), targets); ExitCode(err) != int(CodeInput) {
		t.Errorf("root key on targets.json: got %v", err)
	}
	done, err := SignMetadata(w.c, w.path("authority", "root-1"), root)
	w.must(err)
	if !done[0].Again || done[0].Have != 3 || done[0].Need != 3 {
		t.Errorf("signing twice: got %+v", done)
	}
	other := w.path("other")
	_, err = InitAuthority(Config{}, other, false)
	w.must(err)
	if _, err := SignMetadata(w.c, filepath.Join(other, "root-1"), root); ExitCode(err) != int(CodeInput) {
		t.Errorf("another authority's key: got %v", err)
	}
}

func TestForeignDirectoriesAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	foreign := w.path("foreign")
	w.must(os.Mkdir(foreign, 0o700))
	w.must(os.WriteFile(filepath.Join(foreign, "letter.txt"), []byte("dear"), 0o600))
	pubs := []string{w.path("officer-1", "officer.pub"), w.path("officer-2", "officer.pub"), w.path("officer-3", "officer.pub")}
	init := func(dir string) error {
		_, err := Init(w.c, InitOptions{Dir: dir, ID: "hotline-one", Name: "Hotline One", List: "hotline-one/main", Canary: "canary.hotline-one.test", Officers: pubs})
		return err
	}
	for name, do := range map[string]func() error{
		"init over a hotline":      func() error { return init(w.path("hotline")) },
		"init over other files":    func() error { return init(foreign) },
		"authority over files":     func() error { _, err := InitAuthority(w.c, foreign, true); return err },
		"authority over authority": func() error { _, err := InitAuthority(w.c, w.path("authority"), true); return err },
		"officer over an officer":  func() error { _, err := NewOfficer(w.c, w.officers[0], ""); return err },
		"open what is no hotline":  func() error { _, err := Open(w.c, foreign); return err },
	} {
		if err := do(); !errors.Is(err, ErrForeign) || ExitCode(err) != int(CodeInput) {
			t.Errorf("%s: got %v, want ErrForeign", name, err)
		}
	}
	names, err := os.ReadDir(foreign)
	w.must(err)
	if len(names) != 1 {
		t.Errorf("the foreign directory has %d files now, want 1", len(names))
	}
}

func TestInitRefusesWeakHotlines(t *testing.T) {
	w := unaccredited(t)
	pub := func(i int) string { return filepath.Join(w.officers[i], "officer.pub") }
	good := InitOptions{ID: "h", Name: "H", List: "h/main", Canary: "canary.h.test", Officers: []string{pub(0), pub(1), pub(2)}}
	tests := []struct {
		name string
		mend func(o *InitOptions)
	}{
		{"two officers", func(o *InitOptions) { o.Officers = o.Officers[:2] }},
		{"one officer twice", func(o *InitOptions) { o.Officers[2] = pub(0) }},
		{"threshold of one", func(o *InitOptions) { o.Threshold = 1 }},
		{"threshold above the officers", func(o *InitOptions) { o.Threshold = 4 }},
		{"a list of another hotline", func(o *InitOptions) { o.List = "other/main" }},
		{"no list", func(o *InitOptions) { o.List = "H" }},
		{"canary on a public suffix", func(o *InitOptions) { o.Canary = "co.uk" }},
		{"canary that is an address", func(o *InitOptions) { o.Canary = "192.0.2.1" }},
		{"a private key for a public one", func(o *InitOptions) { o.Officers[0] = filepath.Join(w.officers[0], "officer.key") }},
		{"a root key for an officer's", func(o *InitOptions) { o.Officers[0] = w.path("authority", "root-1", "root.pub") }},
		{"no name", func(o *InitOptions) { o.Name = "" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := good
			o.Officers = append([]string{}, good.Officers...)
			o.Dir = filepath.Join(t.TempDir(), "h")
			tt.mend(&o)
			_, err := Init(w.c, o)
			if code := Code(ExitCode(err)); code != CodeUsage && code != CodeInput {
				t.Errorf("got %v (code %d)", err, code)
			}
			if exists(o.Dir) {
				t.Error("a directory was made")
			}
		})
	}
}

func TestAccreditRefusesOddCharters(t *testing.T) {
	w := unaccredited(t)
	good := AccreditOptions{Dir: w.path("authority"), Request: w.path("hotline", "request.json"), ValidDays: 10,
		Jurisdictions: []string{"XA"}, Bases: []string{"law"}, Kinds: []string{"host", "url"}}
	for name, mend := range map[string]func(o *AccreditOptions){
		"no such basis":        func(o *AccreditOptions) { o.Bases = []string{"custom"} },
		"no such kind":         func(o *AccreditOptions) { o.Kinds = []string{"host", "ip"} },
		"no host for a canary": func(o *AccreditOptions) { o.Kinds = []string{"url"} },
		"small letters":        func(o *AccreditOptions) { o.Jurisdictions = []string{"xa"} },
		"for ever":             func(o *AccreditOptions) { o.ValidDays = 100000 },
		"no time":              func(o *AccreditOptions) { o.ValidDays = 0 },
	} {
		o := good
		o.Out = filepath.Join(t.TempDir(), "out")
		mend(&o)
		if _, err := Accredit(w.c, o); ExitCode(err) != int(CodeUsage) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestALooseKeyFileIsRefused(t *testing.T) {
	w := newWorld(t)
	w.must(os.Chmod(filepath.Join(w.officers[0], "officer.key"), 0o640))
	if _, err := w.h.Sign(w.officers[0]); ExitCode(err) != int(CodeInput) || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("got %v", err)
	}
	if _, err := w.h.Sign(w.path("authority", "root-1")); ExitCode(err) != int(CodeInput) {
		t.Errorf("a root key: got %v", err)
	}
	stranger := w.path("stranger")
	_, err := NewOfficer(Config{}, stranger, "")
	w.must(err)
	if _, err := w.h.Sign(stranger); ExitCode(err) != int(CodeInput) || !strings.Contains(err.Error(), "officer-1, officer-2, officer-3") {
		t.Errorf("a stranger: got %v", err)
	}
}

func TestOperatorFilesAreChecked(t *testing.T) {
	w := newWorld(t)
	for name, text := range map[string]string{
		"no recipient":    `{"cluster":"00112233445566778899aabbccddeeff","name":"isp"}`,
		"bad recipient":   `{"cluster":"00112233445566778899aabbccddeeff","name":"isp","recipient":"age1xyz"}`,
		"a secret key":    `{"cluster":"00112233445566778899aabbccddeeff","name":"isp","recipient":"AGE-SECRET-KEY-1"}`,
		"path in cluster": `{"cluster":"../../../../../../../../../../etc","name":"isp","recipient":"age1"}`,
		"not JSON":        `age1`,
	} {
		path := w.path("x.pub")
		w.must(os.WriteFile(path, []byte(text), 0o600))
		if _, err := w.h.AddOperator(path); ExitCode(err) != int(CodeInput) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
