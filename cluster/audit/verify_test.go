package audit_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
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
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
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
	for _, c := range []struct {
		name string
		goOn func(l *audittest.Log)
	}{
		{"nothing but genesis", nil},
		{"the authority rotates a root key", func(l *audittest.Log) {
			l.Hotline.RotateRoot(l.Tick())
			l.Publish(45)
			l.Hotline.RotateRoot(l.Tick())
			l.Renew()
			l.Publish(46)
		}},
		{"the authority rotates more often than one publication can carry", func(l *audittest.Log) {
			for range 2*trust.MaxRootSteps + 1 {
				l.Hotline.RotateRoot(l.Tick())
				l.Renew()
			}
			l.Publish(45)
		}},
		{"new online keys, whose versions count anew", func(l *audittest.Log) {
			l.Hotline.Break(trusttest.Version("timestamp", 1<<20))
			l.Renew()
			l.Hotline.Mend()
			l.Hotline.RotateRoot(l.Tick())
			l.Publish(45)
		}},
		{"a narrower charter", func(l *audittest.Log) {
			l.Hotline.Charter.Kinds = l.Hotline.Charter.Kinds[2:] // host and domain only
			l.Hotline.Accredit(l.Now)
			l.Publish(45)
			l.Receipts(audittest.E1, "e3")
		}},
		{"a month without a new list, then one", func(l *audittest.Log) {
			l.Now = l.Now.AddDate(0, 1, 0)
			l.Publish(45)
			l.Receipts(audittest.E1)
		}},
		{"withdrawn entries leave with the next version", func(l *audittest.Log) {
			l.Withdraw(listtest.ID(7, 1))
			l.Publish(45)
			l.Receipts(audittest.E1, audittest.E2, "e3")
		}},
		{"an edge that reports late", func(l *audittest.Log) {
			r := l.Receipt(audittest.E2) // signed before the next version came
			l.Publish(45)
			l.Append(audit.Receipts{Items: []audit.SignedReceipt{audit.SignReceipt(r, l.Edges[audittest.E2])}})
		}},
		{"an edge is stopped and comes back with a new key", func(l *audittest.Log) {
			drop := audit.Member{Action: audit.ActionDrop, Role: audit.RoleEdge, Name: "e3", By: "operator-1"}
			l.Append(drop)
			l.Publish(45)
			l.Edges["e3"] = audittest.Key("e3", "new")
			l.Append(audit.Member{Action: audit.ActionAdd, Role: audit.RoleEdge, Name: "e3", Key: [32]byte(l.Edges["e3"].Public().(ed25519.PublicKey))})
			l.Counters["e3"] = 0
			l.Receipts("e3")
		}},
		{"refusals and alarms", func(l *audittest.Log) {
			l.Append(audit.Reject{Hotline: audittest.Hotline, List: listtest.List, Seq: 3, Stage: "apply", Reason: "scope", Node: "c1"})
			l.Append(audit.Alarm{Node: "c2", What: "disk slow", Since: l.Now.Unix()})
		}},
		{"lists of canonicalisation rules that this build does not have, then of ours", func(l *audittest.Log) {
			l.Canon = [32]byte{1}
			l.Publish(45)
			l.Receipts(audittest.E1)
			l.Renew()
			l.Canon = [32]byte{}
			l.Publish(46)
		}},
		{"a version is held, approved, held again, approved again and comes into force", func(l *audittest.Log) {
			p := l.Offer(50)
			l.Hold(p, "never_block")
			l.Order(approve(p, "never_block"))
			l.Hold(p, "growth", audittest.C2, audittest.C3)
			l.Order(approve(p, "growth", "never_block"))
			p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2)
			l.Append(p)
			l.Receipts(audittest.E1, audittest.E2)
		}},
		{"a held version is never approved, and the next one needs no approval", func(l *audittest.Log) {
			held := l.Offer(50)
			l.Hold(held, "growth")
			p := l.Offer(51)
			p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2)
			l.Append(audit.Reject{Hotline: p.Hotline, List: p.List, Seq: p.Prev, Object: p.Edge, Stage: "apply", Reason: audit.ReasonSuperseded})
			l.Append(p)
		}},
		{"a policy, and versions after it", func(l *audittest.Log) {
			l.Order(order.Policy{NeverBlock: audittest.NeverBlock, Count: 4})
			l.Publish(50)
		}},
		{"a suppression that ends by itself, and one that is lifted", func(l *audittest.Log) {
			l.Order(suppress(7))
			l.Receipts(audittest.E1)
			lift := suppress(8)
			l.Order(lift)
			l.Publish(45)
			l.Receipts(audittest.E1, audittest.E2)
			lift.Lift = true
			l.Order(lift)
			l.Receipts(audittest.E1)
			l.Now = l.Now.Add(2 * time.Hour)
			l.Receipts(audittest.E1) // of what was in force before its leaf, which ends the other
			l.Receipts(audittest.E1, audittest.E2)
		}},
		{"a bypass that ends by itself, and one that is lifted", func(l *audittest.Log) {
			l.Order(order.Bypass{})
			l.Receipts(audittest.E1)
			l.Now = l.Now.Add(2 * time.Hour)
			l.Append(audit.Alarm{Node: "c1", What: "test"})
			l.Receipts(audittest.E1)
			l.Order(order.Bypass{})
			l.Order(order.Bypass{Lift: true})
			l.Receipts(audittest.E1, audittest.E2)
		}},
		{"a return to an earlier version, then another, then the next version", func(l *audittest.Log) {
			l.Publish(20)
			l.Publish(10)
			l.Receipts(audittest.E1, audittest.E2)
			l.Return(2, nil)
			l.Receipts(audittest.E1, audittest.E2)
			l.Renew()
			l.Return(3, nil)
			l.Receipts(audittest.E1)
			l.Return(2, nil)
			l.Return(4, nil)
			l.Receipts(audittest.E1)
			l.Return(1, nil)
			l.Publish(45)
			l.Receipts(audittest.E1, audittest.E2)
		}},
		{"one member down", func(l *audittest.Log) {
			l.PublishWith(45, func(p audit.Publish) audit.Publish { p.Verdicts = p.Verdicts[1:]; return p })
			l.Signers = []string{audittest.C2, audittest.C3}
		}},
		{"a log of several tiles", func(l *audittest.Log) {
			for range 600 {
				l.Append(audit.Alarm{Node: "c1", What: "test"})
			}
			l.Receipts(audittest.E1)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := audittest.New("histories")
			if c.goOn != nil {
				l = audittest.Honest("histories")
				c.goOn(l)
			}
			if r := verify(t, l, l.Bundle()); !r.Pass {
				var text bytes.Buffer
				_ = r.WriteText(&text)
				t.Error(text.String())
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
	o := audit.Options{Now: l.Now, Before: &audit.Visit{V: 1, Cluster: l.Desc.ID(), Size: 99, Root: strings.Repeat("00", 32)}}
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
