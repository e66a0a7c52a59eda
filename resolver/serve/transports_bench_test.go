package serve

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/cordon-project/cordon/resolver"
)

// BenchmarkTransports asks for one cached name over one connection, 32 questions under way, client and server in this process: what a
// transport costs beside the answer.
func BenchmarkTransports(b *testing.B) {
	r := startResolver(b, resolver.Own{})
	r.Swap(setOf(b, "bad.test"))
	s := startSecured(b, Config{Handler: r, TCPAddrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	query := string(padded(b, "good.test.", 1))
	stream := func(b *testing.B, c net.Conn) {
		under := make(chan struct{}, 32)
		go func() {
			for range b.N {
				under <- struct{}{}
				_, _ = io.WriteString(c, framed(query))
			}
		}()
		in := bufio.NewReader(c)
		for range b.N {
			var head [2]byte
			if _, err := io.ReadFull(in, head[:]); err != nil {
				b.Fatal(err)
			}
			_, _ = in.Discard(int(binary.BigEndian.Uint16(head[:])))
			<-under
		}
	}
	many := func(b *testing.B, ask func() error) {
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := ask(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	https := func(client *http.Client) func() error {
		return func() error {
			resp, err := client.Do(dohRequest(b, "POST", s.url(), query))
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			return err
		}
	}
	b.Run("tcp", func(b *testing.B) { b.ReportAllocs(); stream(b, dial(b, "tcp", s.TCPAddrs()[0])) })
	b.Run("tls", func(b *testing.B) { b.ReportAllocs(); stream(b, s.dialTLS(b)) })
	b.Run("h2", func(b *testing.B) { b.ReportAllocs(); many(b, https(s.h2(b))) })
	b.Run("h3", func(b *testing.B) { b.ReportAllocs(); many(b, https(s.h3(b))) })
	b.Run("doq", func(b *testing.B) {
		b.ReportAllocs()
		c, err := quic.DialAddr(context.Background(), s.QUICAddrs()[0].String(), s.client("doq"), nil)
		if err != nil {
			b.Fatal(err)
		}
		defer c.CloseWithError(0, "")
		many(b, func() error { _, err := doq(c, framed(query)); return err })
	})
}
