// Package stoppage serves the page a person sees instead of listed material.
//
// In goes a Config; out come two pages made of fixed bytes, one for names listed under a law or an order (451,
// RFC 7725), one for names listed by voluntary agreement (403). Which one is sent depends on nothing but the
// local address that was asked: no Host header, path, method or any other byte of a request can change an
// answer or appear in one. Nothing is logged, stored or set; a visit is not evidence against anyone.
package stoppage

import (
	"context"
	"errors"
	"net/netip"
)

// Basis is why a name is listed, as far as a visitor is told.
type Basis uint8

// The two pages.
const (
	Law       Basis = 1 // a law, or an order of a court or authority: 451
	Voluntary Basis = 2 // a voluntary agreement: 403
)

// Config says where the pages are served and what they name.
type Config struct {
	Law, Voluntary []netip.AddrPort // where each page is served; port 0 takes a free one. No address in both.
	Implementer    string           // https URL of who runs the block
	Contact        string           // mailto: or tel: for complaints
	Reference      string           // the law or agreement in the operator's words; may be empty
	Report         string           // https URL where material can be reported; may be empty
	Help           string           // https or tel: URL of a help line; may be empty
	Languages      []string         // languages that come first; the six UN languages are always all there
}

// Server owns the listeners of both pages.
type Server struct{}

// Open builds the pages and listens. The error is one plain sentence naming the address and the remedy.
func Open(ctx context.Context, c Config) (*Server, error) {
	return nil, errors.New("stoppage: unbuilt")
}

// Addrs reports where the page of a basis is served, in the order of Config.
func (s *Server) Addrs(b Basis) []netip.AddrPort { return nil }

// Served reports how many answers each page has given since Open. Safe for concurrent use.
func (s *Server) Served() (law, voluntary uint64) { return 0, 0 }

// Run serves until ctx is done, lets answers under way end, and returns when all its work has ended. It is called
// once.
func (s *Server) Run(ctx context.Context) error { return nil }

// Close releases the listeners of a Server that was never Run.
func (s *Server) Close() error { return nil }
