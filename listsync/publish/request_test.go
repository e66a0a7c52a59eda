package publish

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/listsync/trust"
)

// answer has officer n sign a request on a machine of their own.
func (w *world) answer(n int, request, out string, change ...func(*AnswerOptions)) (*Answered, error) {
	o := AnswerOptions{Officer: w.officers[n], Request: request, Out: out, Work: w.t.TempDir()}
	for _, c := range change {
		c(&o)
	}
	return Answer(w.c, o)
}

// request exports one.
func (w *world) request(full bool, names ...string) string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "request")
	_, err := w.h.Export(ExportOptions{File: path, For: names, Full: full})
	w.must(err)
	return path
}

// wantCode wants a fault of this code that says all of these.
func (w *world) wantCode(err error, code Code, says ...string) {
	w.t.Helper()
	if ExitCode(err) != int(code) {
		w.t.Errorf("exit code %d (%v), want %d", ExitCode(err), err, code)
		return
	}
	for _, s := range says {
		if err == nil || !strings.Contains(err.Error(), s) {
			w.t.Errorf("got %q, want %q in it", err, s)
		}
	}
}

func TestOfficersSignOnMachinesOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	w.addOperator("isp-one")
	for seq, rows := range [][]string{{"bad.test,domain", "https://page.test/x,url"}, {"new.test,host"}} {
		w.importRows(rows...)
		for n, full := range []bool{false, true} {
			x, err := w.h.Export(ExportOptions{File: w.path("request"), Full: full})
			w.must(err)
			if len(x.For) != 3-n {
				t.Errorf("a request for %v, want those who have not signed", x.For)
			}
			out := w.path("signature")
			_, err = w.answer(n, w.path("request"), "")
			w.must(err)
			if exists(out) && seq == 0 && n == 0 {
				t.Error("a signature without --out")
			}
			a, err := w.answer(n, w.path("request"), out)
			w.must(err)
			if a.Proved != full || a.Seq != uint64(seq)+1 || a.Diff.AddedCount != len(rows) || a.Keys != 1 || a.First != (seq == 0) {
				t.Errorf("answer %+v", a)
			}
			var text bytes.Buffer
			w.must(a.Write(&text, 0))
			if want := map[bool]string{true: "PROVED HERE", false: "TAKEN ON TRUST"}[full]; !strings.Contains(text.String(), want) || !strings.Contains(text.String(), a.Diff.Added[0].Words) {
				t.Errorf("it says %q", text.String())
			}
			stat, err := w.h.Status()
			w.must(err)
			if len(stat.Staged.Requests) != n+1 {
				t.Errorf("requests out %+v, want %d", stat.Staged.Requests, n+1)
			}
			for _, again := range []bool{false, true} {
				g, err := w.h.ImportSignature(out)
				w.must(err)
				if g.Already != again || len(g.Have) != n+1 {
					t.Errorf("import %+v", g)
				}
			}
		}
		p, err := w.h.Publish("")
		w.must(err)
		if p.Seq != uint64(seq)+1 || len(p.SignedBy) != 2 {
			t.Errorf("published %+v", p)
		}
	}
}

func TestARequestThatWasChangedIsRefused(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	request := w.request(true)
	good, err := os.ReadFile(request)
	w.must(err)
	spoilt := w.path("spoilt")
	for i := 0; i < len(good); i += 97 {
		b := bytes.Clone(good)
		b[i] ^= 1
		w.must(os.WriteFile(spoilt, b, 0o600))
		if _, err := w.answer(0, spoilt, w.path("sig")); ExitCode(err) != int(CodeVerify) && ExitCode(err) != int(CodeInput) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	for _, b := range [][]byte{nil, good[:len(good)-1], good[:len(good)/2], append(bytes.Clone(good), 0), []byte("age-encryption.org/v1\n")} {
		w.must(os.WriteFile(spoilt, b, 0o600))
		if _, err := w.answer(0, spoilt, w.path("sig")); ExitCode(err) != int(CodeVerify) && ExitCode(err) != int(CodeInput) {
			t.Errorf("%d of %d bytes: %v", len(b), len(good), err)
		}
	}
	if exists(w.path("sig")) || exists(filepath.Join(w.officers[0], signedFile)) {
		t.Error("something was signed")
	}
	other := w.request(false, "officer-2")
	_, err = w.answer(0, other, "")
	w.wantCode(err, CodeInput, "encrypted to other officers")
}

// forge is what a hostile machine at the hotline can do: it knows every officer's recipient and may write what it likes.
func (w *world) forge(full bool, change func(head *requestHead, files []carried) []carried) string {
	w.t.Helper()
	w.request(full) // stages
	s, err := w.h.begin()
	w.must(err)
	defer s.release()
	c, e, meta, err := s.loadCandidate()
	w.must(err)
	g := &Signed{}
	_, _, err = s.review(g, SignOptions{All: true, later: true})
	w.must(err)
	files, err := s.requestFiles(g, c, meta, full)
	w.must(err)
	for i := range files { // all in memory, to be changed
		if files[i].path != "" {
			files[i].b, err = os.ReadFile(files[i].path)
			w.must(err)
			files[i].path = ""
		}
	}
	head := requestHead{V: 1, Hotline: s.set.Hotline, List: string(s.set.List), Seq: c.Seq, Signed: signedSum(e), Full: full}
	files = change(&head, files)
	path := filepath.Join(w.t.TempDir(), "forged")
	_, err = writeRequest(path, s.set.Officers, head, files)
	w.must(err)
	return path
}

func edit(files []carried, name string, old, with string) []carried {
	for i := range files {
		if files[i].name == name {
			if !bytes.Contains(files[i].b, []byte(old)) {
				panic(name + " has no " + old)
			}
			files[i].b = bytes.ReplaceAll(files[i].b, []byte(old), []byte(with))
			return files
		}
	}
	panic("no " + name)
}

func TestAHostileMachineGetsNoSignatureOnWhatIsNotShown(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain", "old.test,host")
	w.publishAll()
	w.importRows("next.test,host", "other.test,host")
	for _, c := range []struct {
		name   string
		full   bool
		change func(head *requestHead, files []carried) []carried
		says   string
	}{
		{"an entry is shown as another", true, func(_ *requestHead, f []carried) []carried { return edit(f, "entries.jsonl", "next.test", "nice.test") }, ""},
		{"the record of the last version hides one", true, func(_ *requestHead, f []carried) []carried {
			return edit(f, "versions/1.entries.jsonl", "old.test", "oled.test")
		}, "record of version 1"},
		{"keys of another epoch", true, func(_ *requestHead, f []carried) []carried {
			return edit(f, "keys/epoch-1.json", `"match": "`, `"match": "00`)
		}, ""},
		{"an addition is left out of the words", false, func(_ *requestHead, f []carried) []carried {
			return edit(f, "difference.json", `"added":2`, `"added":1`)
		}, "2 and 0 are signed"},
		{"words without an entry", false, func(_ *requestHead, f []carried) []carried {
			for i := range f {
				if f[i].name == "difference.json" {
					var d Diff
					w.must(json.Unmarshal(f[i].b, &d))
					d.Added = d.Added[:1]
					f[i].b, _ = json.Marshal(d)
				}
			}
			return f
		}, "does not name every entry"},
		{"another version in its head", false, func(h *requestHead, f []carried) []carried { h.Seq++; return f }, "not what it speaks of"},
		{"another list in its head", false, func(h *requestHead, f []carried) []carried { h.List = "hotline-one/else"; return f }, "says hotline-one/else"},
		{"officers of its own", false, func(_ *requestHead, f []carried) []carried {
			return edit(f, "hotline.json", `"threshold": 2`, `"threshold": 3`)
		}, "do not belong together"},
		{"a charter of its own", true, func(_ *requestHead, f []carried) []carried {
			return edit(f, "accredited/charter.json", "Hotline One", "Hotline Two")
		}, ""},
		{"a file above its directory", false, func(_ *requestHead, f []carried) []carried {
			return append([]carried{{name: "../x", b: []byte("x")}}, f...)
		}, "file name"},
		{"a file twice", false, func(_ *requestHead, f []carried) []carried { return append(f[:1:1], f...) }, "not in order"},
		{"of a later version of the tool", false, func(h *requestHead, f []carried) []carried { h.V = 2; return f }, "version 2 is unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.answer(0, w.forge(c.full, c.change), w.path("sig"))
			if code := ExitCode(err); code != int(CodeVerify) && code != int(CodeInput) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("exit %d, %v; want it refused with %q", code, err, c.says)
			}
			if exists(w.path("sig")) {
				t.Fatal("it was signed")
			}
		})
	}
	honest := func(_ *requestHead, f []carried) []carried { return f }
	for _, full := range []bool{true, false} {
		if _, err := w.answer(0, w.forge(full, honest), w.path("sig")); err != nil {
			t.Errorf("an honest request: %v; the cases above prove nothing", err)
		}
	}
}

// TestARequestMovesNoCursor: what it says cannot overwrite on the officer's terminal what the tool says about it.
func TestARequestMovesNoCursor(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain", "held.test,host")
	_, err := w.hold(30, "held.test")
	w.must(err)
	for _, c := range []struct {
		full            bool
		name, old, with string
	}{
		{false, "difference.json", "Police of XA", `Police\u001b[9A`},
		{false, "difference.json", `"expression":"held.test"`, `"expression":"held\u001b[9A.test"`},
		{false, "difference.json", `"kind":"host","expression":"held.test"`, `"kind":"host","covered_by":"\u001b[9A","expression":"held.test"`},
		{true, "holdbacks.jsonl", "Police of XA", `Police\u001b[9A`},
	} {
		a, err := w.answer(0, w.forge(c.full, func(_ *requestHead, f []carried) []carried { return edit(f, c.name, c.old, c.with) }), "")
		w.must(err)
		var text bytes.Buffer
		w.must(a.Write(&text, 0))
		if strings.Contains(text.String(), "\x1b") || !strings.Contains(text.String(), "?[9A") {
			t.Errorf("%s in %s: it shows %q", c.with, c.name, text.String())
		}
	}
}

// TestARequestWritesNothingOutsideOfItself: nor does it have the tool do so that goes on with what was cut off.
func TestARequestWritesNothingOutsideOfItself(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain", "old.test,host")
	w.publishAll()
	_, err := w.h.Withdraw(w.officers[:1], "error", "old.test")
	w.must(err)
	raw, err := os.ReadFile(w.path("hotline", "withdrawals", "1.cbor"))
	w.must(err)
	outside := w.path("outside")
	_, err = w.answer(0, w.forge(true, func(_ *requestHead, f []carried) []carried {
		f = append(edit(f, "state.json", `"repository":"repository"`, `"repository":"`+outside+`"`), carried{name: "withdrawals/1.cbor", b: raw})
		slices.SortFunc(f, func(a, b carried) int { return strings.Compare(a.name, b.name) })
		return f
	}), "")
	w.wantCode(err, CodeVerify, "outside")
	if exists(outside) {
		t.Error("the officer's tool has written there")
	}
}

func TestARequestGoesWithoutStrangeFiles(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	for _, name := range []string{"hotline.json~", "rows (1).csv"} {
		w.must(os.WriteFile(w.path("hotline", name), []byte("x"), 0o600))
	}
	_, err := w.answer(0, w.request(true), w.path("sig"))
	w.must(err)
}

func TestAnOfficerRemembersTheAuthorityAndTheNewestVersion(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	one := w.request(false)
	_, err := w.answer(2, one, w.path("s3"))
	w.must(err)
	w.publishAll()
	w.importRows("next.test,host")
	_, err = w.answer(2, w.request(true), w.path("s3"))
	w.must(err)
	_, err = w.answer(2, one, w.path("s3"))
	w.wantCode(err, CodeVerify, "has signed version 2")
	w.importRows("third.test,host")
	a, err := w.answer(2, w.request(true), w.path("s3"))
	w.must(err)
	if len(a.Notes) != 1 || !strings.Contains(a.Notes[0], "another version 2") {
		t.Errorf("notes %q, want that there was another version 2", a.Notes)
	}

	o := seeded(t, 9) // a hotline of the same name, under another authority
	o.accredit(365)
	_, err = o.h.Accept(o.accredits)
	o.must(err)
	o.importRows("bad.test,domain")
	log, err := os.ReadFile(filepath.Join(w.officers[2], signedFile))
	w.must(err)
	o.must(os.WriteFile(filepath.Join(o.officers[2], signedFile), log, 0o600))
	_, err = o.answer(2, o.request(true), o.path("s3"))
	o.wantCode(err, CodeVerify, "another authority")
}

func TestSignaturesThatDoNotFit(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	sig := w.path("sig")
	_, err := w.answer(0, w.request(false), sig)
	w.must(err)
	good, err := os.ReadFile(sig)
	w.must(err)
	for _, c := range []struct {
		name, old, with string
		code            Code
		says            string
	}{
		{"not a signature", `"v": 1`, `"x": 1`, CodeInput, "not a signature"},
		{"of a later tool", `"v": 1`, `"v": 2`, CodeInput, "version 2"},
		{"of another hotline", `"hotline": "hotline-one"`, `"hotline": "hotline-two"`, CodeInput, "hotline-two"},
		{"of another list", `hotline-one/main`, `hotline-one/else`, CodeInput, "hotline-one/else"},
		{"for another version", `"seq": 1`, `"seq": 2`, CodeVerify, "another version 2"},
		{"with a reason that was added", `"proved": false`, `"proved": false, "approve": "all is well"`, CodeVerify, "does not verify"},
		{"said to be proved", `"proved": false`, `"proved": true`, CodeVerify, "does not verify"},
		{"of somebody else", `"keyid": "`, `"keyid": "00`, CodeInput, "not an accredited officer"},
		{"with a flipped bit", `"sig": "`, `"sig": "0`, CodeVerify, "does not verify"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(string(good), c.old) {
				t.Fatalf("the signature file has no %s", c.old)
			}
			w.must(os.WriteFile(sig, []byte(strings.Replace(string(good), c.old, c.with, 1)), 0o600))
			_, err := w.h.ImportSignature(sig)
			w.wantCode(err, c.code, c.says)
		})
	}
	w.must(os.WriteFile(sig, good, 0o600))
	stat, err := w.h.Status()
	w.must(err)
	if len(stat.Staged.Have) != 0 {
		t.Fatalf("signed by %v, want nobody", stat.Staged.Have)
	}
	// Another officer's name and key id on a good signature.
	var swapped CarriedSignature
	w.must(json.Unmarshal(good, &swapped))
	second, err := readPublicKey(filepath.Join(w.officers[1], "officer.pub"), roleOfficer)
	w.must(err)
	swapped.Officer, swapped.KeyID = second.Name, second.KeyID
	w.must(writeJSON(sig, swapped, 0o600))
	_, err = w.h.ImportSignature(sig)
	w.wantCode(err, CodeVerify, "does not verify")
	// The list went on after the request.
	w.must(os.WriteFile(sig, good, 0o600))
	w.importRows("more.test,host")
	_, err = w.h.ImportSignature(sig)
	w.wantCode(err, CodeHeld, "something changed")
	w.publishAll()
	_, err = w.h.ImportSignature(sig)
	w.wantCode(err, CodeVerify, "published already")
	if !errors.Is(err, trust.ErrRollback) {
		t.Errorf("got %v, want ErrRollback", err)
	}
}

func TestABrakeIsApprovedOnTheOfficersMachine(t *testing.T) {
	w := newWorld(t)
	w.must(w.limits(`"max_entries": 2000000`, `"max_entries": 1`))
	w.importRows("bad.test,domain", "next.test,host")
	for n, full := range []bool{false, true} {
		request := w.request(full)
		a, err := w.answer(n, request, w.path("sig"))
		if !errors.Is(err, ErrHeld) || a == nil || len(a.Check.Holds) != 1 {
			t.Fatalf("without a reason: %v", err)
		}
		_, err = w.answer(n, request, w.path("sig"), func(o *AnswerOptions) { o.Approve = "two sites of one ring" })
		w.must(err)
		g, err := w.h.ImportSignature(w.path("sig"))
		w.must(err)
		if len(g.Have) != n+1 {
			t.Errorf("have %v", g.Have)
		}
	}
	w.must(os.WriteFile(w.path("never"), []byte("bad.test\n"), 0o600))
	_, err := w.answer(1, w.request(true, "officer-2"), w.path("sig"), func(o *AnswerOptions) { o.Approve, o.NeverBlock = "why not", []string{w.path("never")} })
	if !errors.Is(err, ErrHeld) {
		t.Errorf("the officer's own never-block list: %v, want it held", err)
	}
	p, err := w.h.Publish("")
	w.must(err)
	s, err := w.h.begin()
	w.must(err)
	defer s.release()
	m, err := s.manifest(p.Seq)
	w.must(err)
	if len(m.Approvals) != 2 || m.Approvals[0].Reason != "two sites of one ring" {
		t.Errorf("approvals %+v, want both officers' reasons", m.Approvals)
	}
}

// limits edits hotline.json.
func (w *world) limits(old, with string) error {
	path := w.path("hotline", "hotline.json")
	b, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(b, []byte(old)) {
		return errors.Join(err, errors.New("hotline.json has no "+old))
	}
	return os.WriteFile(path, bytes.Replace(b, []byte(old), []byte(with), 1), 0o600)
}
