package publish

import (
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
)

func TestRekeyNamesTheEpochOfTheNextVersion(t *testing.T) {
	w := newWorld(t)
	w.addOperator("isp-one")
	w.importRows("bad.test,domain")
	w.publishAll()
	for want := uint32(2); want <= 3; want++ {
		got, err := w.h.NewEpoch()
		w.must(err)
		st, err := w.h.Status()
		w.must(err)
		if got != want || st.Epoch != want {
			t.Errorf("got epoch %d and %d in status, want %d", got, st.Epoch, want)
		}
	}
	w.publishAll()
	m, err := (&session{dir: w.path("hotline")}).manifest(2)
	w.must(err)
	if m.Epoch != 3 {
		t.Errorf("the version has epoch %d, want 3", m.Epoch)
	}
}

// Keys live 30 days at most, whenever versions are signed: a version on day 19 would carry them to day 49.
func TestKeysLiveThirtyDaysAtMost(t *testing.T) {
	w := newWorld(t)
	w.addOperator("isp-one")
	w.importRows("bad.test,domain")
	w.publishAll()
	notes := func() string {
		t.Helper()
		r, err := w.h.Refresh()
		w.must(err)
		return strings.Join(r.Notes, "\n")
	}
	day := func(n int) { w.now = w.now.Add(time.Duration(n) * 24 * time.Hour) }
	day(19)
	w.importRows("bad.test,domain", "worse.test,domain")
	w.publishAll()
	if f, _ := w.fetchAll(trust.HighWater{}); f.Lists[0].Epoch != 1 {
		t.Errorf("epoch %d on day 19, want 1", f.Lists[0].Epoch)
	}
	if got := notes(); got != "" {
		t.Errorf("notes on day 19: %q", got)
	}
	day(2)
	if got := notes(); !strings.Contains(got, "the life of the list's keys ends on ") || !strings.Contains(got, "sign the list anew") {
		t.Errorf("notes on day 21: %q", got)
	}
	w.publishAll() // nothing has changed but the keys' age
	if f, _ := w.fetchAll(trust.HighWater{}); f.Lists[0].Epoch != 2 || f.Lists[0].Seq != 3 {
		t.Errorf("epoch %d of version %d on day 21, want epoch 2 of version 3", f.Lists[0].Epoch, f.Lists[0].Seq)
	}
	if got := notes(); got != "" {
		t.Errorf("notes after the new epoch: %q", got)
	}
}
