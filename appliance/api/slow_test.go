package api_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/cordon-project/cordon/appliance/api"
)

// A stranger who asks over HTTP/2 and gives no room for the answer is not waited for: the answer would lie in memory for as long as he likes, and
// there may be thousands of them. Nor may he ask more at once on a connection than is allowed.
func TestAReaderWhoTakesNothingIsDropped(t *testing.T) {
	s := serveWith(t, func(c *api.Config) { c.Patience = 50 * time.Millisecond })
	for _, path := range []string{"/tile/entries/000.p/1", "/checkpoint", "/v1/withdrawals", "/v1/seen", "/v1/proof/0", "/healthz"} {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), &tls.Config{RootCAs: s.c.CA.Pool(), InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil { // a server that waits fails here, before its ReadTimeout
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
			t.Fatal(err)
		}
		f := http2.NewFramer(conn, conn)
		f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		var block bytes.Buffer
		enc := hpack.NewEncoder(&block)
		for _, h := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "node.test"}, {":path", path}} {
			if err := enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
			t.Fatal(err)
		}
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
			t.Fatal(err)
		}
		for dropped := false; !dropped; {
			frame, err := f.ReadFrame()
			if err != nil {
				t.Errorf("%s: %v, want the stream reset", path, err)
				break
			}
			switch x := frame.(type) {
			case *http2.RSTStreamFrame:
				dropped = true
			case *http2.SettingsFrame:
				if n, ok := x.Value(http2.SettingMaxConcurrentStreams); ok && n > 20 {
					t.Errorf("%d requests at once on one connection", n)
				}
			}
		}
	}
}
