package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/match"
)

func verify(t *testing.T, l *audittest.Log, bundle []byte, change ...func(*audit.Options)) *audit.Report {
	t.Helper()
	o := audit.Options{Now: l.Now.Add(time.Minute)}
	for _, c := range change {
		c(&o)
	}
	r, err := audit.Verify(context.Background(), bytes.NewReader(bundle), l.TrustFile(), o)
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	return r
}

func TestAnHonestHistoryPasses(t *testing.T) {
	l := audittest.Honest("honest")
	r := verify(t, l, l.Bundle())
	if testing.Verbose() || !r.Pass {
		if err := r.WriteText(os.Stdout); err != nil {
			t.Fatal(err)
		}
	}
	if !r.Pass {
		t.Fatal("an honest bundle fails")
	}
}

func TestHonestHistoriesPass(t *testing.T) {
	for _, h := range someHistories() {
		t.Run(h.Name, func(t *testing.T) {
			t.Parallel()
			if r := look(t, h.Tell()); !r.Pass {
				t.Error(reportText(r))
			}
		})
	}
}

// verifyWith verifies an honest bundle with another trust file.
func verifyWith(t *testing.T, l *audittest.Log, trustFile []byte) *audit.Report {
	t.Helper()
	r, err := audit.Verify(context.Background(), bytes.NewReader(l.Bundle()), trustFile, audit.Options{Now: l.Now})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheNextVisitIsHeldToTheLast(t *testing.T) {
	l := audittest.Honest("visits")
	first := verify(t, l, l.Bundle())
	visit, err := audit.ParseVisit(first.Visit().Encode())
	if err != nil {
		t.Fatal(err)
	}
	l.Publish(50)
	second := verify(t, l, l.Bundle(), func(o *audit.Options) { o.Before = visit })
	c, ok := second.Check(audit.CheckConsistency)
	if want := "1 leaves since the last visit, none before it changed"; !ok || !c.Pass || c.Detail != want || !second.Pass {
		t.Errorf("got %+v, want %q", c, want)
	}
	if got := second.Visit().Size; got != 16 {
		t.Errorf("visit: got size %d, want 16", got)
	}
}

func TestAFailedLogIsNotRemembered(t *testing.T) {
	l := audittest.Honest("visits")
	o := audit.Options{Now: l.Now, Before: &audit.Visit{V: 3, Cluster: l.Desc.ID(), Size: 99, Root: strings.Repeat("00", 32)}}
	r, err := audit.Verify(context.Background(), bytes.NewReader(l.Bundle()), l.TrustFile(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Visit() != nil {
		t.Errorf("got %+v, want none: the next visit must still find the rollback", r.Visit())
	}
}

func TestASkippedVersionThatTheLogNamesIsANote(t *testing.T) {
	l := audittest.Honest("skipped")
	before, _ := l.InForce.List(listtest.List)
	l.Offer(50)
	next := l.Offer(60)
	next.Verdicts = l.Verdicts(next, audittest.C1, audittest.C2)
	l.Append(audit.Reject{Hotline: next.Hotline, List: next.List, Seq: next.Prev, Object: next.Edge, Stage: "apply", Reason: audit.ReasonSuperseded})
	l.Append(next)
	r := verify(t, l, l.Bundle())
	want := fmt.Sprintf("goes from sequence %d to %d", before.Seq, next.Seq)
	if !r.Pass || !strings.Contains(strings.Join(r.Notes, "\n"), want) {
		t.Errorf("pass %v, notes %q, want %q", r.Pass, r.Notes, want)
	}
}

func TestOwedSignaturesAreNamedUntilTheyCome(t *testing.T) {
	l := audittest.Honest("owed")
	first := l.WithdrawBy([]int{0}, match.EntryID{1})
	l.WithdrawBy([]int{1}, match.EntryID{2})
	l.WithdrawBy([]int{2}, match.EntryID{3})
	l.Cosign(first, 0, 2)
	r := verify(t, l, l.Bundle())
	notes := strings.Join(r.Notes, "\n")
	if !r.Pass || strings.Count(notes, "the second signature is owed") != 2 || strings.Contains(notes, "overdue") {
		t.Errorf("pass %v, notes %q, want two owed ones", r.Pass, notes)
	}
	b := l.Bundle()
	l.Now = l.Now.Add(25 * time.Hour)
	if notes := strings.Join(verify(t, l, b).Notes, "\n"); strings.Count(notes, "overdue since") != 2 {
		t.Errorf("a day later: notes %q, want both overdue", notes)
	}
}

// TestAnOfficerAloneHasADaysEntries: what the threshold signs later on that day does not count, and a day later he has as many again.
func TestAnOfficerAloneHasADaysEntries(t *testing.T) {
	some := func(from, n int) (out []match.EntryID) {
		for i := range n {
			out = append(out, match.EntryID{byte(from + i), 1})
		}
		return out
	}
	l := audittest.Honest("alone")
	first := l.WithdrawBy([]int{0}, some(10, 15)...)
	l.WithdrawBy([]int{1}, some(30, 20)...) // another officer
	l.Cosign(first, 0, 2)
	l.WithdrawBy([]int{0}, some(60, 20)...)
	if r := verify(t, l, l.Bundle()); !r.Pass {
		t.Fatalf("within his bound:\n%s", text(r))
	}
	before := visited(t, l)
	l.Now = l.Now.Add(24 * time.Hour)
	l.WithdrawBy([]int{0}, some(100, 20)...)
	if r := verify(t, l, l.Bundle(), after(before)); !r.Pass {
		t.Fatalf("a day later:\n%s", text(r))
	}
	before = visited(t, l)
	l.WithdrawBy([]int{0}, some(150, 1)...)
	for name, r := range map[string]*audit.Report{"the whole log": verify(t, l, l.Bundle()), "from the last visit on": verify(t, l, l.Bundle(), after(before))} {
		if c, _ := r.Check(audit.CheckWithdrawals); c.Pass || len(c.Causes) != 1 || !strings.Contains(c.Detail, "has withdrawn 21 entries") {
			t.Errorf("%s: one more: %+v", name, c)
		}
	}
}

func TestSilentEdgesAreNamed(t *testing.T) {
	l := audittest.Honest("silent")
	l.Enrol("e4")
	l.Publish(50)
	l.Receipts(audittest.E1)
	notes := strings.Join(verify(t, l, l.Bundle()).Notes, "\n")
	for _, want := range []string{"edge e4 is enrolled and has sent no receipt", "edge e2 last reported at size 12; what is in force changed at size 17"} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes %q, want %q among them", notes, want)
		}
	}
	if strings.Contains(notes, "edge e1") {
		t.Errorf("notes %q, want nothing about e1", notes)
	}
}

func TestAConnectionThatBreaksIsNotABundleThatEndsEarly(t *testing.T) {
	l := audittest.Honest("breaks")
	b := l.Bundle()
	broken := io.MultiReader(bytes.NewReader(b[:5000]), iotest.ErrReader(io.ErrUnexpectedEOF))
	if r, err := audit.Verify(context.Background(), broken, l.TrustFile(), audit.Options{Now: l.Now}); err == nil {
		t.Errorf("got a report (pass %v), want an error", r.Pass)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := audit.Verify(ctx, bytes.NewReader(b), l.TrustFile(), audit.Options{Now: l.Now}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v, want %v", err, context.Canceled)
	}
}

func TestABundleMayComeInAnyPieces(t *testing.T) {
	l := audittest.Honest("honest")
	for name, reader := range map[string]func(io.Reader) io.Reader{
		"byte by byte": iotest.OneByteReader, "halves": iotest.HalfReader, "the end with the last bytes": iotest.DataErrReader,
	} {
		r, err := audit.Verify(context.Background(), reader(bytes.NewReader(l.Bundle())), l.TrustFile(), audit.Options{Now: l.Now})
		if err != nil || !r.Pass {
			t.Errorf("%s: %v, %+v", name, err, r)
		}
	}
}

func TestTheSameLogMakesTheSameBundle(t *testing.T) {
	a, b := audittest.Honest("same").Bundle(), audittest.Honest("same").Bundle()
	if !bytes.Equal(a, b) {
		t.Error("two bundles differ")
	}
}

func TestABundleHoldsNoListedName(t *testing.T) {
	b := audittest.Honest("names").Bundle()
	for i := 1; i < 40; i++ {
		if name := listtest.Name(i); bytes.Contains(b, []byte(name)) {
			t.Errorf("the bundle holds %s", name)
		}
	}
	if !bytes.Contains(b, []byte(listtest.Canary)) {
		t.Error("the search is blind: it does not find the canary, whose name is public")
	}
}
