package serve

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/cordon-project/cordon/resolver/limit"
	"github.com/cordon-project/cordon/resolver/wire"
)

const (
	dnsMessage = "application/dns-message"

	// maxHeader covers the longest question in a GET (4096 bytes are 5462 of base64) and what browsers send beside it.
	maxHeader = 8 << 10

	// maxAge bounds what HTTP caches keep to a week, like our own cache.
	maxAge = 7 * 86400
)

// web speaks DNS over HTTP/2 (RFC 8484). Connections come with their handshake done.
type web struct {
	server *http.Server
	conns  chan net.Conn
	ended  chan struct{}
	end    func()
}

// newWeb makes the HTTP side of s. Nothing of it logs.
func (s *Server) newWeb() *web {
	w := &web{conns: make(chan net.Conn), ended: make(chan struct{})}
	w.end = sync.OnceFunc(func() { close(w.ended) })
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	w.server = &http.Server{
		Handler:        http.HandlerFunc(s.serveHTTP),
		TLSConfig:      &tls.Config{NextProtos: s.secure.h2.NextProtos}, // connections come with their handshake done
		Protocols:      protocols,
		MaxHeaderBytes: maxHeader,
		ReadTimeout:    s.config.Idle,
		WriteTimeout:   3 * s.config.Idle, // from the request's first byte: an upstream and a slow client
		IdleTimeout:    s.config.IdleEncrypted,
		ConnContext:    withGuest,
		ErrorLog:       log.New(io.Discard, "", 0), // it would hold clients' addresses (P5)
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          s.config.PerConn,
			MaxReadFrameSize:              16 << 10,
			MaxReceiveBufferPerStream:     64 << 10,
			MaxReceiveBufferPerConnection: 64 << 10,
			MaxDecoderHeaderTableSize:     4 << 10,
			// No header is sent as a reference to an earlier one: how long an answer's are must not depend on whether
			// the same was said before (attack 22). See freshness.
			MaxEncoderHeaderTableSize: 1,
			WriteByteTimeout:          s.config.Idle,
		},
	}
	return w
}

type guestKey struct{}

// withGuest gives the requests of a connection what is known of it.
func withGuest(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		return context.WithValue(ctx, guestKey{}, t.NetConn().(*turn).guest)
	}
	return ctx
}

// take gives a connection to the HTTP server; false when that has ended.
func (w *web) take(c net.Conn) bool {
	select {
	case w.conns <- c:
		return true
	case <-w.ended:
		return false
	}
}

// Accept, Close and Addr make a listener of web, for http.Server.
func (w *web) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.ended:
		return nil, net.ErrClosed
	}
}

func (w *web) Close() error { w.end(); return nil }

func (w *web) Addr() net.Addr { return &net.TCPAddr{} }

// newH3 is the same over HTTP/3; eachStream has the times.
func (s *Server) newH3() *http3.Server {
	return &http3.Server{Handler: http.HandlerFunc(s.serveHTTP), MaxHeaderBytes: maxHeader}
}

// serveHTTP answers RFC 8484's requests. Whatever the DNS answer is, the status is 200; other statuses mean that the
// request held no question.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	client := wire.Client{Via: wire.HTTPS}
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		client.Addr = a.Addr().Unmap().WithZone("")
	}
	if r.ProtoMajor < 3 { // of HTTP/3 eachStream counts them
		leave, ok := s.requests.Enter(client.Addr)
		if !ok {
			s.counts.busy.Add(1)
			http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
			return
		}
		defer leave()
	}
	query, status := s.dohQuery(w, r)
	if status != http.StatusOK {
		if status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", "GET, POST")
		}
		http.Error(w, http.StatusText(status), status)
		return
	}
	s.counts.by[wire.HTTPS].questions.Add(1)
	var place *limit.Place
	h := w.Header()
	switch g := r.Context().Value(guestKey{}).(type) {
	case *guest:
		place = g.place
		if g.altSvc != "" {
			h.Set("Alt-Svc", g.altSvc)
		}
		if place.Gone() {
			h.Set("Connection", "close") // a GOAWAY
		}
	case *quicGuest:
		place = g.place
	}
	place.Begin()
	defer func() { place.End(time.Now()) }()
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	resp := s.ask((*buffer)[:0], query, client)
	if len(resp) == 0 { // not a query at all
		http.Error(w, http.StatusText(http.StatusBadRequest), http.StatusBadRequest)
		return
	}
	h.Set("Content-Type", dnsMessage)
	h.Set("Content-Length", strconv.Itoa(len(resp)))
	h.Set("Cache-Control", freshness(resp))
	if r.ProtoMajor > 2 { // HTTP/2 has it from WriteTimeout
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.config.Idle))
	}
	_, _ = w.Write(resp)
}

// dohQuery takes the question out of a request.
func (s *Server) dohQuery(w http.ResponseWriter, r *http.Request) (query []byte, status int) {
	if r.URL.Path != s.config.Path {
		return nil, http.StatusNotFound
	}
	switch r.Method {
	case http.MethodGet:
		text := r.URL.Query().Get("dns")
		if base64.RawURLEncoding.DecodedLen(len(text)) > s.config.MaxQuery {
			return nil, http.StatusRequestURITooLong
		}
		query, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(query) == 0 {
			return nil, http.StatusBadRequest
		}
		return query, http.StatusOK
	case http.MethodPost:
		if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != dnsMessage {
			return nil, http.StatusUnsupportedMediaType
		}
		query, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.config.MaxQuery)))
		var long *http.MaxBytesError
		switch {
		case errors.As(err, &long):
			return nil, http.StatusRequestEntityTooLarge
		case err != nil || len(query) == 0:
			return nil, http.StatusBadRequest
		}
		return query, http.StatusOK
	}
	return nil, http.StatusMethodNotAllowed
}

// ask appends the answer to one question to dst, padded when it is to be, or nothing when there is no answer. The goroutine of the request waits
// for it, also when its client has taken the request back: else one connection could have any number of questions under way. The caller does not
// change query afterwards.
func (s *Server) ask(dst, query []byte, client wire.Client) []byte {
	asked, base := wire.AskedBy(query), len(dst)
	resp, done := s.config.Handler.Fast(dst, query, client)
	if !done {
		answered := make(chan []byte, 1)
		if !s.slow(s.asking, query, client, func(resp []byte) { answered <- append([]byte(nil), resp...) }) {
			resp = s.config.Handler.Busy(dst, query, client)
		} else {
			resp = append(dst, <-answered...)
		}
	}
	if len(resp) == base {
		return dst
	}
	return pad(resp, base, asked, client.Via)
}

// buffers are for ask, with room for most padded answers; a longer answer has its own.
var buffers = sync.Pool{New: func() any { return new(make([]byte, 0, 2*wire.PaddingBlock)) }}

var summaries = sync.Pool{New: func() any { return new(wire.Summary) }}

// freshness is how long an HTTP cache may keep an answer (RFC 8484 5.1): as long as its records live, failures not at all.
func freshness(resp []byte) string {
	sum := summaries.Get().(*wire.Summary)
	defer summaries.Put(sum)
	var life uint32
	if wire.Scan(resp, sum) == nil && (sum.Rcode == wire.RcodeSuccess || sum.Rcode == wire.RcodeNXDomain) {
		life = min(sum.Life, maxAge)
	}
	return cacheControl(life)
}

// cacheControl has seven digits, because it must have one length whatever the number is (attack 22): in the code of HPACK
// and QPACK digits take five or six bits, and with eight characters before them these seven always end in the same byte.
func cacheControl(life uint32) string { return fmt.Sprintf("max-age=%07d", life) }

// runWeb serves until drainWeb has ended it.
func (s *Server) runWeb() {
	if err := s.web.server.Serve(s.web); err != nil && !errors.Is(err, http.ErrServerClosed) {
		s.fail(fmt.Errorf("serve https: %w", err))
	}
}

// drainWeb takes no more requests, tells clients so (GOAWAY) and waits for those that are being answered.
func (s *Server) drainWeb() {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.DrainTimeout+time.Second)
	defer cancel()
	_ = s.web.server.Shutdown(ctx)
	_ = s.web.server.Close()
}
