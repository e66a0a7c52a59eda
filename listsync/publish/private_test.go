package publish

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"testing"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/oprf"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/canon"
)

// columnOf reads the column that the newest version's metadata names, as an auditor does, and gives the function's key beside it.
func (w *world) columnOf() (fetched, *list.Column, *oprf.Key) {
	w.t.Helper()
	f, _ := w.fetchAll(trust.HighWater{})
	p, _, err := w.h.OpenPrivate()
	w.must(err)
	signed := f.Lists[0].Private
	in, size, err := p.Column(signed.Column)
	w.must(err)
	defer in.Close()
	b, err := io.ReadAll(in)
	w.must(err)
	if size != int64(len(b)) {
		w.t.Errorf("said to have %d bytes, it has %d", size, len(b))
	}
	if sha256.Sum256(b) != signed.Column || int64(len(b)) != signed.Size || signed.Key != p.Key.Public() || signed.URL != "https://private.example" {
		w.t.Errorf("signed %+v", signed)
	}
	c, err := list.OpenColumn(b)
	w.must(err)
	w.must(c.Fits(f.edge))
	return f, c, p.Key
}

func (w *world) found(c *list.Column, key *oprf.Key, k canon.Kind, expr string) int {
	w.t.Helper()
	out, err := key.Full(oprf.Input("hotline-one/main", k.Class(), expr))
	w.must(err)
	return len(c.Find(out))
}

func TestAVersionHasAnOutputForEachRecord(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain", "http://page.test/a?b=c,url", "page.test/gallery/,prefix")
	w.publishAll()
	if f, _ := w.fetchAll(trust.HighWater{}); f.Lists[0].Private != (trust.Private{}) {
		t.Fatalf("off, and signed: %+v", f.Lists[0].Private)
	}
	st, err := w.h.SetPrivate(true, "https://private.example")
	w.must(err)
	if !st.On || len(st.Key) != 64 {
		t.Errorf("got %+v", st)
	}
	w.importRows("only.test,host")
	w.publishAll()
	_, c, key := w.columnOf()
	for _, x := range []struct {
		kind canon.Kind
		expr string
		n    int
	}{
		{canon.KindDomain, "bad.test", 1}, {canon.KindHost, "only.test", 1}, {canon.KindURL, "page.test/a?b=c", 1}, {canon.KindPrefix, "page.test/gallery", 1},
		{canon.KindHost, "page.test", 2}, // its two steer records
		{canon.KindHost, "canary.hotline-one.test", 1}, {canon.KindHost, "good.test", 0}, {canon.KindURL, "bad.test", 0},
	} {
		if got := w.found(c, key, x.kind, x.expr); got != x.n {
			t.Errorf("%v %s: %d records, want %d", x.kind, x.expr, got, x.n)
		}
	}
	kept, err := os.ReadFile(w.path("hotline", ".private.cache"))
	w.must(err)
	if bytes.Contains(kept, []byte("bad.test")) {
		t.Error("the kept outputs name an entry")
	}
	w.must(os.WriteFile(w.path("hotline", ".private.cache"), append([]byte("x"), kept...), 0o600)) // damaged: all is computed anew
	w.importRows("more.test,domain")
	w.publishAll()
	_, c, again := w.columnOf()
	if again.Public() != key.Public() || w.found(c, key, canon.KindDomain, "more.test") != 1 || w.found(c, key, canon.KindDomain, "bad.test") != 1 {
		t.Error("the next version's column has other outputs")
	}
}

// An officer whose tool rebuilds the version rebuilds the column too, with the key in the sealed request and none of the hotline's kept outputs.
func TestAnOfficerWhoRebuildsTheVersionRebuildsTheColumn(t *testing.T) {
	w := newWorld(t)
	_, err := w.h.SetPrivate(true, "https://private.example")
	w.must(err)
	w.importRows("bad.test,domain", "http://page.test/a,url")
	_, err = w.h.Export(ExportOptions{File: w.path("request"), Full: true})
	w.must(err)
	a, err := w.answer(0, w.path("request"), w.path("signature"))
	w.must(err)
	if !a.Proved {
		t.Errorf("the officer has not rebuilt it: %+v", a)
	}
	_, err = w.h.ImportSignature(w.path("signature"))
	w.must(err)
	_, err = w.h.Sign(w.officers[1])
	w.must(err)
	_, err = w.h.Publish("")
	w.must(err)
	w.columnOf()
}

func TestAColumnThatWasChangedAfterItWasMadeIsNotSigned(t *testing.T) {
	w := newWorld(t)
	_, err := w.h.SetPrivate(true, "https://private.example")
	w.must(err)
	w.importRows("bad.test,domain")
	_, err = w.h.Sign(w.officers[0])
	w.must(err)
	w.inPlace(w.path("hotline", "staging", "column"), func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	_, err = w.h.Sign(w.officers[1])
	w.wantCode(err, CodeVerify, "was changed after it was made")
}

func TestPrivateLookupsNeedAnAddressAndCanBeTurnedOff(t *testing.T) {
	w := newWorld(t)
	for _, url := range []string{"", "http://private.example", "https://private.example/", "https://u@private.example", "https://private.example?x", "ftp://private.example", "https://pri vate.example"} {
		_, err := w.h.SetPrivate(true, url)
		w.wantCode(err, CodeUsage, "is no address of a service")
	}
	_, _, err := w.h.OpenPrivate()
	w.wantCode(err, CodeInput, "were never on")
	on, err := w.h.SetPrivate(true, "https://private.example")
	w.must(err)
	st, err := w.h.Status()
	w.must(err)
	if st.Private == nil || *st.Private != (PrivateLookups{URL: "https://private.example"}) {
		t.Errorf("status while they are on: %+v", st.Private)
	}
	_, err = w.h.SetPrivate(false, "")
	w.must(err)
	if st, err = w.h.Status(); err != nil || st.Private != nil {
		t.Errorf("status while they are off: %+v, %v", st.Private, err)
	}
	w.importRows("bad.test,domain")
	w.publishAll()
	if f, _ := w.fetchAll(trust.HighWater{}); f.Lists[0].Private != (trust.Private{}) {
		t.Errorf("off, and signed: %+v", f.Lists[0].Private)
	}
	again, err := w.h.SetPrivate(true, "https://private.example")
	w.must(err)
	if again.Key != on.Key {
		t.Error("turned on again it has another key")
	}
}
