package stoppage

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// start serves both pages on loopback until the test ends.
func start(t *testing.T) *Server {
	t.Helper()
	c := example()
	c.Law = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.2:0")}
	c.Voluntary = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.3:0")}
	return run(t, c)
}

func run(t *testing.T, c Config) *Server {
	t.Helper()
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return s
}

func dial(t *testing.T, a netip.AddrPort) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", a.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

// say sends bytes, says it will send no more, and returns all that comes back.
func say(t *testing.T, a netip.AddrPort, request string) string {
	t.Helper()
	c := dial(t, a)
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%q: %v after %q", request, err, got)
	}
	return string(got)
}

func TestEveryRequestGetsTheSameAnswer(t *testing.T) {
	s := start(t)
	for _, b := range []Basis{Law, Voluntary} {
		at := s.Addrs(b)[0]
		want := say(t, at, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		body := string(s.sites[b-1].page.Body())
		if !strings.HasSuffix(want, "\r\n\r\n"+body) || len(want) > MaxPage {
			t.Fatalf("got %d bytes, want the page and at most %d in all", len(want), MaxPage)
		}
		if used := len(want) - len(body); used > headroom {
			t.Errorf("headers take %d bytes, more than headroom %d", used, headroom)
		}
		for _, request := range []string{
			"GET / HTTP/1.1\r\nHost: other.test\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: 127.0.0.3\r\n\r\n",
			"GET / HTTP/1.1\r\nHost:\r\n\r\n",
			"GET http://listed.test/secret-path HTTP/1.1\r\nHost: listed.test\r\n\r\n",
			"GET /secret-path/../x//y?q=secret#f HTTP/1.1\r\nHost: a.test\r\n\r\n",
			"GET //evil.test/%2e%2e/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
			"GET /robots.txt HTTP/1.1\r\nHost: a.test\r\nIf-None-Match: *\r\nIf-Modified-Since: Sat, 01 Jan 2050 00:00:00 GMT\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: a.test\r\nRange: bytes=0-1\r\nAccept: image/png\r\nAccept-Encoding: gzip\r\nAccept-Language: ar\r\nCookie: a=b\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: a.test\r\nOrigin: http://evil.test\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
			"OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n",
			"CONNECT listed.test:443 HTTP/1.1\r\nHost: listed.test:443\r\n\r\n",
			"TRACE / HTTP/1.1\r\nHost: a.test\r\nX-Secret: secret\r\n\r\n",
			"DELETE / HTTP/1.1\r\nHost: a.test\r\n\r\n",
			"BREW /pot HTTP/1.1\r\nHost: a.test\r\n\r\n",
			"POST /form HTTP/1.1\r\nHost: a.test\r\nContent-Length: 6\r\n\r\nsecret",
			"PUT / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsecret\r\n0\r\n\r\n",
		} {
			if got := say(t, at, request); got != want {
				t.Errorf("%q\ngot  %.300q\nwant %.300q", request, got, want)
			}
		}
	}
}

// TestThePageIsTheSameOverIPv6: subscribers without IPv4 are told as much.
func TestThePageIsTheSameOverIPv6(t *testing.T) {
	c := example()
	c.Law = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.2:0"), netip.MustParseAddrPort("[::1]:0")}
	c.Voluntary = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.3:0")}
	s := run(t, c)
	at := s.Addrs(Law)
	if len(at) != 2 || !at[1].Addr().Is6() {
		t.Fatalf("served on %v", at)
	}
	const request = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
	four, six := say(t, at[0], request), say(t, at[1], request)
	if four != six || !strings.HasPrefix(six, "HTTP/1.1 451 ") {
		t.Errorf("over IPv6 %.60q, over IPv4 %.60q", six, four)
	}
}

func TestTheLocalAddressAloneDecidesThePage(t *testing.T) {
	s := start(t)
	for b, want := range map[Basis]string{Law: "HTTP/1.1 451 Unavailable For Legal Reasons\r\n", Voluntary: "HTTP/1.1 403 Forbidden\r\n"} {
		// Each page is asked under the other's name.
		other := s.Addrs(3 - b)[0]
		if got := say(t, s.Addrs(b)[0], "GET / HTTP/1.1\r\nHost: "+other.String()+"\r\n\r\n"); !strings.HasPrefix(got, want) {
			t.Errorf("basis %d: got %.60q, want %q", b, got, want)
		}
	}
}

func TestThePagesCarryTheirHeadersAndNoOthers(t *testing.T) {
	s := start(t)
	for _, b := range []Basis{Law, Voluntary} {
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(say(t, s.Addrs(b)[0], "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"))), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		want := map[string]string{
			"Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8", "Referrer-Policy": "no-referrer",
			"X-Content-Type-Options": "nosniff", "Content-Length": fmt.Sprint(len(s.sites[b-1].page.Body())),
			"Content-Security-Policy": resp.Header.Get("Content-Security-Policy"),
		}
		if b == Law {
			want["Link"] = `<https://isp.example/blocking>; rel="blocked-by"`
		}
		if len(resp.Header) != len(want) {
			t.Errorf("basis %d: headers %v", b, resp.Header)
		}
		for k, v := range want {
			if resp.Header.Get(k) != v {
				t.Errorf("basis %d: %s is %q, want %q", b, k, resp.Header.Get(k), v)
			}
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") || strings.Contains(csp, "unsafe") {
			t.Errorf("basis %d: policy %q", b, csp)
		}
	}
}

func TestHeadGetsTheHeadersAlone(t *testing.T) {
	s := start(t)
	at := s.Addrs(Law)[0]
	head, _, _ := strings.Cut(say(t, at, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"), "\r\n\r\n")
	if got := say(t, at, "HEAD /x HTTP/1.1\r\nHost: a.test\r\n\r\n"); got != head+"\r\n\r\n" {
		t.Errorf("got  %q\nwant %q", got, head)
	}
}

func TestAnOldClientGetsThePageToo(t *testing.T) {
	s := start(t)
	at := s.Addrs(Law)[0]
	for _, request := range []string{"GET / HTTP/1.0\r\n\r\n", "GET /x HTTP/1.0\r\nHost: listed.test\r\n\r\n"} {
		got := say(t, at, request)
		if !strings.HasPrefix(got, "HTTP/1.0 451 ") || !strings.HasSuffix(got, string(s.sites[0].page.Body())) {
			t.Errorf("%q: got %.80q", request, got)
		}
	}
}

func TestPipelinedRequestsAreEachAnswered(t *testing.T) {
	s := start(t)
	at := s.Addrs(Voluntary)[0]
	one := say(t, at, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
	got := say(t, at, "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\nPOST /b HTTP/1.1\r\nHost: b.test\r\nContent-Length: 3\r\n\r\nabcGET /c HTTP/1.1\r\nHost: c.test\r\n\r\n")
	if got != one+one+one {
		t.Errorf("got %d bytes, want three answers of %d", len(got), len(one))
	}
}

// Requests that net/http refuses before any page is chosen get its own short answers: fixed words, nothing reflected.
func TestNothingOfAMalformedRequestComesBack(t *testing.T) {
	s := start(t)
	long := strings.Repeat("secret", 4<<10)
	for _, request := range []string{
		"secret\r\n\r\n",
		"GET /secret HTTP/1.1\r\n\r\n",
		"GET /secret HTTP/9.9\r\nHost: secret.test\r\n\r\n",
		"GET /secret HTTP/1.1\r\nHost: secret.test\r\nHost: secret2.test\r\n\r\n",
		"GET /secret HTTP/1.1\r\nHost: secret secret\r\n\r\n",
		"GET /secret HTTP/1.1\r\nHost: a.test\r\nsecret header: secret\r\n\r\n",
		"GET /secret HTTP/1.1\r\nHost: a.test\r\nX: secret\r\n secret\r\n\r\n",
		"GET /secret HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: secret\r\n\r\n",
		"POST /secret HTTP/1.1\r\nHost: a.test\r\nContent-Length: secret\r\n\r\n",
		"POST /secret HTTP/1.1\r\nHost: a.test\r\nExpect: secret\r\n\r\n",
		"GET /secret%zz HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET /" + long + " HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.test\r\nX: " + long + "\r\n\r\n",
	} {
		c := dial(t, s.Addrs(Law)[0])
		io.WriteString(c, request) // a server that refuses early may close on us: reading tells
		c.(*net.TCPConn).CloseWrite()
		got, _ := io.ReadAll(c)
		if bytes.Contains(got, []byte("secret")) {
			t.Errorf("%.100q\nis reflected in %.400q", request, got)
		}
		if bytes.HasPrefix(got, []byte("HTTP/1.1 2")) || bytes.HasPrefix(got, []byte("HTTP/1.1 3")) {
			t.Errorf("%.100q\ngot %.100q", request, got)
		}
	}
}

func TestAnAddressInUseIsNamedWithItsRemedy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).AddrPort()
	tests := []struct {
		name           string
		law, voluntary string
		want           string
	}{
		{"in use", taken.String(), "127.0.0.3:0", taken.String() + " is in use by another program; stop that program"},
		{"not ours", "192.0.2.1:0", "127.0.0.3:0", "192.0.2.1:0 is not an address of this machine; add it"},
		{"all addresses", "0.0.0.0:8080", "127.0.0.3:0", "name it exactly"},
		{"one address for both", "127.0.0.2:0", "127.0.0.2:0", "give each its own"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := example()
			c.Law, c.Voluntary = []netip.AddrPort{netip.MustParseAddrPort(tt.law)}, []netip.AddrPort{netip.MustParseAddrPort(tt.voluntary)}
			s, err := Open(t.Context(), c)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestAStopAddressMayComeLater(t *testing.T) {
	c := example()
	c.Freebind = true
	c.Law, c.Voluntary = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:0"), netip.MustParseAddrPort("[2001:db8::1]:0")}, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.3:0")}
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if at := s.Addrs(Law); len(at) != 2 || at[1].Addr() != c.Law[1].Addr() {
		t.Errorf("got %v", at)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAnswersAreCountedAndNothingElse(t *testing.T) {
	s := start(t)
	for range 3 {
		say(t, s.Addrs(Law)[0], "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
	}
	say(t, s.Addrs(Voluntary)[0], "HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n")
	if law, voluntary := s.Served(); law != 3 || voluntary != 1 {
		t.Errorf("got %d and %d, want 3 and 1", law, voluntary)
	}
}

// TestOneHouseholdCannotTakeAllConnections opens silent connections until one is turned away, then asks from another
// address.
func TestOneHouseholdCannotTakeAllConnections(t *testing.T) {
	s := start(t)
	at := s.Addrs(Law)[0]
	from := func(local string) (net.Conn, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}, Timeout: 5 * time.Second}
		return d.Dial("tcp", at.String())
	}
	for i := range maxPerHousehold {
		c, err := from("127.0.0.9")
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer c.Close()
	}
	over, err := from("127.0.0.9")
	if err == nil {
		defer over.Close()
		over.SetDeadline(time.Now().Add(headerTimeout / 2)) // well before a silent guest would be shown out
		if _, err = over.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Errorf("connection %d is kept: %v", maxPerHousehold+1, err)
		}
	}
	c, err := from("127.0.0.10")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
	if got, _ := io.ReadAll(c); !bytes.HasPrefix(got, []byte("HTTP/1.0 451 ")) {
		t.Errorf("a neighbour got %.60q", got)
	}
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

func TestLanguagesAreTheSixOfTheUnitedNations(t *testing.T) {
	if got := slices.Sorted(slices.Values(Languages())); !slices.Equal(got, []string{"ar", "en", "es", "fr", "ru", "zh"}) {
		t.Errorf("got %v", got)
	}
}

func TestAHeaderThatNeverEndsIsCutOff(t *testing.T) {
	t.Parallel() // waits out headerTimeout beside the others
	s := start(t)
	c := dial(t, s.Addrs(Law)[0])
	begun := time.Now()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.te")
	if got, err := io.ReadAll(c); err != nil || len(got) > 0 && !bytes.HasPrefix(got, []byte("HTTP/1.1 4")) {
		t.Errorf("got %.60q, %v", got, err)
	}
	if took := time.Since(begun); took > headerTimeout+5*time.Second {
		t.Errorf("held for %s, want about %s", took, headerTimeout)
	}
}
