package serve

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"sync/atomic"
	"time"

	"github.com/cordon-project/cordon/resolver/wire"
)

// How long a session can be resumed: a key makes tickets for ticketTurn and is good for as long again. What a client was
// given today says nothing tomorrow, so no one who keeps tickets can follow a household over days.
const (
	ticketTurn = 4 * time.Hour
	ticketKeys = 2
)

// secure is what all encrypted transports share: the certificate of the moment, and the keys of tickets.
type secure struct {
	certificate atomic.Pointer[tls.Certificate]
	dot, h2     *tls.Config
	doq, h3     *tls.Config
	tickets     [][32]byte // owned by turnTickets
}

var errNoCertificate = errors.New("no certificate yet")

func newSecure(c *tls.Certificate) *secure {
	s := &secure{}
	s.certificate.Store(c)
	made := func(version uint16, protocols ...string) *tls.Config {
		return &tls.Config{
			MinVersion: version,
			NextProtos: protocols,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				if c := s.certificate.Load(); c != nil {
					return c, nil
				}
				return nil, errNoCertificate
			},
		}
	}
	s.dot = made(tls.VersionTLS12, "dot") // RFC 7858 3.1; a client that offers no protocol is served too
	s.h2 = made(tls.VersionTLS12, "h2")   // RFC 8484 5.2
	s.doq = made(tls.VersionTLS13, "doq") // RFC 9250 4.1.1
	s.h3 = made(tls.VersionTLS13, "h3")
	s.nextTickets()
	return s
}

func (s *secure) config(via wire.Transport) *tls.Config {
	if via == wire.TLS {
		return s.dot
	}
	return s.h2
}

// quicConfig hands each connection the configuration of the moment: QUIC copies it, and the keys of tickets with it.
func quicConfig(c *tls.Config) *tls.Config {
	return &tls.Config{
		MinVersion: c.MinVersion, NextProtos: c.NextProtos,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c, nil },
	}
}

// turnTickets changes the keys of tickets until ctx ends.
func (s *secure) turnTickets(ctx context.Context) {
	turn := time.NewTicker(ticketTurn)
	defer turn.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-turn.C:
			s.nextTickets()
		}
	}
}

// nextTickets puts a new key in force in front of the last one.
func (s *secure) nextTickets() {
	var fresh [32]byte
	_, _ = rand.Read(fresh[:]) // never fails
	s.tickets = append([][32]byte{fresh}, s.tickets[:min(len(s.tickets), ticketKeys-1)]...)
	for _, c := range []*tls.Config{s.dot, s.h2, s.doq, s.h3} {
		c.SetSessionTicketKeys(s.tickets)
	}
}

// SetCertificate puts another certificate in force for new handshakes, at once; connections that are open stay. It may be
// called at any time. A server without encrypted addresses does not need one.
func (s *Server) SetCertificate(c *tls.Certificate) {
	if s.secure != nil {
		s.secure.certificate.Store(c)
	}
}
