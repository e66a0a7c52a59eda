package publish

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/listsync/trust"
)

// drawnFrom is a request for n entries of the newest version, for this reviewer.
func (w *world) drawnFrom(cluster, recipient string, n int) Drawn {
	w.t.Helper()
	issued, err := w.h.Issued()
	w.must(err)
	return Drawn{
		Request: sha256.Sum256([]byte(recipient)), Cluster: cluster, List: issued.List, Seq: issued.Seq, Edge: issued.Edge[issued.Seq], N: n,
		Seed: sha256.Sum256([]byte("seed")), Reviewer: recipient,
	}
}

// reviewer registers one and gives the key file's text and the recipient.
func (w *world) reviewer(name string) (identity, recipient string) {
	w.t.Helper()
	identity, recipient, err := trust.NewSampleIdentity()
	w.must(err)
	_, err = w.h.AddReviewer(name, recipient)
	w.must(err)
	return identity, recipient
}

func (w *world) officerDir(n int) string {
	return w.path([]string{"officer-1", "officer-2", "officer-3"}[n-1])
}

func TestTwoOfficersOpenWhatWasDrawnAndNobodyElseReadsIt(t *testing.T) {
	w := newWorld(t)
	cluster := w.addOperator("isp.example")
	w.importRows("bad.test,domain", "only.test,host", "http://page.test/a,url", "gone.test,host")
	w.publishAll()
	identity, recipient := w.reviewer("Review board")
	d := w.drawnFrom(cluster, recipient, 3)

	w.importRows("later.test,domain")
	w.publishAll() // a request takes days to come; the version it is for may be an earlier one

	first, err := w.h.OpenSample(d, []string{w.officerDir(1)})
	w.must(err)
	if first.Complete() || first.File != "" || first.Count != 3 || first.Of != 4 || len(first.Missing) != 2 || first.Reviewer != "Review board" || first.Operator != "isp.example" {
		t.Errorf("after the first officer: %+v", first)
	}
	again, err := w.h.OpenSample(d, []string{w.officerDir(1)})
	w.must(err)
	if again.Complete() || again.Number != first.Number {
		t.Errorf("the same officer again: %+v", again)
	}
	second, err := w.h.OpenSample(d, []string{w.officerDir(3)})
	w.must(err)
	if !second.Complete() || second.Number != first.Number || len(second.SignedBy) != 2 {
		t.Fatalf("after the second officer: %+v", second)
	}
	if _, err := os.Stat(w.path("hotline", "openings", "1.key")); err == nil {
		t.Error("the hotline keeps a key to what it opened")
	}
	sealed, err := os.ReadFile(second.File)
	w.must(err)
	s, err := trust.OpenSample(sealed, strings.NewReader(identity))
	w.must(err)
	if len(s.Shown) != 3 || s.Seq != 1 || s.Request != d.Request {
		t.Errorf("got %v", s)
	}
	for _, x := range s.Shown {
		if x.Expression == "later.test" || x.Expression == "canary.hotline-one.test" || !strings.Contains(x.Expression, ".test") {
			t.Errorf("record %d shows %q", x.Record, x.Expression)
		}
		if bytes.Contains(sealed, []byte(x.Expression)) {
			t.Errorf("%q can be read in the sealed file", x.Expression)
		}
	}
	raw, err := os.ReadFile(w.path("hotline", "openings", "1.cbor"))
	w.must(err)
	f, _ := w.fetchAll(trust.HighWater{})
	said, signers, err := trust.VerifyOpening(f.Officers, raw, w.now)
	w.must(err)
	if len(signers) != 2 || said.File != sha256.Sum256(sealed) || said.Count != 3 || said.Cluster != cluster {
		t.Errorf("got %+v by %v", said, signers)
	}
	_, err = w.h.OpenSample(d, []string{w.officerDir(2)})
	w.wantCode(err, CodeInput, "the threshold has signed this request already")
}

func TestBothOfficersAtOnceAndTheOperatorIsTold(t *testing.T) {
	w := newWorld(t)
	cluster := w.addOperator("isp.example")
	w.importRows("bad.test,domain", "only.test,host")
	w.publishAll()
	_, recipient := w.reviewer("Review board")
	o, err := w.h.OpenSample(w.drawnFrom(cluster, recipient, 1), []string{w.officerDir(1), w.officerDir(2)})
	w.must(err)
	if !o.Complete() {
		t.Fatalf("got %+v", o)
	}
	_, err = w.h.PostOpening(t.Context(), o.Number)
	w.wantCode(err, CodeInput, "no address of the operator's control nodes is known")
	url, ca := w.controlNode(func(rw http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if said, bad := trust.DecodeOpening(b); err != nil || bad != nil || r.URL.Path != "/v1/openings" || said.Count != 1 {
			t.Errorf("%s: %v %v", r.URL, err, bad)
		}
		io.WriteString(rw, `{"list":"hotline-one/main","seq":1,"state":"agreed"}`)
	})
	_, err = w.h.SetAPI("isp.example", []string{url}, ca)
	w.must(err)
	posted, err := w.h.PostOpening(t.Context(), o.Number)
	w.must(err)
	if len(posted) != 1 || posted[0].State != "agreed" || posted[0].Error != "" {
		t.Errorf("got %+v", posted)
	}
}

func TestOpeningsThatNobodyMaySign(t *testing.T) {
	w := newWorld(t)
	cluster := w.addOperator("isp.example")
	w.importRows("bad.test,domain", "only.test,host")
	w.publishAll()
	_, recipient := w.reviewer("Review board")
	_, stranger, err := trust.NewSampleIdentity()
	w.must(err)
	for _, c := range []struct {
		name   string
		change func(d *Drawn)
		code   Code
		says   string
	}{
		{"a reviewer whom nobody registered", func(d *Drawn) { d.Reviewer = stranger }, CodeInput, "no registered reviewer's"},
		{"the log of somebody who is no operator", func(d *Drawn) { d.Cluster = strings.Repeat("ab", 16) }, CodeInput, "no operator of this hotline"},
		{"another list", func(d *Drawn) { d.List = "hotline-two/main" }, CodeInput, "this hotline signs hotline-one/main"},
		{"a version that was never published", func(d *Drawn) { d.Seq = 2 }, CodeInput, "the newest one published here is 1"},
		{"another file of the version", func(d *Drawn) { d.Edge[0] ^= 1 }, CodeVerify, "another edge list of version 1"},
		{"more than there are", func(d *Drawn) { d.N = 3 }, CodeInput, "has 2 entries to draw from, and 3 are asked for"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := w.drawnFrom(cluster, recipient, 1)
			c.change(&d)
			_, err := w.h.OpenSample(d, []string{w.officerDir(1), w.officerDir(2)})
			w.wantCode(err, c.code, c.says)
		})
	}
	_, err = w.h.OpenSample(w.drawnFrom(cluster, recipient, 1), nil)
	w.wantCode(err, CodeUsage, "nobody signs")
}

// One officer alone cannot have another sign for more, or for other entries, than were drawn.
func TestTheSecondOfficerSeesWhatTheFirstWouldShow(t *testing.T) {
	w := newWorld(t)
	cluster := w.addOperator("isp.example")
	w.importRows("bad.test,domain", "only.test,host", "third.test,host")
	w.publishAll()
	_, recipient := w.reviewer("Review board")
	d := w.drawnFrom(cluster, recipient, 1)
	_, err := w.h.OpenSample(d, []string{w.officerDir(1)})
	w.must(err)
	all := d
	all.N = 3
	s, err := w.h.begin()
	w.must(err)
	more, _, err := s.sample(all)
	s.release()
	w.must(err)
	identity, own, err := trust.NewSampleIdentity()
	w.must(err)
	sealed, err := trust.SealSample(more, recipient, own)
	w.must(err)
	w.must(os.WriteFile(w.path("hotline", "openings", "1.age"), sealed, 0o600))
	w.must(os.WriteFile(w.path("hotline", "openings", "1.key"), []byte(identity), 0o600))
	_, err = w.h.OpenSample(d, []string{w.officerDir(2)})
	w.wantCode(err, CodeVerify, "is not what the request draws")
}
