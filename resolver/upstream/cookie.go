package upstream

import (
	"bytes"
	"crypto/rand"
)

// Lengths of cookies (RFC 7873 4).
const (
	ownCookie      = 8
	minCookie      = 16 // with the server's part
	maxCookie      = 40
	rcodeBadCookie = 23

	// A server that gave cookies and answers so often in a row without has been set up anew. Until then its answers are fetched over TCP; a forger
	// who got so far needs no such help.
	withoutCookie = 8
)

// cookieVerdict is what the cookie of a reply over UDP says.
type cookieVerdict uint8

const (
	cookieFine   cookieVerdict = iota // the one we have, or none from a server that never gave one
	cookieNew                         // the server gave another one, which is sent from now on
	cookieForged                      // not for us, or missing from a server that gives them
)

// newCookie makes our part: random, for one server and one run, so that nobody can follow this resolver by it.
func (s *server) newCookie() {
	b := make([]byte, ownCookie)
	_, _ = rand.Read(b) // never fails since Go 1.24
	s.cookie.Store(&b)
}

// cookies judges the cookie of a reply and keeps what the server gave. A reply without is suspicious once the server has given one (RFC 7873 5.3):
// who cannot see our queries cannot make one that is right.
func (s *server) cookies(got []byte) cookieVerdict {
	have := *s.cookie.Load()
	if got != nil {
		s.cookieless.Store(0)
	} else if len(have) > ownCookie && s.cookieless.Add(1) > withoutCookie {
		s.newCookie()
		return cookieFine
	}
	switch {
	case got == nil && len(have) == ownCookie, bytes.Equal(got, have):
		return cookieFine
	case len(got) == ownCookie && bytes.HasPrefix(have, got) && len(have) == ownCookie:
		return cookieFine
	case len(got) < minCookie, len(got) > maxCookie, !bytes.HasPrefix(got, have[:ownCookie]):
		return cookieForged
	}
	b := bytes.Clone(got)
	s.cookie.Store(&b)
	return cookieNew
}
