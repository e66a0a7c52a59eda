package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/resolver/wire"
)

// proxy2 writes a header of version 2.
func proxy2(command, family byte, rest ...byte) string {
	b := append([]byte(nil), proxySignature...)
	b = append(b, command, family)
	return string(append(binary.BigEndian.AppendUint16(b, uint16(len(rest))), rest...))
}

func TestPROXYHeadersAreRead(t *testing.T) {
	v4 := []byte{203, 0, 113, 7, 192, 0, 2, 53, 0xc8, 0x22, 0, 53}
	v6 := append(append(netip.MustParseAddr("2001:db8::7").AsSlice(), make([]byte, 16)...), 0xc8, 0x22, 0, 53)
	for _, tt := range []struct {
		name, header, want string
	}{
		{"version 1, IPv4", "PROXY TCP4 203.0.113.7 192.0.2.53 51234 53\r\n", "203.0.113.7"},
		{"version 1, IPv6", "PROXY TCP6 2001:db8::7 2001:db8::53 51234 53\r\n", "2001:db8::7"},
		{"version 1, mapped", "PROXY TCP6 ::ffff:203.0.113.7 ::1 1 53\r\n", "203.0.113.7"},
		{"version 1, unknown", "PROXY UNKNOWN\r\n", ""},
		{"version 1, unknown with more", "PROXY UNKNOWN a b c\r\n", ""},
		{"version 1, longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"version 2, IPv4", proxy2(0x21, 0x11, v4...), "203.0.113.7"},
		{"version 2, with more behind", proxy2(0x21, 0x11, append(v4[:12:12], 4, 0, 1, 0)...), "203.0.113.7"},
		{"version 2, IPv6", proxy2(0x21, 0x21, v6...), "2001:db8::7"},
		{"version 2, local", proxy2(0x20, 0), ""},
		{"version 2, local with addresses", proxy2(0x20, 0x11, v4...), ""},

		{"nothing", "", "bad"},
		{"a question", framed(question('f')), "bad"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefgh", "bad"},
		{"no line end", "PROXY TCP4 203.0.113.7 192.0.2.53 51234 53", "bad"},
		{"too long a line", "PROXY UNKNOWN " + strings.Repeat("x", 100) + "\r\n", "bad"},
		{"small letters", "PROXY tcp4 203.0.113.7 192.0.2.53 51234 53\r\n", "bad"},
		{"the other family", "PROXY TCP4 2001:db8::7 2001:db8::53 51234 53\r\n", "bad"},
		{"a zone", "PROXY TCP6 fe80::1%1 ::1 51234 53\r\n", "bad"},
		{"two spaces", "PROXY TCP4  203.0.113.7 192.0.2.53 51234 53\r\n", "bad"},
		{"leading zeros", "PROXY TCP4 203.0.113.007 192.0.2.53 51234 53\r\n", "bad"},
		{"a port too large", "PROXY TCP4 203.0.113.7 192.0.2.53 65536 53\r\n", "bad"},
		{"a port with a sign", "PROXY TCP4 203.0.113.7 192.0.2.53 +1 53\r\n", "bad"},
		{"version 3", proxy2(0x31, 0x11, v4...), "bad"},
		{"an unknown command", proxy2(0x22, 0x11, v4...), "bad"},
		{"UDP", proxy2(0x21, 0x12, v4...), "bad"},
		{"no family", proxy2(0x21, 0, v4...), "bad"},
		{"too short for IPv4", proxy2(0x21, 0x11, v4[:11]...), "bad"},
		{"too short for IPv6", proxy2(0x21, 0x21, v6[:35]...), "bad"},
		{"cut", proxy2(0x21, 0x11, v4...)[:20], "bad"},
		{"huge", proxy2(0x21, 0x11, make([]byte, proxyMax+1)...), "bad"},
	} {
		want, behind := tt.want, "rest"
		for _, r := range []io.Reader{strings.NewReader(tt.header + behind), &dribble{s: tt.header + behind}} {
			if want == "bad" && strings.HasPrefix(tt.name, "no line end") {
				r = strings.NewReader(tt.header)
			}
			if want == "bad" && tt.name == "cut" {
				r = strings.NewReader(tt.header)
			}
			client, ahead, err := readProxy(r)
			if want == "bad" {
				if err == nil {
					t.Errorf("%s: accepted as %v", tt.name, client)
				}
				continue
			}
			got := ""
			if client.IsValid() {
				got = client.String()
			}
			left, _ := io.ReadAll(r)
			if err != nil || got != want || string(ahead)+string(left) != behind {
				t.Errorf("%s: got %q, %v, then %q, want %q", tt.name, got, err, string(ahead)+string(left), want)
			}
		}
	}
}

// dribble gives one byte a read.
type dribble struct{ s string }

func (d *dribble) Read(b []byte) (int, error) {
	if d.s == "" {
		return 0, io.EOF
	}
	n := copy(b[:1], d.s)
	d.s = d.s[n:]
	return n, nil
}

// whoHandler answers with the client's address.
type whoHandler struct{ fakeHandler }

func (h *whoHandler) Fast(dst, _ []byte, from wire.Client) ([]byte, bool) {
	return append(append(dst, "\x00\x00"...), from.Addr.String()...), true
}

func TestOnlyNamedProxiesSayWhoTheClientIs(t *testing.T) {
	addrs := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("127.0.0.2:0"), netip.MustParseAddrPort("127.0.0.3:0")}
	from := []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}
	s := startSecured(t, Config{Handler: &whoHandler{}, TCPAddrs: addrs, PerHousehold: 2, Proxies: map[netip.AddrPort][]netip.Prefix{
		addrs[0]: from, // of TLS and HTTPS too
		addrs[1]: {netip.MustParsePrefix("192.0.2.0/24")},
	}})
	connect := func(local string, to netip.AddrPort) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
		c, err := d.Dial("tcp", to.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	closed := func(got string) bool { return strings.Contains(got, "EOF") || strings.Contains(got, "reset") }
	header := "PROXY TCP4 203.0.113.7 192.0.2.53 51234 53\r\n"
	tcp := s.TCPAddrs()
	for _, tt := range []struct {
		name, local string
		to          netip.AddrPort
		header      string
		want        string // of the client; empty: the connection is closed
	}{
		{"a proxy", "127.0.0.9", tcp[0], header, "203.0.113.7"},
		{"a proxy for itself", "127.0.0.9", tcp[0], "PROXY UNKNOWN\r\n", "127.0.0.9"},
		{"a proxy without a header", "127.0.0.9", tcp[0], "", ""},
		{"somebody else with a header", "127.0.0.8", tcp[0], header, ""},
		{"somebody else without", "127.0.0.8", tcp[0], "", ""},
		{"the proxy of another address", "127.0.0.9", tcp[1], header, ""},
		{"a header where none is due", "127.0.0.9", tcp[2], header, ""},
		{"no header where none is due", "127.0.0.9", tcp[2], "", "127.0.0.9"},
	} {
		c := connect(tt.local, tt.to)
		_, _ = io.WriteString(c, tt.header+framed(question('f')))
		got := receive(t, c)
		if tt.want == "" && !closed(got) || tt.want != "" && got != "\x00\x00"+tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		_ = c.Close()
	}
	// Places are counted by client, not by proxy: the fourth is the third of its client, whose first gives way.
	var first net.Conn
	for i, client := range []string{"203.0.113.1", "203.0.113.1", "203.0.113.2", "203.0.113.1"} {
		c := connect("127.0.0.9", tcp[0])
		_, _ = io.WriteString(c, strings.Replace(header, "203.0.113.7", client, 1)+framed(question('f')))
		if got := receive(t, c); got != "\x00\x00"+client {
			t.Errorf("connection %d: got %q", i, got)
		}
		if i == 0 {
			first = c
		}
		s.atRest()
	}
	_ = first.SetDeadline(time.Now().Add(patience))
	if got := receive(t, first); !closed(got) {
		t.Errorf("one too many of a client: got %q", got)
	}
	if c := s.Counts().By[wire.TCP]; c.Conns != 12 || c.Unproxied != 4 || c.Crowded != 0 || c.Yielded != 1 || c.Strangers != 0 {
		t.Errorf("counts: %+v", c)
	}
	// The header comes before the handshake.
	plain := connect("127.0.0.9", s.TLSAddrs()[0])
	_, _ = io.WriteString(plain, header)
	dot := tls.Client(plain, s.client("dot"))
	send(t, dot, question('f'))
	if got := receive(t, dot); got != "\x00\x00203.0.113.7" {
		t.Errorf("DoT: got %q", got)
	}
	// Who comes by a balancer is not told of HTTP/3.
	web := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: s.client(), DialContext: func(context.Context, string, string) (net.Conn, error) {
		c := connect("127.0.0.9", s.HTTPSAddrs()[0])
		_, err := io.WriteString(c, header)
		return c, err
	}}
	defer web.CloseIdleConnections()
	resp, err := (&http.Client{Transport: web, Timeout: patience}).Do(dohRequest(t, "POST", s.url(), question('f')))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(body) != "\x00\x00203.0.113.7" || resp.Header.Get("Alt-Svc") != "" {
		t.Errorf("DoH: got %q, Alt-Svc %q", body, resp.Header.Get("Alt-Svc"))
	}
	// What only one address of HTTPS could check is not spoken there.
	if n := len(s.quic); n != 1 {
		t.Errorf("%d QUIC sockets, want that of DoQ alone", n)
	}
}

func TestAProxyWithoutAListIsRefused(t *testing.T) {
	a := netip.MustParseAddrPort("127.0.0.1:0")
	_, err := Open(Config{Handler: &fakeHandler{}, TCPAddrs: []netip.AddrPort{a}, Proxies: map[netip.AddrPort][]netip.Prefix{a: {}}})
	if err == nil || !strings.Contains(err.Error(), "name the proxies") {
		t.Errorf("got %v", err)
	}
}

func FuzzPROXYHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 203.0.113.7 192.0.2.53 51234 53\r\nx"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(proxy2(0x21, 0x11, 203, 0, 113, 7, 192, 0, 2, 53, 0xc8, 0x22, 0, 53)))
	f.Add([]byte(proxy2(0x21, 0x21, make([]byte, 40)...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		client, ahead, err := readProxy(r)
		if err != nil {
			return
		}
		if used := len(b) - r.Len() - len(ahead); used < proxyLeast || used > proxyHead+proxyMax {
			t.Errorf("%d bytes were the header", used)
		}
		if client.IsValid() && (client.Is4In6() || client.Zone() != "") {
			t.Errorf("client %v", client)
		}
		if !bytes.HasSuffix(b[:len(b)-r.Len()], ahead) {
			t.Error("what is behind the header has changed")
		}
	})
}
