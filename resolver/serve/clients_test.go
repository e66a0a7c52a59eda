package serve

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/wire"
)

// wholeServer is a server with every transport in front of a resolver with a listed name, and what other people's clients need.
type wholeServer struct {
	*secured
	ca string // file of its certificate
}

func startSecuredWhole(t *testing.T) *wholeServer {
	t.Helper()
	r := startResolver(t, resolver.Own{
		Name: resolverName, InfoURL: "https://isp.test/dns",
		Services: []resolver.Service{{Via: wire.TLS, Port: 853}, {Via: wire.HTTPS, Port: 443, Path: "/dns-query", HTTP3: true}},
	})
	r.Swap(setOf(t, "bad.test"))
	w := &wholeServer{secured: startSecured(t, Config{
		Handler: r, TCPAddrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Idle: 10 * time.Second, IdleEncrypted: 30 * time.Second, // as clients are told
	})}
	w.ca = w.writeCA(t, t.TempDir())
	return w
}

// writeCA makes a file of the server's certificate.
func (s *secured) writeCA(t *testing.T, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "ca.pem")
	der := s.secure.certificate.Load().Certificate[0]
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// program finds a client, or skips a test on a machine of somebody who has not run make deps.
func program(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing: %v", name, err)
		}
		t.Skipf("%s is missing; install %s to run this test", name, pkg)
	}
	return path
}

// run is what a client prints.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}

// TestOtherPeoplesClientsAreAnswered asks with clients that others wrote, over each transport they speak.
func TestOtherPeoplesClientsAreAnswered(t *testing.T) {
	dig, kdig := program(t, "dig", "bind9-dnsutils"), program(t, "kdig", "knot-dnsutils")
	s := startSecuredWhole(t)
	at := func(a []netip.AddrPort) []string { return []string{"@127.0.0.1", "-p", fmt.Sprint(a[0].Port())} }
	known := []string{"+tls-ca=" + s.ca, "+tls-hostname=" + resolverName}
	tcp, dot, doh := at(s.TCPAddrs()), append(at(s.TLSAddrs()), known...), append(at(s.HTTPSAddrs()), known...)
	for _, tt := range []struct {
		program string
		to      []string
		args    string
		want    []string
	}{
		{kdig, tcp, "+tcp +keepopen www.bad.test A good.test A big--good.test TXT", []string{"127.0.0.16", "192.0.2.", "made up by"}},
		{dig, tcp, "+tcp +keepalive www.bad.test", []string{"127.0.0.16", "TCP KEEPALIVE: 10.0 secs", "EDE: 16 (Censored)"}},
		{kdig, dot, "+tls +padding www.bad.test", []string{"127.0.0.16", "EDE: 16 (Censored)", "Received 468 B", "(TLS1.3)"}},
		{kdig, dot, "+tls +keepopen +nopadding www.bad.test A good.test A", []string{"127.0.0.16", "192.0.2."}},
		{dig, dot, "+tls +keepalive bad.test AAAA", []string{"fd00::16", "TCP KEEPALIVE: 30.0 secs", "(TLS)"}},
		{kdig, doh, "+https www.bad.test", []string{"127.0.0.16", "HTTP/2-POST", "status: 200", "Received 468 B"}},
		{kdig, doh, "+https +https-get good.test", []string{"192.0.2.", "HTTP/2-GET", "status: 200", "Received 468 B"}},
		{dig, doh, "+https www.bad.test", []string{"127.0.0.16", "EDE: 16 (Censored)", "(HTTPS)"}},
		{dig, doh, "+https-get good.test", []string{"192.0.2.", "(HTTPS-GET)"}},
		{dig, tcp, "_dns.resolver.arpa type64", []string{`1 dns.isp.test. alpn="dot" port=853`, `2 dns.isp.test. alpn="h2,h3" port=443 key7="/dns-query{?dns}"`}},
		{kdig, tcp, "+tcp _dns.dns.isp.test type64", []string{"ANSWER: 2", "dns.isp.test"}},
		{dig, tcp, "resolver.arpa type261", []string{`"exterr=1-3,5-12,14-16,`, `"infourl=https://isp.test/dns"`}},
	} {
		got := run(t, tt.program, append(append([]string{}, tt.to...), strings.Fields(tt.args)...)...)
		for _, w := range tt.want {
			if !strings.Contains(got, w) {
				t.Errorf("%s %s: no %q in\n%s", filepath.Base(tt.program), tt.args, w, got)
			}
		}
	}
}

// TestOtherPeoplesHTTPIsAnswered asks with curl (nghttp2) and the client of ngtcp2, in GET: they know nothing of DNS.
func TestOtherPeoplesHTTPIsAnswered(t *testing.T) {
	curl, gtlsclient := program(t, "curl", "curl"), program(t, "gtlsclient", "ngtcp2-client")
	s := startSecuredWhole(t)
	query, err := new(dns.Msg).SetQuestion("www.bad.test.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(s.HTTPSAddrs()[0].Port())
	url := fmt.Sprintf("https://%s:%s/dns-query?dns=%s", resolverName, port, base64.RawURLEncoding.EncodeToString(query))
	dir := t.TempDir()
	body, head := filepath.Join(dir, "body"), filepath.Join(dir, "head")
	run(t, curl, "-sS", "--http2", "--cacert", s.ca, "--resolve", resolverName+":"+port+":127.0.0.1", "-D", head, "-o", body, url)
	headers, err := os.ReadFile(head)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"HTTP/2 200", "content-type: application/dns-message", "cache-control: max-age=0000030", `alt-svc: h3=":` + port + `"`} {
		if !strings.Contains(string(headers), want) {
			t.Errorf("curl: no %q in\n%s", want, headers)
		}
	}
	run(t, gtlsclient, "--exit-on-all-streams-close", "--no-quic-dump", "--no-http-dump", "-q", "--sni", resolverName, "--download", dir, "127.0.0.1", port, url)
	for name, path := range map[string]string{"curl": body, "gtlsclient": filepath.Join(dir, url[strings.Index(url, "dns-query"):])} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var m dns.Msg
		if err := m.Unpack(b); err != nil || len(m.Answer) != 1 || !strings.Contains(m.Answer[0].String(), "127.0.0.16") {
			t.Errorf("%s: %v, %v", name, &m, err)
		}
	}
	if n := s.Counts().By[wire.HTTPS].Questions; n != 2 {
		t.Errorf("%d questions over HTTPS, want 2", n)
	}
}

// TestAChromiumWithSecureDNSComesToTheStopPage: in "secure" mode it asks nobody else, so what it finds it has from us.
func TestAChromiumWithSecureDNSComesToTheStopPage(t *testing.T) {
	chromium := program(t, "chromium", "chromium")
	s := startSecuredWhole(t)
	page, err := net.Listen("tcp", "127.0.0.16:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnavailableForLegalReasons)
		_, _ = io.WriteString(w, "<p>this is the stop page</p>")
	})}
	go func() { _ = web.Serve(page) }()
	defer web.Close()
	profile, err := os.MkdirTemp("", "chromium") // t.TempDir would want it to be empty of what helpers of the browser write at their end
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(profile)
	state := fmt.Sprintf(`{"dns_over_https":{"mode":"secure","templates":"%s{?dns}"}}`, s.url())
	if err := os.WriteFile(filepath.Join(profile, "Local State"), []byte(state), 0o600); err != nil {
		t.Fatal(err)
	}
	pin := sha256.Sum256(s.secure.certificate.Load().Leaf.RawSubjectPublicKeyInfo)
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	browser := exec.CommandContext(ctx, chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--user-data-dir="+profile, "--ignore-certificate-errors-spki-list="+base64.StdEncoding.EncodeToString(pin[:]),
		"--dump-dom", fmt.Sprintf("http://www.bad.test:%d/", page.Addr().(*net.TCPAddr).Port))
	browser.WaitDelay = 5 * time.Second // its helpers may hold the pipes
	out, err := browser.CombinedOutput()
	if !strings.Contains(string(out), "this is the stop page") {
		t.Errorf("chromium: %v\n%s", err, out)
	}
	if s.Counts().By[wire.HTTPS].Questions == 0 {
		t.Error("chromium has not asked over HTTPS")
	}
}

// TestNothingIsWrittenAboutEncryptedQuestions reads back what the process and its libraries wrote while they served good clients and bad ones
// (P5).
func TestNothingIsWrittenAboutEncryptedQuestions(t *testing.T) {
	s := startSecuredWhole(t)
	quic, h2, h3, dot := s.dialQUIC(t), s.h2(t), s.h3(t), s.dialTLS(t)
	old := [2]*os.File{os.Stdout, os.Stderr}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout, os.Stderr = writer, writer
	plain := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(writer, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log.SetOutput(writer)
	query := string(padded(t, "secret.test.", dns.TypeA))
	send(t, dot, query)
	receive(t, dot)
	_, _ = doq(quic, framed(query))
	_, _ = doq(quic, "too short")
	for _, client := range []*http.Client{h2, h3} {
		for _, r := range []*http.Request{dohRequest(t, "POST", s.url(), query), dohRequest(t, "GET", s.url(), "nonsense"), dohRequest(t, "GET", s.url()+"/x", query)} {
			if resp, err := client.Do(r); err == nil {
				_ = resp.Body.Close()
			}
		}
	}
	for _, at := range []netip.AddrPort{s.TLSAddrs()[0], s.HTTPSAddrs()[0]} {
		c := dial(t, "tcp", at)
		_, _ = io.WriteString(c, "this is no TLS at all, but secret.test")
		_, _ = io.Copy(io.Discard, c)
	}
	web, err := tls.Dial("tcp", s.HTTPSAddrs()[0].String(), s.client("h2"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(web, "this is no HTTP/2 at all, but secret.test")
	_, _ = io.Copy(io.Discard, web)
	stopped := s.stop()
	os.Stdout, os.Stderr = old[0], old[1]
	slog.SetDefault(plain)
	log.SetOutput(os.Stderr)
	_ = writer.Close()
	if read, err := io.ReadAll(reader); err != nil || len(read) != 0 || stopped != nil {
		t.Errorf("written: %q, %v; Run: %v", read, err, stopped)
	}
}
