package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/liestest"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/publiclog/publiclogtest"
)

// walk holds the files of a public log against an operator's bundle.
func walk(t *testing.T, l *audittest.Log, files map[string][]byte, change func(*audit.TrustFile)) (*audit.LogReport, error) {
	t.Helper()
	return compare(t, l.Bundle(), l.TrustFile(), l.Now.Add(time.Minute), files, change)
}

func compare(t *testing.T, bundle, trust []byte, now time.Time, files map[string][]byte, change func(*audit.TrustFile)) (*audit.LogReport, error) {
	t.Helper()
	r, err := audit.Verify(context.Background(), bytes.NewReader(bundle), trust, audit.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	tf, err := audit.ParseTrustFile(trust)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&tf)
	}
	read := func(_ context.Context, name string, limit int64) ([]byte, error) {
		b, ok := files[name]
		if !ok || int64(len(b)) > limit {
			return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		}
		return b, nil
	}
	return r.WalkPublicLog(context.Background(), tf, read, fs.ErrNotExist)
}

// another is the leaf of a version that this operator was never shown.
func another(seq uint64) []byte {
	return publiclog.Leaf{List: listtest.List, Seq: seq, Prev: seq - 1, Epoch: 1, Edge: [32]byte{9}, Audit: [32]byte{9}, EntriesRoot: [32]byte{9}}.Encode()
}

func TestThePublicLogAndTheOperatorsSayTheSame(t *testing.T) {
	for name, test := range map[string]struct {
		story func(l *audittest.Log, log *publiclogtest.Log)
		look  func(*audit.TrustFile)
		says  string // of the finding; empty: it passes
		want  audit.LogReport
	}{
		"honest":                {func(*audittest.Log, *publiclogtest.Log) {}, nil, "", audit.LogReport{Matched: 2}},
		"newer than the bundle": {func(_ *audittest.Log, log *publiclogtest.Log) { log.Append(another(3)) }, nil, "", audit.LogReport{Matched: 2, Newer: 1}},
		"refused there": {func(l *audittest.Log, log *publiclogtest.Log) {
			l.Append(audit.Reject{Hotline: audittest.Hotline, List: listtest.List, Seq: 2, Stage: "fetch", Reason: "equivocation"})
			log.Append(another(2))
		}, nil, "two lists were signed under one number", audit.LogReport{Matched: 2, Refused: 1}},
		"passed over": {func(l *audittest.Log, _ *publiclogtest.Log) {
			l.Offer(32) // is in the public log, and never comes into force here
			p := l.Offer(33)
			p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2)
			l.Append(audit.Reject{Hotline: p.Hotline, List: p.List, Seq: p.Prev, Object: p.Edge, Stage: "apply", Reason: audit.ReasonSuperseded})
			l.Append(p)
		}, nil, "", audit.LogReport{Matched: 3, Refused: 1}},
		"kept from this operator": {func(l *audittest.Log, log *publiclogtest.Log) {
			log.Append(another(3))
			l.Offer(32) // version 3 of this operator, with a leaf of its own
			p := l.Offer(33)
			p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2)
			l.Append(audit.Reject{Hotline: p.Hotline, List: p.List, Seq: p.Prev, Object: p.Edge, Stage: "apply", Reason: audit.ReasonSuperseded})
			l.Append(p)
		}, nil, "two lists were signed under one number", audit.LogReport{Matched: 3, Refused: 2}},
		"dropped before it was published": {func(l *audittest.Log, log *publiclogtest.Log) {
			log.Append(another(3))
			l.Burn()
			l.Publish(32)
		}, nil, "", audit.LogReport{Matched: 3}},
		"dropped, and the next one does not say so": {func(l *audittest.Log, log *publiclogtest.Log) {
			log.Append(another(1))
			l.Publish(32)
		}, nil, "two lists were signed under one number", audit.LogReport{Matched: 3}},
		"a version in force here that the next one calls dropped": {func(l *audittest.Log, log *publiclogtest.Log) {
			log.Append(publiclog.Leaf{List: listtest.List, Seq: 3, Prev: 1, Epoch: 1, Edge: [32]byte{9}, Audit: [32]byte{9}, EntriesRoot: [32]byte{9}}.Encode())
		}, nil, "as if sequence 2, which the operator has had in force, had never been published", audit.LogReport{Matched: 2, Newer: 1}},
		"shown to somebody else only, and the next one follows it": {func(l *audittest.Log, log *publiclogtest.Log) {
			log.Append(another(3))
			l.Burn()
			l.PublishWith(32, func(p audit.Publish) audit.Publish { return p })
			log.Append(publiclog.Leaf{List: listtest.List, Seq: 5, Prev: 3, Epoch: 1, Edge: [32]byte{9}, Audit: [32]byte{9}, EntriesRoot: [32]byte{9}}.Encode())
		}, nil, "follows sequence 3, which was dropped", audit.LogReport{Matched: 3, Newer: 1}},
		"shown to somebody else only": {func(l *audittest.Log, log *publiclogtest.Log) { log.Append(another(2)) }, nil, "neither in force nor refused", audit.LogReport{Matched: 2}},
		"passed over, says one member beforehand": {func(l *audittest.Log, log *publiclogtest.Log) {
			l.Append(audit.Reject{Hotline: audittest.Hotline, List: listtest.List, Seq: 1 << 40, Stage: "fetch", Reason: audit.ReasonSuperseded, Node: audittest.C1})
			log.Append(another(3))
			p := l.Offer(32)
			p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2)
			l.Append(p)
		}, nil, "neither in force nor refused", audit.LogReport{Matched: 3}},
		"something else in the log": {func(_ *audittest.Log, log *publiclogtest.Log) { log.Append([]byte("hello\n")) }, nil, "is no list version", audit.LogReport{Matched: 2}},
		"not seen by the auditor's witnesses": {func(*audittest.Log, *publiclogtest.Log) {}, func(tf *audit.TrustFile) {
			tf.LogWitnesses = publiclogtest.Policy(publiclogtest.Cosigner{Name: "one.test/w", Key: audittest.Key("w")}).String()
		}, "not seen by the witnesses", audit.LogReport{Matched: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			l := audittest.New("public walk")
			log := l.Hotline.KeepLog()
			l.Publish(30)
			l.Publish(31)
			test.story(l, log)
			got, err := walk(t, l, log.Files(), test.look)
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Join(got.Findings, "\n")
			if got.Pass != (test.says == "") || !strings.Contains(all, test.says) || got.Matched != test.want.Matched || got.Newer != test.want.Newer || got.Refused != test.want.Refused {
				t.Errorf("got %+v\n%s", got, all)
			}
			var text bytes.Buffer
			if err := got.WriteText(&text); err != nil || got.Pass != strings.Contains(text.String(), "\nPASS ") {
				t.Errorf("text: %v\n%s", err, text.String())
			}
		})
	}
}

// Two operators were shown two histories. Each one's log is in order; whoever reads the hotline's log and holds it against both sees it.
func TestAListShownToOneOperatorOnlyIsFound(t *testing.T) {
	l := audittest.New("public walk")
	log := l.Hotline.KeepLog()
	l.Publish(30)
	forked := log.Fork(1)
	l.Publish(31) // this operator alone
	forked.Append(another(2))
	for size := range 2 {
		got, err := walk(t, l, forked.Files(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(got.Findings, "\n"); got.Pass || !strings.Contains(all, "a list that was shown to one operator only") {
			t.Errorf("with %d leaves more: got\n%s", size, all)
		}
		forked.Append(another(3))
	}
	behind := log.Fork(1)
	if got, err := walk(t, l, behind.Files(), nil); err != nil || got.Pass || !strings.Contains(strings.Join(got.Findings, "\n"), "this copy is behind, or something is kept from you") {
		t.Errorf("a copy that is behind: %+v, %v", got, err)
	}
	thief := publiclogtest.New(log.Origin, audittest.Key("thief"))
	thief.Leaves = log.Leaves
	if _, err := walk(t, l, thief.Files(), nil); !errors.Is(err, audit.ErrNoPublicLog) {
		t.Errorf("under another key: %v", err)
	}
	spoiled := log.Files()
	spoiled["log/tile/entries/000.p/2"] = append([]byte(nil), spoiled["log/tile/entries/000.p/2"]...)
	spoiled["log/tile/entries/000.p/2"][30] ^= 1
	if _, err := walk(t, l, spoiled, nil); !errors.Is(err, publiclog.ErrProof) {
		t.Errorf("an altered entry: %v", err)
	}
}

func TestEachComparisonWithThePublicLogSaysWhoLies(t *testing.T) {
	for _, x := range liestest.Comparisons() {
		c, files := x.Read()
		got, err := compare(t, c.Bundle, c.Trust, c.Now, files, nil)
		if err != nil {
			t.Errorf("%s: %v", x.Name, err)
			continue
		}
		if all := strings.Join(got.Findings, "\n"); got.Pass != (x.Who == "") || !strings.Contains(all, x.Says) {
			t.Errorf("%s: pass %t, it should say %q\n%s", x.Name, got.Pass, x.Says, all)
		}
	}
}

// A version that was made for one operator cannot have a proof of the log that all others see: leaving the proof out must not help.
func TestAListShownToOneOperatorOnlyIsFoundWithoutItsProof(t *testing.T) {
	for name, honest := range map[string]int{"the last version": 2, "every version": 0} {
		t.Run(name, func(t *testing.T) {
			l := audittest.New("public walk")
			log := l.Hotline.KeepLog()
			for i := range honest {
				l.Publish(30 + i)
			}
			for len(log.Leaves) == 0 { // the log is not empty for anybody else
				log.Append(another(1))
			}
			public := log.Fork(len(log.Leaves))
			p := l.Offer(40)
			p.PublicProof = nil
			p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2)
			l.Append(p)
			got, err := walk(t, l, public.Files(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(got.Findings, "\n"); got.Pass || !strings.Contains(all, "no valid proof of the public log: there is none") {
				t.Errorf("got %+v\n%s", got, all)
			}
		})
	}
}
