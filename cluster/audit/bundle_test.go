package audit_test

import (
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/list/listtest"
)

func all(o *audit.Options) { o.All = true }

func TestEveryVersionOfAnHonestHistoryPasses(t *testing.T) {
	for _, h := range someHistories() {
		t.Run(h.Name, func(t *testing.T) {
			t.Parallel()
			if r := look(t, h.TellAll(), all); !r.Pass {
				t.Errorf("an honest bundle of every version fails:\n%s", reportText(r))
			}
		})
	}
}

func TestWhatIsNotInTheBundleIsANote(t *testing.T) {
	l := audittest.Honest("part")
	l.Publish(50)
	r := verify(t, l, l.Bundle())
	if notes := strings.Join(r.Notes, "\n"); !r.Pass || !strings.Contains(notes, "the files of 2 other versions are not in this bundle") {
		t.Errorf("pass %v, notes %q, want a note of two versions", r.Pass, notes)
	}
	if c, _ := r.Check(audit.CheckLists); c.Detail != "the files of 1 versions are the signed and logged ones" {
		t.Errorf("lists: %q", c.Detail)
	}
	if c, _ := verify(t, l, l.Bundle(), all).Check(audit.CheckLists); c.Pass || !strings.Contains(c.Detail, "make it with cordon bundle --all") {
		t.Errorf("every version was asked for: %+v, want FAIL", c)
	}
	if whole, part := len(l.Part(audit.Part{All: true})), len(l.Bundle()); whole == part {
		t.Error("a bundle of every version is no larger than one of what is in force")
	}
}

func TestAReturnIsHeldToTheFilesWhileItStands(t *testing.T) {
	l := audittest.Honest("return")
	l.Publish(50)
	l.Return(2, nil)
	if r := verify(t, l, l.Bundle()); !r.Pass || strings.Contains(strings.Join(r.Notes, "\n"), "was not held to the files") {
		t.Errorf("pass %v, notes %q", r.Pass, r.Notes)
	}
	l.Publish(51)
	if r := verify(t, l, l.Bundle()); !r.Pass || !strings.Contains(strings.Join(r.Notes, "\n"), "was not held to the files, which are not in this bundle") {
		t.Errorf("later: pass %v, notes %q, want a note that it was not held to the files", r.Pass, r.Notes)
	}
}

// The edge list of the newest version alone is there while a return stands: a later visit still needs both of its files.
func TestHalfAVersionIsNotTakenForChecked(t *testing.T) {
	l := audittest.Honest("half")
	l.Publish(50)
	l.Return(2, nil)
	before := visited(t, l)
	l.Return(3, nil)
	part := l.Part(audit.Part{Since: before.Verified(l.TrustFile())})
	if r := verify(t, l, part, after(before)); !r.Pass {
		t.Errorf("back to the newest version: fails:\n%s", text(r))
	}
	now, _ := l.InForce.List(listtest.List)
	delete(l.Files, now.Audit)
	part = l.Part(audit.Part{Since: before.Verified(l.TrustFile())})
	if c, _ := verify(t, l, part, after(before)).Check(audit.CheckLists); c.Pass || !strings.Contains(c.Detail, "auditor list of hotline-one/main sequence 3") {
		t.Errorf("without its auditor list: %+v, want FAIL", c)
	}
}
