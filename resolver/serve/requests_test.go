package serve

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// TestHalfRequestsOfOneClientLeaveRoomForOthers: each costs kilobytes until it is whole, so there is a bound for all, and a share of each household.
func TestHalfRequestsOfOneClientLeaveRoomForOthers(t *testing.T) {
	for _, over := range []string{"h2", "h3", "doq"} {
		t.Run(over, func(t *testing.T) {
			s := startSecured(t, Config{Handler: &fakeHandler{}, Slots: 16, PerConn: 64})
			const tried = 20
			refused := make(chan struct{}, tried)
			ctx, end := context.WithCancel(context.Background())
			defer end()
			web := map[string]*http.Client{"h2": s.h2(t), "h3": s.h3(t)}[over]
			var conn *quic.Conn
			if web == nil {
				conn = s.dialQUIC(t)
			}
			for range tried {
				if web != nil {
					body, never := io.Pipe()
					defer never.Close()
					req := dohRequest(t, "POST", s.url(), question('f')).WithContext(ctx)
					req.Body, req.ContentLength = body, -1
					go func() {
						if resp, err := web.Do(req); ctx.Err() == nil && (err != nil || resp.StatusCode == http.StatusServiceUnavailable) {
							refused <- struct{}{}
						}
					}()
					continue
				}
				str, err := conn.OpenStreamSync(ctx)
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					_, _ = io.WriteString(str, framed(question('f'))[:3])
					if _, err := str.Read(make([]byte, 1)); err != nil && ctx.Err() == nil {
						refused <- struct{}{}
					}
				}()
			}
			for range tried - 8 {
				select {
				case <-refused:
				case <-time.After(patience):
					t.Fatalf("%d requests are under way, want 8", s.requests.Taken())
				}
			}
			if n := s.requests.Taken(); n != 8 {
				t.Errorf("%d requests are under way, want 8", n)
			}
			other := &tls.Dialer{NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.9")}}, Config: s.client("h2")}
			neighbour := &http.Client{Transport: &http.Transport{DialTLSContext: other.DialContext, ForceAttemptHTTP2: true}}
			defer neighbour.CloseIdleConnections()
			resp, err := neighbour.Do(dohRequest(t, "POST", s.url(), question('f')))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got, _ := io.ReadAll(resp.Body); string(got) != answered('F') {
				t.Errorf("another client: %s, %q", resp.Status, got)
			}
		})
	}
}
