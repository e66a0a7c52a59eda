package publish

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
)

// controlNode answers POST /v1/withdrawals over TLS; ca is the file of its authority.
func (w *world) controlNode(h http.HandlerFunc) (url, ca string) {
	w.t.Helper()
	s := httptest.NewTLSServer(h)
	w.t.Cleanup(s.Close)
	ca = w.path("ca-" + strings.TrimPrefix(s.URL, "https://127.0.0.1:") + ".crt")
	w.must(os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	return s.URL, ca
}

// otherCA is the file of an authority that has issued nothing.
func (w *world) otherCA() string {
	w.t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	w.must(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	w.must(err)
	path := w.path("other.crt")
	w.must(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return path
}

func TestAWithdrawalIsPostedToOperatorsAtOnce(t *testing.T) {
	w := newWorld(t)
	for _, o := range []string{"a.example", "b.example", "c.example", "d.example", "e.example"} {
		w.addOperator(o)
	}
	w.importRows("bad.test,domain")
	w.publishAll()
	got := make(chan []byte, 1)
	good, goodCA := w.controlNode(func(rw http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/withdrawals" {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		io.WriteString(rw, `{"list":"hotline-one/main","number":1,"complete":false,"state":"agreed"}`)
		got <- b
	})
	refusing, refusingCA := w.controlNode(func(rw http.ResponseWriter, r *http.Request) {
		rw.WriteHeader(http.StatusConflict)
		io.WriteString(rw, `{"error":"refused: limit"}`)
	})
	mad, madCA := w.controlNode(func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, good, http.StatusTemporaryRedirect) // never followed
	})
	release := make(chan struct{})
	silent, silentCA := w.controlNode(func(rw http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-release
	})
	for _, o := range []struct {
		name, ca string
		urls     []string
	}{
		{"a.example", silentCA, []string{silent}},
		{"b.example", goodCA, []string{"https://127.0.0.1:1", good + "/"}}, // the first is not there
		{"c.example", refusingCA, []string{refusing}},
		{"d.example", w.otherCA(), []string{good}}, // not of its authority
		{"e.example", madCA, []string{mad}},
	} {
		_, err := w.h.SetAPI(o.name, o.urls, o.ca)
		w.must(err)
	}
	d, err := w.h.Withdraw(w.officers[:1], "error", "bad.test")
	w.must(err)
	answers := make(chan []Posted, 1)
	go func() {
		all, err := w.h.Post(t.Context(), d.Number)
		if err != nil {
			t.Error(err)
		}
		answers <- all
	}()
	raw := <-got // though a.example is silent
	if s, err := trust.DecodeWithdrawal(raw); err != nil || s.Number != 1 {
		t.Errorf("posted %+v, %v", s, err)
	}
	if _, err := w.h.Status(); err != nil {
		t.Errorf("another command meanwhile: %v", err)
	}
	close(release)
	all := <-answers
	want := []Posted{{Operator: "a.example", State: Unreached}, {Operator: "b.example", State: "agreed"}, {Operator: "c.example", State: Unreached}, {Operator: "d.example", State: Unreached}, {Operator: "e.example", State: Unreached}}
	for i, p := range all {
		if i >= len(want) || p.Operator != want[i].Operator || p.State != want[i].State {
			t.Errorf("answer %d: %+v, want %+v", i, p, want[i])
		}
	}
	if len(all) != len(want) || all[1].URL != good || !strings.Contains(all[2].Error, "refused: limit") || !strings.Contains(all[3].Error, "certificate") || !strings.Contains(all[4].Error, "307") {
		t.Errorf("answers %+v", all)
	}
	var text strings.Builder
	w.must(WritePosted(&text, all))
	if !strings.Contains(text.String(), "operator b.example: in force there now") || !strings.Contains(text.String(), "operator a.example: not reached") {
		t.Errorf("it says %q", text.String())
	}
	if all, err = w.h.Post(t.Context(), 2); ExitCode(err) != int(CodeInput) {
		t.Errorf("a number that is none: %v, %v", all, err)
	}
}

func TestAddressesOfOperatorsThatAreNone(t *testing.T) {
	w := newWorld(t)
	w.addOperator("a.example")
	_, ca := w.controlNode(func(http.ResponseWriter, *http.Request) {})
	for _, u := range []string{"http://192.0.2.1:7443", "https://", "192.0.2.1", "https://user:pass@192.0.2.1", "https://192.0.2.1/v1", "https://192.0.2.1?x", "file:///etc/passwd", "https://192.0.2.1\n"} {
		if _, err := w.h.SetAPI("a.example", []string{u}, ca); ExitCode(err) != int(CodeUsage) {
			t.Errorf("%q: %v, want wrong usage", u, err)
		}
	}
	_, err := w.h.SetAPI("nobody", nil, "")
	w.wantCode(err, CodeInput, "no operator is called")
	_, err = w.h.SetAPI("a.example", []string{"https://192.0.2.1"}, w.path("hotline", "hotline.json"))
	w.wantCode(err, CodeInput, "not a certificate")
	o, err := w.h.SetAPI("a.example", []string{"https://192.0.2.1:7443/"}, ca)
	w.must(err)
	if len(o.API) != 1 || o.API[0] != "https://192.0.2.1:7443" {
		t.Errorf("got %v", o.API)
	}
	if _, err := x509.ParseCertificate([]byte(o.CA)); err == nil || !strings.HasPrefix(o.CA, "-----BEGIN CERTIFICATE") {
		t.Errorf("certificate %q", o.CA)
	}
	if o, err = w.h.SetAPI("a.example", nil, ""); err != nil || len(o.API) != 0 || o.CA != "" {
		t.Errorf("taken away: %+v, %v", o, err)
	}
}
