package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

// tool runs cordon-audit.
func tool(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExitCodesSayWhatHappened(t *testing.T) {
	l := audittest.Honest("tool")
	trust, bundle := write(t, "trust.json", l.TrustFile()), write(t, "bundle.tar", l.Bundle())
	lied := bytes.Clone(l.Bundle())
	lied[len(lied)-3000] ^= 1 // in the last list file
	changed := write(t, "changed.tar", lied)
	foreign := write(t, "state.json", (&audit.Visit{V: 3, Cluster: audittest.New("other").Desc.ID(), Size: 1, Root: strings.Repeat("00", 32)}).Encode())
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{"an honest bundle", []string{"verify", "--trust", trust, bundle}, 0, "PASS  cluster isp.example: all ", ""},
		{"flags after the bundle", []string{"verify", bundle, "--trust", trust}, 0, "PASS  receipts", ""},
		{"a changed bundle", []string{"verify", "--trust", trust, changed}, 5, "FAIL  lists ", ""},
		{"a stale bundle", []string{"verify", "--max-age", "1s", "--trust", trust, bundle}, 5, "stale", ""},
		{"a trust file of another cluster", []string{"verify", "--trust", write(t, "trust.json", audittest.New("other").TrustFile()), bundle}, 5, "FAIL  trust", ""},
		{"a trust file that is none", []string{"verify", "--trust", write(t, "trust.json", []byte("{}")), bundle}, 3, "", "--trust names the trust file"},
		{"a trust file that is none, live", []string{"verify", "--trust", write(t, "trust.json", []byte("{}")), "https://127.0.0.1:1"}, 3, "", "--trust names the trust file"},
		{"a trust file that is a bundle", []string{"verify", "--trust", bundle, bundle}, 3, "", "parse trust file"},
		{"a bundle that is a trust file", []string{"verify", "--trust", trust, trust}, 5, "FAIL  bundle", ""},
		{"a trust file that is empty", []string{"verify", "--trust", write(t, "trust.json", nil), bundle}, 3, "", "the file is empty"},
		{"a trust file that is a directory", []string{"verify", "--trust", t.TempDir(), bundle}, 3, "", "is a directory"},
		{"no trust file", []string{"verify", bundle}, 2, "", `required flag(s) "trust" not set`},
		{"no bundle", []string{"verify", "--trust", trust}, 2, "", "what to do: see cordon-audit verify --help"},
		{"two bundles", []string{"verify", "--trust", trust, bundle, bundle}, 2, "", "1 argument is needed"},
		{"an unknown flag", []string{"verify", "--force"}, 2, "", "unknown flag"},
		{"an unknown command", []string{"trustme"}, 2, "", "unknown command"},
		{"a misspelled command with its flags", []string{"verfy", "--trust", trust, bundle}, 2, "", `cordon-audit: unknown command "verfy"; did you mean verify?`},
		{"a misspelled command after a flag", []string{"verfy", "--max-age=1h", "-x"}, 2, "", "unknown command"},
		{"no command", nil, 2, "", "a command is missing"},
		{"plain http", []string{"verify", "--trust", trust, "http://127.0.0.1:1"}, 3, "", "write https://NAME:PORT"},
		{"a trust file that is not there", []string{"verify", "--trust", "/nonexistent/trust.json", bundle}, 3, "", "--trust names the trust file"},
		{"a bundle that is not there", []string{"verify", "--trust", trust, "/nonexistent/bundle.tar"}, 3, "", "name a file made by cordon bundle"},
		{"a bundle that is a directory", []string{"verify", "--trust", trust, t.TempDir()}, 3, "", "it is a directory, not a file"},
		{"a bundle that is empty", []string{"verify", "--trust", trust, write(t, "bundle.tar", nil)}, 3, "", "the file is empty"},
		{"a state file that cannot be written", []string{"verify", "--state", "/nonexistent/state.json", "--trust", trust, bundle}, 1, "", "write state file"},
		{"a trust file without a CA, live", []string{"verify", "--trust", trust, "https://127.0.0.1:1"}, 3, "", "the trust file names no CA"},
		{"a state file that is none", []string{"verify", "--state", write(t, "state", []byte("x")), "--trust", trust, bundle}, 3, "", "what to do: --state names the file that an earlier verify --state wrote"},
		{"a state file that is a trust file", []string{"verify", "--state", trust, "--trust", trust, bundle}, 3, "", "what to do: --state names the file that an earlier verify"},
		{"a state file of another program", []string{"verify", "--state", write(t, "state", []byte("{\"v\":1}")), "--trust", trust, bundle}, 3, "", "is not one that a verification wrote, and is left as it is"},
		{"a state file that is a directory", []string{"verify", "--state", t.TempDir(), "--trust", trust, bundle}, 3, "", "what to do: --state names"},
		{"a state file of another cluster", []string{"verify", "--state", foreign, "--trust", trust, bundle}, 3, "", "what to do: keep a state file for each cluster"},
		{"show", []string{"show", "--trust", trust, bundle}, 0, "list hotline-one/main sequence 2 follows 1: ", ""},
		{"show of a log that is not the cluster's", []string{"show", "--trust", trust, write(t, "b", lied[:3000])}, 5, "", "FAIL"},
		{"version", []string{"version"}, 0, "canonicalisation cordon-canon/1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := tool(t, c.args...)
			if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
				t.Errorf("got code %d\nstdout %s\nstderr %s\nwant code %d, %q, %q", code, stdout, stderr, c.code, c.stdout, c.stderr)
			}
			if code == codeFail && c.stderr == "" && stderr != "" {
				t.Errorf("stderr %q, want the report alone", stderr)
			}
		})
	}
}

// A code in the help is one of README's, with the same meaning.
func TestTheHelpNamesTheExitCodes(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, help, _ := tool(t, "--help")
	for _, c := range []struct {
		code         int
		readme, help string
	}{
		{codeOK, "0 done", "0 every check passed"},
		{codeFailed, "1 failed", "1 the result could not be written"},
		{codeUsage, "2 wrong usage", "2 wrong usage"},
		{codeInput, "3 bad input", "3 bad input"},
		{codeFail, "5 verification failed", "5 verification failed"},
	} {
		if !strings.HasPrefix(c.readme, strconv.Itoa(c.code)) || !strings.Contains(string(readme), c.readme) || !strings.Contains(help, c.help) {
			t.Errorf("code %d: README says %q: %t, the help says %q: %t", c.code, c.readme, strings.Contains(string(readme), c.readme), c.help, strings.Contains(help, c.help))
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestAResultThatCannotBeWrittenIsNoPass(t *testing.T) {
	l := audittest.Honest("tool")
	trust, bundle := write(t, "trust.json", l.TrustFile()), write(t, "bundle.tar", l.Bundle())
	for _, args := range [][]string{
		{"verify", "--trust", trust, bundle}, {"verify", "--json", "--trust", trust, bundle},
		{"show", "--trust", trust, bundle}, {"show", "--json", "--trust", trust, bundle}, {"version"},
	} {
		var stderr bytes.Buffer
		if code := run(context.Background(), args, fullDisk{}, &stderr); code != codeFailed || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("%v: got code %d, %s; want %d", args, code, stderr.String(), codeFailed)
		}
	}
}

// A disk that does not take the state file keeps nobody from reading what was found, least of all that something is wrong.
func TestAStateThatCannotBeWrittenHidesNothing(t *testing.T) {
	l := audittest.Honest("tool")
	trust, state := write(t, "trust.json", l.TrustFile()), filepath.Join(t.TempDir(), "not-there", "state")
	honest := write(t, "bundle.tar", l.Bundle())
	l.PublishWith(50, func(p audit.Publish) audit.Publish { p.Verdicts = nil; return p })
	for bundle, want := range map[string]struct {
		code int
		says string
	}{honest: {1, "PASS  receipts"}, write(t, "lied.tar", l.Bundle()): {5, "FAIL  verdicts"}} {
		code, stdout, stderr := tool(t, "verify", "--state", state, "--trust", trust, bundle)
		if code != want.code || !strings.Contains(stdout, want.says) || !strings.Contains(stderr, "write state file") {
			t.Errorf("code %d, want %d and %q\n%s%s", code, want.code, want.says, stdout, stderr)
		}
	}
}

func TestTheReportIsJSON(t *testing.T) {
	l := audittest.Honest("tool")
	_, stdout, _ := tool(t, "verify", "--json", "--trust", write(t, "trust.json", l.TrustFile()), write(t, "bundle.tar", l.Bundle()))
	var r audit.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	if !r.Pass || len(r.Checks) < 10 || r.Checkpoint == nil || r.Checkpoint.Size != 15 {
		t.Errorf("got %+v", r)
	}
}

func TestShowPrintsEveryLeafOnALine(t *testing.T) {
	l := audittest.Honest("tool")
	l.Append(audit.Reject{Hotline: audittest.Hotline, Stage: "fetch", Reason: "scope", Detail: "\x1b]0;evil\x07\n", Node: "c1"})
	trust, bundle := write(t, "trust.json", l.TrustFile()), write(t, "bundle.tar", l.Bundle())
	_, stdout, _ := tool(t, "show", "--trust", trust, bundle)
	if n := strings.Count(stdout, "\n"); n != 16 {
		t.Errorf("got %d lines, want 16:\n%s", n, stdout)
	}
	if strings.ContainsAny(stdout, "\x1b\x07") || !strings.Contains(stdout, `\x1b]0;evil\a\n`) {
		t.Errorf("control characters of the log reach the terminal: %q", stdout)
	}
	_, stdout, _ = tool(t, "show", "--json", "--trust", trust, bundle)
	dec := json.NewDecoder(strings.NewReader(stdout))
	for i := range 16 {
		var leaf struct {
			N int
			K string
			B map[string]any
		}
		if err := dec.Decode(&leaf); err != nil || leaf.N != i || leaf.K == "" || len(leaf.B) == 0 {
			t.Fatalf("leaf %d: %+v, %v", i, leaf, err)
		}
	}
}

func TestTheStateFileHoldsTheNextVisitToTheLast(t *testing.T) {
	l := audittest.Honest("tool")
	trust, state := write(t, "trust.json", l.TrustFile()), filepath.Join(t.TempDir(), "state.json")
	first := write(t, "bundle.tar", l.Bundle())
	l.Publish(50)
	second := write(t, "bundle.tar", l.Bundle())
	for i, c := range []struct {
		bundle string
		code   int
		says   string
	}{
		{first, 0, "PASS  receipts"},
		{first, 0, "0 leaves since the last visit"},
		{second, 0, "1 leaves since the last visit"},
		{first, 5, "rollback: the log has 15 leaves, at the last visit it had 16"},
		{second, 0, "0 leaves since the last visit"}, // the rollback was not remembered
	} {
		if code, stdout, stderr := tool(t, "verify", "--state", state, "--trust", trust, c.bundle); code != c.code || !strings.Contains(stdout, c.says) {
			t.Errorf("visit %d: got code %d\n%s%s\nwant %d, %q", i, code, stdout, stderr, c.code, c.says)
		}
	}
}

// node is a live control node with a certificate of the given identity.
func node(t *testing.T, identity string, h http.HandlerFunc) (base, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	uri, err := url.Parse(identity)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, URIs: []*url.URL{uri},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestALiveNodeIsVerifiedLikeABundle(t *testing.T) {
	l := audittest.Honest("tool")
	identity := "cordon://" + l.Desc.ID() + "/control/c1"
	serve := func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/v1/bundle" {
			http.NotFound(w, r)
			return
		}
		if err := audit.WriteBundle(r.Context(), w, l, audit.Part{}, l.Now); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		name     string
		identity string
		handler  http.HandlerFunc
		code     int
		says     string
	}{
		{"honest", identity, serve, 0, "PASS  cluster isp.example: all "},
		{"an edge in its place", "cordon://" + l.Desc.ID() + "/edge/e1", serve, 3, "not a control node of the trusted cluster"},
		{"a node of another cluster", "cordon://" + strings.Repeat("ab", 16) + "/control/c1", serve, 3, "not a control node of the trusted cluster"},
		{"busy", identity, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, 3, "answers 503"},
		{"redirecting", identity, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1:1/", http.StatusFound)
		}, 3, "a node never does"},
		{"breaking off", identity, func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(l.Bundle()[:9000])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, 3, "ask again, or another node"},
		{"sending nonsense", identity, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }, 5, "FAIL  bundle"},
	} {
		t.Run(c.name, func(t *testing.T) {
			base, ca := node(t, c.identity, c.handler)
			trust := write(t, "trust.json", audit.NewTrustFile(l.Desc, ca).Encode())
			code, stdout, stderr := tool(t, "verify", "--trust", trust, base)
			if code != c.code || !strings.Contains(stdout+stderr, c.says) {
				t.Errorf("got code %d\n%s%s\nwant %d, %q", code, stdout, stderr, c.code, c.says)
			}
		})
	}
	t.Run("a CA that the trust file does not know", func(t *testing.T) {
		base, _ := node(t, identity, serve)
		_, ca := node(t, identity, serve)
		trust := write(t, "trust.json", audit.NewTrustFile(l.Desc, ca).Encode())
		if code, _, stderr := tool(t, "verify", "--trust", trust, base); code != 3 {
			t.Errorf("got code %d, %s", code, stderr)
		}
	})
}

// What a hotline, an operator or a file name says reaches the terminal as letters.
func TestWhatOthersWriteIsOnlyText(t *testing.T) {
	l := audittest.Honest("tool")
	trust, bundle := write(t, "trust.json", l.TrustFile()), write(t, "bundle.tar", l.Bundle())
	hostile := "no\x1b[2J\u009b1m\u202esuch"
	given := write(t, "sample.json", []byte(`{"v":1,"list":"no\u001b[2J\u009b1m\u202esuch","seq":1,"of":1,"records":[0]}`))
	for _, args := range [][]string{
		{"verify", "--trust", trust, hostile}, {"verify", "--trust", hostile, bundle}, {hostile}, {"trust", "--trust", trust, "--hotline", hostile + ",x", "--out", "y"},
		{"sample", "bound", "--dir", hostile}, {"sample", "bound", "--dir", filepath.Dir(given)}, {"figures", "--trust", trust, hostile, bundle}, {"publiclog", "--trust", trust, hostile, bundle},
	} {
		if _, stdout, stderr := tool(t, args...); strings.ContainsAny(stdout+stderr, "\x1b\u009b\u202e") {
			t.Errorf("%q prints %q%q", args, stdout, stderr)
		}
	}
}
