package publish

import "testing"

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
