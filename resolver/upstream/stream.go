package upstream

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/cordon-project/cordon/resolver/wire"
)

const (
	idleStream = 10 * time.Second // a connection stays open without a reply

	// So many questions given up in a row, without any reply in between, and the connection is: its server may have forgotten it, or the way
	// to it leads nowhere, and TCP would not say so for minutes.
	maxSilent = 3
)

var (
	errUnusable = errors.New("unusable reply")
	errEnded    = errors.New("connection ended")
	errIdentity = errors.New("upstream: no certificate of the server is one that was pinned")
)

// Identity is how a server proves over TLS that it is the one meant (RFC 8310): by a certificate for a name, by the key in one, or both.
type Identity struct {
	Name  string              // in its certificate, which Roots vouch for; empty: only pins count
	Pins  [][sha256.Size]byte // SHA-256 of a certificate's public key (SPKI); one must be in the chain; none: only the name counts
	Roots *x509.CertPool      // nil: the system's
}

// config is the TLS side of a connection. Without name or pin nobody is believed.
func (id *Identity) config() *tls.Config {
	c := &tls.Config{ServerName: id.Name, RootCAs: id.Roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"dot"}, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	c.InsecureSkipVerify = id.Name == "" // the pins are checked instead
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(id.Pins) == 0 && id.Name != "" {
			return nil
		}
		chain := s.PeerCertificates[:1] // what else it sends is not proven to be its own
		if id.Name != "" {
			chain = s.VerifiedChains[0]
		}
		for _, c := range chain {
			if slices.Contains(id.Pins, sha256.Sum256(c.RawSubjectPublicKeyInfo)) {
				return nil
			}
		}
		return errIdentity
	}
	return c
}

// line is the one connection to a server, made when it is needed and used for many questions at once (RFC 7766 6.2.1.1).
type line struct {
	turn chan struct{} // cap 1: guards open; whoever holds it may be dialling
	open *stream
}

// stream is an open connection.
type stream struct {
	conn   net.Conn
	below  net.Conn // conn, or the TCP connection under its TLS: closing that one waits for nobody
	secure bool
	write  sync.Mutex // one message at a time

	mu      sync.Mutex // guards the rest
	pending map[uint16]chan []byte
	silent  int // questions given up since the last reply
	ended   bool
}

// overStream asks over the server's connection. One that ended meanwhile, as servers close idle ones, is replaced once.
func (p *Pool) overStream(s *server, q wire.Question, bare bool, end time.Time) ([]byte, error) {
	ctx, cancel := context.WithDeadline(p.life, end)
	defer cancel()
	for {
		t, fresh, err := p.stream(ctx, s)
		if err != nil {
			return nil, err
		}
		reply, err := t.ask(ctx, q, bare, end)
		if !errors.Is(err, errEnded) || fresh {
			return reply, err
		}
	}
}

// stream is the server's open connection, or a new one.
func (p *Pool) stream(ctx context.Context, s *server) (t *stream, fresh bool, err error) {
	select {
	case s.line.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	defer func() { <-s.line.turn }()
	if t := s.line.open; t != nil && t.alive() {
		return t, false, nil
	}
	defer func() { s.counts.opened(ctx, err) }()
	below, err := new(net.Dialer).DialContext(ctx, "tcp", s.addr.String())
	if err != nil {
		return nil, false, err
	}
	conn := below
	if s.tls != nil {
		secure := tls.Client(below, s.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = below.Close()
			s.counts.unproven.Add(1)
			return nil, false, err
		}
		if secure.ConnectionState().DidResume {
			s.counts.resumed.Add(1)
		}
		conn = secure
	}
	s.counts.connections.Add(1)
	t = &stream{conn: conn, below: below, secure: s.tls != nil, pending: make(map[uint16]chan []byte)}
	s.line.open = t
	stop := context.AfterFunc(p.life, func() { _ = below.Close() })
	p.wait.Go(func() {
		defer stop()
		t.read()
	})
	return t, true, nil
}

func (t *stream) alive() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.ended
}

// ask sends one question and waits for its reply.
func (t *stream) ask(ctx context.Context, q wire.Question, bare bool, end time.Time) ([]byte, error) {
	got := make(chan []byte, 1)
	id, err := t.enter(got)
	if err != nil {
		return nil, err
	}
	defer t.leave(id, got)
	msg := q.AppendQuery(make([]byte, 2, 512), id, wire.MaxUDP)
	if bare {
		msg = msg[:len(msg)-wire.OPTLen]
		msg[2+11] = 0
	} else {
		if msg = q.AppendSubnet(msg, 2); t.secure {
			msg = wire.AppendQueryPadding(msg, 2) // who watches the line is not to tell names by their length
		}
	}
	binary.BigEndian.PutUint16(msg, uint16(len(msg)-2))
	t.write.Lock()
	_ = t.conn.SetWriteDeadline(end)
	_, err = t.conn.Write(msg)
	t.write.Unlock()
	if err != nil {
		t.end() // half a message may be under way
		return nil, errEnded
	}
	select {
	case <-ctx.Done():
		t.giveUp()
		return nil, ctx.Err()
	case reply, ok := <-got:
		if !ok {
			return nil, errEnded
		}
		q.Name = wire.AppendLower(nil, q.Name)
		if !q.Answers(reply, id) || wire.Truncated(reply) {
			return nil, errUnusable
		}
		return reply, nil
	}
}

// enter takes an id that no other question of the connection has.
func (t *stream) enter(got chan []byte) (id uint16, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.ended:
		return 0, errEnded
	case len(t.pending) >= 1<<14:
		return 0, errUnusable // no server is that slow and well
	}
	for {
		id = randomID()
		if _, used := t.pending[id]; !used {
			t.pending[id] = got
			return id, nil
		}
	}
}

// leave gives an id back, unless its reply has come and it is another question's by now.
func (t *stream) leave(id uint16, got chan []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pending[id] == got {
		delete(t.pending, id)
	}
}

// giveUp notes that nobody waits for a question's reply any more.
func (t *stream) giveUp() {
	t.mu.Lock()
	t.silent++
	dead := t.silent >= maxSilent
	t.mu.Unlock()
	if dead {
		t.end()
	}
}

// read gives replies to who waits for them, until the connection ends.
func (t *stream) read() {
	defer t.end()
	for {
		_ = t.conn.SetReadDeadline(time.Now().Add(idleStream))
		var head [2]byte
		if _, err := io.ReadFull(t.conn, head[:]); err != nil {
			return
		}
		reply := make([]byte, binary.BigEndian.Uint16(head[:])) // at most 64 KiB, and only after a server we chose said so
		if _, err := io.ReadFull(t.conn, reply); err != nil {
			return
		}
		if len(reply) < wire.HeaderLen {
			return
		}
		t.mu.Lock()
		t.silent = 0
		got := t.pending[binary.BigEndian.Uint16(reply)]
		delete(t.pending, binary.BigEndian.Uint16(reply))
		t.mu.Unlock()
		if got != nil {
			got <- reply // its only one
		}
	}
}

// end closes the connection and tells all who wait.
func (t *stream) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	t.ended = true
	_ = t.below.Close()
	for _, got := range t.pending {
		close(got)
	}
	t.pending = nil
}
