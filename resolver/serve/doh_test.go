package serve

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/cordon-project/cordon/resolver/wire"
)

func dohRequest(t testing.TB, method, url, message string) *http.Request {
	t.Helper()
	var r *http.Request
	var err error
	if method == "GET" {
		r, err = http.NewRequest(method, url+"?dns="+base64.RawURLEncoding.EncodeToString([]byte(message)), nil)
	} else if r, err = http.NewRequest(method, url, strings.NewReader(message)); err == nil {
		r.Header.Set("Content-Type", dnsMessage)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRequestsWithoutAQuestionGetTheirStatus(t *testing.T) {
	s := startSecured(t, Config{Handler: &fakeHandler{}, MaxQuery: 100})
	long := strings.Repeat("f", 101)
	for name, tt := range map[string]struct {
		make func() *http.Request
		want int
	}{
		"another path":      {func() *http.Request { return dohRequest(t, "GET", s.url()+"/x", question('f')) }, 404},
		"no question":       {func() *http.Request { return dohRequest(t, "GET", s.url(), "") }, 400},
		"an empty body":     {func() *http.Request { return dohRequest(t, "POST", s.url(), "") }, 400},
		"a long question":   {func() *http.Request { return dohRequest(t, "GET", s.url(), long) }, 414},
		"a long body":       {func() *http.Request { return dohRequest(t, "POST", s.url(), long) }, 413},
		"no DNS query":      {func() *http.Request { return dohRequest(t, "POST", s.url(), question('n')) }, 400},
		"padding of base64": {func() *http.Request { r := dohRequest(t, "GET", s.url(), "f"); r.URL.RawQuery += "=="; return r }, 400},
		"another method":    {func() *http.Request { r := dohRequest(t, "POST", s.url(), question('f')); r.Method = "PUT"; return r }, 405},
		"another media type": {func() *http.Request {
			r := dohRequest(t, "POST", s.url(), question('f'))
			r.Header.Set("Content-Type", "text/plain")
			return r
		}, 415},
		"huge headers": {func() *http.Request {
			r := dohRequest(t, "POST", s.url(), question('f'))
			r.Header.Set("X", strings.Repeat("x", 20000))
			return r
		}, 431},
	} {
		for proto, client := range map[string]*http.Client{"h2": s.h2(t), "h3": s.h3(t)} {
			resp, err := client.Do(tt.make())
			if err != nil {
				if tt.want != 431 { // a client may see the limit before it sends
					t.Errorf("%s over %s: %v", name, proto, err)
				}
				continue
			}
			_ = resp.Body.Close()
			if resp.StatusCode != tt.want {
				t.Errorf("%s over %s: status %d, want %d", name, proto, resp.StatusCode, tt.want)
			}
			if tt.want == 405 && resp.Header.Get("Allow") != "GET, POST" {
				t.Errorf("%s over %s: Allow is %q", name, proto, resp.Header.Get("Allow"))
			}
		}
	}
}

func TestFreshnessIsThatOfTheRecordsAndHasOneLength(t *testing.T) {
	var q wire.Query
	query := []byte("\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01")
	if err := q.Parse(query); err != nil {
		t.Fatal(err)
	}
	address := func(ttl uint32) []byte {
		return q.AppendAddress(nil, query, netip.MustParseAddr("192.0.2.1"), ttl, &wire.Options{})
	}
	for _, tt := range []struct {
		name string
		resp []byte
		want string
	}{
		{"an address", address(30), "max-age=0000030"},
		{"a long life", address(1 << 30), "max-age=0604800"},
		{"no record of the type", q.AppendNoData(nil, query, 60, &wire.Options{}), "max-age=0000060"},
		{"a failure", q.AppendError(nil, query, wire.RcodeServFail, &wire.Options{}), "max-age=0000000"},
		{"nothing", nil, "max-age=0000000"},
	} {
		if got := freshness(tt.resp); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	for life := range uint32(maxAge + 1) {
		if n := hpack.HuffmanEncodeLength(cacheControl(life)); n != 11 {
			t.Fatalf("%s has %d bytes in a header, others have 11", cacheControl(life), n)
		}
	}
}

// FuzzDoHRequest: whatever a request holds, it gets one of the statuses that say what is wrong with it, or the answer to the question in it.
func FuzzDoHRequest(f *testing.F) {
	f.Add("GET", "dns=AABmcXFxcXFxcXFxcXFxcXFxcXFx", "", []byte(nil))
	f.Add("POST", "", dnsMessage, []byte(question('f')))
	f.Add("GET", "dns=%41&dns=;x", "", []byte(nil))
	f.Add("POST", "", "application/dns-message; a=b", []byte(question('n')))
	s := &Server{config: Config{Handler: &fakeHandler{}, Path: "/dns-query", MaxQuery: 100}}
	f.Fuzz(func(t *testing.T, method, query, mediaType string, body []byte) {
		r := &http.Request{Method: method, URL: &url.URL{Path: "/dns-query", RawQuery: query}, Header: http.Header{"Content-Type": {mediaType}},
			Body: io.NopCloser(bytes.NewReader(body)), RemoteAddr: "192.0.2.1:1", ProtoMajor: 2}
		w := httptest.NewRecorder()
		asked, status := s.dohQuery(w, r)
		if (status == http.StatusOK) != (len(asked) > 0) || len(asked) > 100 {
			t.Errorf("status %d and a question of %d bytes", status, len(asked))
		}
		switch status {
		case 200, 400, 405, 413, 414, 415:
		default:
			t.Errorf("status %d", status)
		}
		if status == http.StatusOK && method == "POST" && !bytes.Equal(asked, body) {
			t.Error("another question than was sent")
		}
	})
}

// TestHTTP1IsNotSpoken, not even with who does not say what it wants to speak.
func TestHTTP1IsNotSpoken(t *testing.T) {
	s := startSecured(t, Config{Handler: &fakeHandler{}})
	for _, protocols := range [][]string{nil, {"http/1.1"}} {
		c, err := tls.Dial("tcp", s.HTTPSAddrs()[0].String(), s.client(protocols...))
		if err != nil {
			continue
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(c, "GET /dns-query?dns=AABmcXFxcXFxcXFxcXFxcXFxcXFx HTTP/1.1\r\nHost: dns.isp.test\r\n\r\n")
		if b, _ := io.ReadAll(c); len(b) != 0 {
			t.Errorf("%q: HTTP/1.1 is answered: %q", protocols, b)
		}
	}
	if n := s.Counts().By[wire.HTTPS].Questions; n != 0 {
		t.Errorf("%d questions", n)
	}
}
