package audit_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/resolver/match"
)

// visited is the state file of a visit that passed.
func visited(t *testing.T, l *audittest.Log) *audit.Visit { return visitedAs(t, l, l.TrustFile()) }

func visitedAs(t *testing.T, l *audittest.Log, trust []byte) *audit.Visit {
	t.Helper()
	r := verifyAs(t, l, l.Bundle(), trust, lean)
	if !r.Pass {
		t.Fatalf("a first visit fails:\n%s", text(r))
	}
	v, err := audit.ParseVisit(r.Visit().Encode())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := v.Verified(trust), uint64(len(l.Leaves)); got != want {
		t.Fatalf("the visit has verified %d leaves, want %d", got, want)
	}
	return v
}

// verifyAs is verify with another trust file.
func verifyAs(t *testing.T, l *audittest.Log, bundle, trust []byte, change ...func(*audit.Options)) *audit.Report {
	t.Helper()
	o := audit.Options{Now: l.Now.Add(time.Minute)}
	for _, c := range change {
		c(&o)
	}
	r, err := audit.Verify(t.Context(), bytes.NewReader(bundle), trust, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func lean(o *audit.Options) { o.Lean = true }

func after(v *audit.Visit) func(*audit.Options) {
	return func(o *audit.Options) { o.Lean, o.Before = true, v }
}

// retar writes a bundle anew, with other members.
func retar(t *testing.T, bundle []byte, change func(*tar.Header, []byte) []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for r := tar.NewReader(bytes.NewReader(bundle)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		b = change(h, b)
		h.Size = int64(len(b))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func text(r *audit.Report) string {
	var b bytes.Buffer
	_ = r.WriteText(&b)
	return b.String()
}

// TestAVisitGoesOnFromTheLast: the next visit says of every honest history what a first visit says, whether it reads all of the log or what is new.
func TestAVisitGoesOnFromTheLast(t *testing.T) {
	for _, h := range someHistories() {
		t.Run(h.Name, func(t *testing.T) {
			t.Parallel()
			l := audittest.Honest("histories")
			told := h.Tell()
			given := func(o *audit.Options) { o.Statements = told.Statements }
			tf, err := audit.ParseTrustFile(told.Trust)
			if err != nil {
				t.Fatal(err)
			}
			tf.Witnesses = "" // they are of a checkpoint, not of leaves
			trust := tf.Encode()
			before := visitedAs(t, l, trust)
			if h.GoOn != nil {
				h.GoOn(l)
			}
			whole := verifyAs(t, l, l.Bundle(), trust, given)
			since := before.Verified(trust)
			for name, b := range map[string][]byte{"all of the log": l.Bundle(), "what is new": l.Part(audit.Part{Since: since})} {
				r := verifyAs(t, l, b, trust, after(before), given)
				if !r.Pass {
					t.Errorf("%s: fails:\n%s", name, text(r))
					continue
				}
				for _, c := range whole.Checks {
					if got, _ := r.Check(c.Name); got.Detail != c.Detail && !slices.Contains([]string{audit.CheckLog, audit.CheckBundle, audit.CheckLists}, c.Name) {
						t.Errorf("%s: %s says %q, a first visit says %q", name, c.Name, got.Detail, c.Detail)
					}
				}
				if got := r.Visit().Verified(trust); got != uint64(len(l.Leaves)) {
					t.Errorf("%s: has verified %d leaves, want %d", name, got, len(l.Leaves))
				}
			}
		})
	}
}

// TestALieAfterAVisitIsFound: whoever goes on from an honest visit finds what a first visit finds, unless it is about what he has seen already.
func TestALieAfterAVisitIsFound(t *testing.T) {
	before := visited(t, audittest.Honest("lies"))
	for _, x := range someLies() {
		c := x.Tell()
		if c.Before != nil { // it is about visits itself
			continue
		}
		t.Run(x.Name, func(t *testing.T) {
			t.Parallel()
			o := c.Options()
			o.Lean, o.Before = true, before
			r, err := audit.Verify(t.Context(), bytes.NewReader(c.Bundle), c.Trust, o)
			if err != nil {
				t.Fatal(err)
			}
			if seen := x.Name == "a list file is missing" || x.Name == "metadata is missing" || x.Name == "metadata was changed"; r.Pass != seen {
				t.Errorf("pass %v, want %v:\n%s", r.Pass, seen, text(r))
			}
		})
	}
}

func TestAVisitThatFailsLeavesWhatThePassedOneKnew(t *testing.T) {
	l := audittest.Honest("visits")
	before := visited(t, l)
	passed := uint64(len(l.Leaves))
	l.Receipts("e3")
	l.PublishWith(50, func(p audit.Publish) audit.Publish { p.Verdicts = p.Verdicts[:1]; return p })
	r := verify(t, l, l.Bundle(), after(before))
	if r.Pass || r.Visit().Size != uint64(len(l.Leaves)) || r.Visit().Verified(l.TrustFile()) != passed {
		t.Fatalf("pass %v, visit of size %d with %d verified", r.Pass, r.Visit().Size, r.Visit().Verified(l.TrustFile()))
	}
	l.Publish(60)
	again := verify(t, l, l.Part(audit.Part{Since: passed}), after(r.Visit()))
	if c, _ := again.Check(audit.CheckVerdicts); c.Pass || !strings.Contains(c.Detail, "checked and signed by 1 of 3 members") {
		t.Errorf("the next visit has forgotten what failed: %+v", c)
	}
}

func TestAPartOfTheLogNeedsTheVisitBeforeIt(t *testing.T) {
	l := audittest.Honest("visits")
	before := visited(t, l)
	l.Publish(50)
	part := l.Part(audit.Part{Since: before.Size})
	for _, c := range []struct {
		name   string
		bundle []byte
		visit  *audit.Visit
		check  string
		says   string
	}{
		{"no visit", part, nil, audit.CheckBundle, "no earlier visit has verified what comes before"},
		{"a visit without what passed", part, before.Bare(), audit.CheckBundle, "no earlier visit has verified what comes before"},
		{"more than that visit has verified", l.Part(audit.Part{Since: before.Size + 1}), before, audit.CheckBundle, "goes on from leaf 16"},
		{"a leaf is left out", retar(t, part, func(h *tar.Header, b []byte) []byte {
			if !strings.HasPrefix(h.Name, "tile/entries/") {
				return b
			}
			h.Name = "tile/entries/000.p/15"
			return b[2+int(b[0])<<8+int(b[1]):]
		}), before, audit.CheckLog, "has 15 leaves"},
	} {
		r := verify(t, l, c.bundle, func(o *audit.Options) { o.Lean, o.Before = true, c.visit })
		if got, _ := r.Check(c.check); r.Pass || got.Pass || !strings.Contains(got.Detail, c.says) {
			t.Errorf("%s: %+v, want it to say %q\n%s", c.name, got, c.says, text(r))
		}
	}
}

func TestAnotherPastIsAForkWhateverIsRead(t *testing.T) {
	l, other := audittest.Honest("visits"), audittest.New("visits")
	before := visited(t, l)
	other.Publish(31) // another history under the same keys
	for len(other.Leaves) < len(l.Leaves) {
		other.Receipts(audittest.E1)
	}
	other.Publish(50)
	whole := verify(t, other, other.Bundle(), after(before))
	if c, _ := whole.Check(audit.CheckConsistency); c.Pass || !strings.Contains(c.Detail, "fork: the first 15 leaves are not those of the last visit") || whole.Visit() != nil {
		t.Errorf("all of the log: %+v", c)
	}
	part := verify(t, other, other.Part(audit.Part{Since: before.Size}), after(before))
	if c, _ := part.Check(audit.CheckLog); c.Pass || !strings.Contains(c.Detail, "or the log has another past") || part.Visit() != nil {
		t.Errorf("what is new: %+v", c)
	}
	short := audittest.New("visits")
	if c, _ := verify(t, short, short.Part(audit.Part{Since: before.Size}), after(before)).Check(audit.CheckConsistency); c.Pass || !strings.Contains(c.Detail, "rollback") {
		t.Errorf("a log that became shorter: %+v", c)
	}
}

func TestAVisitIsNotUsedUnderAnotherTrustFile(t *testing.T) {
	l := audittest.Honest("visits")
	before := visited(t, l)
	stricter := bytes.Replace(l.TrustFile(), []byte(`"need": 2`), []byte(`"need": 3`), 1)
	if bytes.Equal(stricter, l.TrustFile()) {
		t.Fatal("the trust file is written in another way than the test thinks")
	}
	if n := before.Verified(stricter); n != 0 {
		t.Errorf("%d leaves are taken as verified under another trust file", n)
	}
	r := verifyAs(t, l, l.Bundle(), stricter, after(before))
	if c, _ := r.Check(audit.CheckLog); !r.Pass || c.Detail != "15 leaves hash to the checkpoint's root" {
		t.Errorf("pass %v, %q", r.Pass, c.Detail)
	}
}

func TestADamagedVisitIsRefused(t *testing.T) {
	good := visited(t, audittest.Honest("visits")).Encode()
	for name, b := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0), "an older form": []byte(`{"v":1,"cluster":"x"}`),
	} {
		if _, err := audit.ParseVisit(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for i := 0; i < len(good); i += 1 + len(good)/200 {
		bad := bytes.Clone(good)
		bad[i] ^= 4
		if _, err := audit.ParseVisit(bad); err == nil {
			t.Errorf("byte %d of %d changed: accepted", i, len(good))
		}
	}
}

// TestAVisitOfVersionTwoHoldsTheLogToWhatItSaw: nobody loses what was seen by a new program.
func TestAVisitOfVersionTwoHoldsTheLogToWhatItSaw(t *testing.T) {
	l := audittest.Honest("visits")
	now := visited(t, l)
	line := fmt.Sprintf(`{"v":2,"cluster":%q,"size":%d,"root":%q}`+"\n", now.Cluster, now.Size, now.Root) + "a past that this program does not read"
	sum := sha256.Sum256([]byte(line))
	old, err := audit.ParseVisit([]byte("cordon-audit visit 2 " + hex.EncodeToString(sum[:]) + "\n" + line))
	if err != nil {
		t.Fatal(err)
	}
	if old.Passed() || old.Size != now.Size || old.Root != now.Root || old.Fresh != 0 {
		t.Errorf("read %+v, want size and root of %+v and nothing else", old, now)
	}
	l.Receipts(audittest.E1)
	if r := verify(t, l, l.Bundle(), after(old)); !r.Pass || r.Visit().Fresh == 0 {
		t.Errorf("it goes on: %+v\n%s", r.Visit(), text(r))
	}
	l.Leaves[9] = l.Leaves[8]
	if c, _ := verify(t, l, l.Bundle(), after(old)).Check(audit.CheckConsistency); c.Pass {
		t.Error("another past passes")
	}
}

// reseal gives a visit file whose contents somebody changed its right hash again.
func reseal(b []byte) []byte {
	head, rest, _ := bytes.Cut(b, []byte("\n"))
	sum := sha256.Sum256(rest)
	return slices.Concat(head[:len(head)-64], []byte(hex.EncodeToString(sum[:])), []byte("\n"), rest)
}

func FuzzParseVisit(f *testing.F) {
	l := audittest.Honest("fuzz")
	r, err := audit.Verify(f.Context(), bytes.NewReader(l.Bundle()), l.TrustFile(), audit.Options{Now: l.Now, Lean: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.Visit().Encode())
	f.Add(r.Visit().Bare().Encode())
	l.Publish(50)
	f.Fuzz(func(t *testing.T, b []byte) {
		if !bytes.Contains(b, []byte("\n")) || len(bytes.Split(b, []byte("\n"))[0]) < 64 {
			return
		}
		v, err := audit.ParseVisit(reseal(b))
		if err != nil || bytes.HasPrefix(b, []byte("cordon-audit visit 2 ")) { // which is written no more
			return
		}
		if !bytes.Equal(v.Encode(), reseal(b)) {
			t.Error("accepted, but encodes to other bytes")
		}
		_, _ = audit.Verify(t.Context(), bytes.NewReader(l.Part(audit.Part{Since: v.Verified(l.TrustFile())})), l.TrustFile(), audit.Options{Now: l.Now, Lean: true, Before: v})
	})
}

func TestAVisitPassesNoReceiptThatItCannotRecompute(t *testing.T) {
	l := audittest.Honest("visit and an old receipt")
	old := l.Receipt(audittest.E1)
	for i := range 65 { // more changes than a visit keeps in full
		l.Withdraw(match.EntryID{2, byte(i)})
	}
	_, w, id := direct(t, l, 900, 0, 1)
	l.Cosign(w, 0, 1)
	v := visited(t, l)
	said := l.Receipt(audittest.E1)
	said.Size, said.Root, said.Direct, said.State = old.Size, old.Root, [][32]byte{id}, match.StateID{1}
	l.Append(audit.Receipts{Items: []audit.SignedReceipt{audit.SignReceipt(said, l.Edges[audittest.E1])}})
	r := verify(t, l, l.Part(audit.Part{Since: v.Size}), after(v))
	if c, _ := r.Check(audit.CheckReceipts); r.Pass || c.Pass || !c.Skipped {
		t.Errorf("from the visit on, the check passes: %+v", c)
	}
	if c, _ := verify(t, l, l.Bundle(), lean).Check(audit.CheckReceipts); c.Pass || c.Skipped {
		t.Errorf("the whole log: %+v", c)
	}
}
