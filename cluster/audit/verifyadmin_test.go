package audit_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

func TestTheAuditorFollowsTheRegister(t *testing.T) {
	o1 := func(l *audittest.Log) audit.Decision {
		r := (&register{l: l}).ruling()
		r.At = l.Now.Unix()
		return audit.SignRuling(r, audittest.O1, l.Officers[audittest.O1])
	}
	appeal := func(l *audittest.Log, due time.Duration) audit.Body {
		a := (&register{l: l}).appeal()
		a.Due = a.Received + int64(due/time.Second)
		return audit.NewAdmin("ops", audittest.C1, a)
	}
	say := func(l *audittest.Log, role, name string, digest byte) audit.Body {
		return audit.NewAdmin("", audittest.C1, builds((&register{l: l}).build(role, name, digest, 0)))
	}
	everyone := func(l *audittest.Log) {
		for _, c := range []string{audittest.C1, audittest.C2, audittest.C3} {
			l.Append(say(l, audit.RoleControl, c, 1))
		}
		for _, e := range []string{audittest.E1, audittest.E2, "e3"} {
			l.Append(say(l, audit.RoleEdge, e, 1))
		}
	}
	known := map[[32]byte]bool{{1}: true}
	for _, c := range []struct {
		name  string
		tell  func(l *audittest.Log)
		known map[[32]byte]bool
		fails string // "" for a pass
		notes string
	}{
		{name: "an appeal and a decision", tell: func(l *audittest.Log) {
			l.Append(appeal(l, 2*time.Hour))
			l.Append(audit.NewAdmin("ops", audittest.C1, o1(l)))
		}},
		{name: "an appeal that waits too long", tell: func(l *audittest.Log) {
			l.Append(appeal(l, time.Hour+time.Second))
			l.Receipts(audittest.E1)
		}, notes: "appeal 0123-4567-89ab-cdef is not decided"},
		{name: "a decision on nothing", tell: func(l *audittest.Log) { l.Append(audit.NewAdmin("ops", audittest.C1, o1(l))) }, fails: "which nobody has registered"},
		{name: "an appeal registered again after it was decided", tell: func(l *audittest.Log) {
			l.Append(appeal(l, 2*time.Hour))
			l.Append(audit.NewAdmin("ops", audittest.C1, o1(l)))
			l.Append(appeal(l, 2*time.Hour))
		}, fails: "registered already"},
		{name: "a decision that the operator made up", tell: func(l *audittest.Log) {
			l.Append(appeal(l, 2*time.Hour))
			r := (&register{l: l}).ruling()
			r.At = l.Now.Unix()
			l.Append(audit.NewAdmin("ops", audittest.C1, audit.SignRuling(r, audittest.O1, l.Members[audittest.C1])))
		}, fails: "signature does not verify"},
		{name: "a build that a control node made up for an edge", tell: func(l *audittest.Log) {
			b := audit.Build{Cluster: l.Desc.ID(), Role: audit.RoleEdge, Name: audittest.E1, Program: "cordon", Digest: [32]byte{1}, Time: l.Now.Unix()}
			l.Append(audit.NewAdmin("", audittest.C1, builds(audit.SignBuild(b, l.Members[audittest.C1]))))
		}, fails: "signature does not verify"},
		{name: "builds, noted", tell: everyone, notes: "c1, c2, c3, e1, e2, e3 say: program cordon v1.2.3, SHA-256 01000000"},
		{name: "builds that are known", tell: everyone, known: known},
		{name: "a build that is not known, though it was replaced", tell: func(l *audittest.Log) {
			l.Append(say(l, audit.RoleEdge, audittest.E1, 2))
			everyone(l)
		}, known: known, fails: "none of the 1 that you know"},
		{name: "an edge that says nothing", tell: func(l *audittest.Log) { l.Append(say(l, audit.RoleEdge, audittest.E1, 1)) }, known: known, fails: "control node c1 has not said which program it runs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := audittest.Honest("register " + c.name)
			c.tell(l)
			r, err := audit.Verify(context.Background(), strings.NewReader(string(l.Bundle())), l.TrustFile(), audit.Options{Now: l.Now, Builds: c.known})
			if err != nil {
				t.Fatal(err)
			}
			check, _ := r.Check(audit.CheckAdmin)
			if c.fails == "" && !r.Pass {
				t.Errorf("an honest log fails: %+v", r.Checks)
			}
			if c.fails != "" && (check.Pass || r.Pass || !strings.Contains(strings.Join(check.Causes, "\n"), c.fails)) {
				t.Errorf("%+v, want a failure that says %q", check, c.fails)
			}
			if !strings.Contains(strings.Join(r.Notes, "\n"), c.notes) {
				t.Errorf("notes %q, want %q", r.Notes, c.notes)
			}
		})
	}
}

// TestTheRegisterOutlivesAVisit: a later visit knows appeals and programs of leaves that it does not read again.
func TestTheRegisterOutlivesAVisit(t *testing.T) {
	l := audittest.Honest("register between visits")
	r := &register{l: l}
	a := r.appeal()
	a.Ref = "zzzzzzzzzzzzzzzz"
	l.Append(audit.NewAdmin("ops", audittest.C1, a))
	l.Append(audit.NewAdmin("ops", audittest.C1, r.appeal()))
	l.Append(audit.NewAdmin("", audittest.C1, builds(r.build(audit.RoleEdge, audittest.E1, 2, 0))))
	first := visited(t, l)
	ruling := r.ruling()
	ruling.At = l.Now.Unix()
	l.Append(audit.NewAdmin("ops", audittest.C1, audit.SignRuling(ruling, audittest.O1, l.Officers[audittest.O1])))
	part := l.Part(audit.Part{Since: first.Verified(l.TrustFile())})
	again := verifyAs(t, l, part, l.TrustFile(), after(first))
	if check, _ := again.Check(audit.CheckAdmin); !again.Pass || !strings.HasPrefix(check.Detail, "2 appeals, 1 of them open and 0 overdue; programs of 1 nodes") {
		t.Errorf("a later visit: %t, %q", again.Pass, check.Detail)
	}
	strict := verifyAs(t, l, part, l.TrustFile(), after(first), func(o *audit.Options) { o.Builds = map[[32]byte]bool{{1}: true} })
	if check, _ := strict.Check(audit.CheckAdmin); check.Pass || !strings.Contains(check.Detail, "edge e1 says that it runs cordon") {
		t.Errorf("a program that the first visit accepted, and that is not known now: %+v", check)
	}
	l.Append(audit.NewAdmin("ops", audittest.C1, r.appeal()))
	twice := verifyAs(t, l, l.Part(audit.Part{Since: first.Verified(l.TrustFile())}), l.TrustFile(), after(first))
	if check, _ := twice.Check(audit.CheckAdmin); check.Pass || !strings.Contains(check.Detail, "registered already") {
		t.Errorf("a reference of before the first visit again: %+v", check)
	}
}
