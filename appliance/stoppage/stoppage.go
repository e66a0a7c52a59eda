// Package stoppage serves the page a person sees instead of listed material.
//
// In goes a Config; out come two pages made of fixed bytes, one for names listed under a law or an order (451,
// RFC 7725), one for names listed by voluntary agreement (403). Which one is sent depends on nothing but the
// local address that was asked: no Host header, path, method or any other byte of a request can change an
// answer or appear in one. Nothing is logged, stored or set; a visit is not evidence against anyone.
//
// Nothing listens for HTTPS: the kernel resets such a connection, and no certificate is ever forged.
package stoppage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/resolver/limit"
)

// Bounds on what a visitor may hold: a request is one small header, the answer fits into one round trip.
const (
	headerTimeout = 5 * time.Second  // slowloris: a header that is not there by then is not coming
	readTimeout   = 10 * time.Second // a body is read only to be thrown away
	writeTimeout  = 20 * time.Second // 14 KiB over the slowest phone network
	idleTimeout   = 5 * time.Second
	drainTime     = 5 * time.Second // answers under way at the end of Run
	maxHeader     = 8 << 10
)

// Config says where the pages are served and what they name.
type Config struct {
	Law, Voluntary []netip.AddrPort // where each page is served; port 0 takes a free one; no address in both
	Implementer    string           // https URL of who runs the block
	Contact        string           // mailto: or tel: URL for complaints
	LawReference   string           // the law in the operator's words, on its page only; may be empty
	Agreement      string           // the voluntary agreement, on its page only; may be empty
	Report         string           // https URL where material can be reported; may be empty
	Help           string           // https or tel: URL of a help line; may be empty
	Languages      []string         // codes of Languages that come first; all others follow
	Freebind       bool             // Law and Voluntary may be addresses that this machine does not have yet
}

// Server owns the listeners of both pages.
type Server struct {
	sites []*site
}

// site is one page with its listeners.
type site struct {
	basis     Basis
	page      *Page
	listeners []net.Listener
}

// Open builds both pages and listens. The error is one plain sentence a listener, naming address and remedy.
func Open(ctx context.Context, c Config) (*Server, error) {
	for _, a := range c.Law {
		for _, b := range c.Voluntary {
			if a.Addr() == b.Addr() && (a.Port() == b.Port() || a.Port() == 0 || b.Port() == 0) {
				return nil, fmt.Errorf("stop page: %s is to serve both pages, but the address alone tells them apart; give each its own", a.Addr())
			}
		}
	}
	s := &Server{}
	guests := limit.New(maxGuests, maxPerHousehold)
	for _, one := range []struct {
		basis Basis
		at    []netip.AddrPort
	}{{Law, c.Law}, {Voluntary, c.Voluntary}} {
		page, err := NewPage(c, one.basis)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		st := &site{basis: one.basis, page: page}
		s.sites = append(s.sites, st)
		for _, a := range one.at {
			l, err := listen(ctx, a, c.Freebind)
			if err != nil {
				return nil, errors.Join(err, s.Close())
			}
			st.listeners = append(st.listeners, guests.Listener(l))
		}
	}
	return s, nil
}

// How many connections may be open at once: all together (about 20 KiB each while a header is awaited, so 80 MiB), and from one household.
// A browser opens six.
const (
	maxGuests       = 4096
	maxPerHousehold = 64
)

func listen(ctx context.Context, a netip.AddrPort, free bool) (net.Listener, error) {
	if !a.Addr().IsValid() || a.Addr().IsUnspecified() || a.Addr().IsMulticast() {
		return nil, fmt.Errorf("stop page: %s is not one address of this machine, and the address decides the page; name it exactly", a)
	}
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if free {
			e := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1) })
			err = errors.Join(e, err)
		}
		return err
	}}
	l, err := c.Listen(ctx, "tcp", a.String())
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("stop page: %s is in use by another program; stop that program (ss -ltnp shows it) or set another stop.listen_port: %w", a, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("stop page: %s is not an address of this machine; add it (ip address add %s dev lo), correct stop, or set freebind: true if it comes later: %w", a, a.Addr(), err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("stop page: this user may not listen on %s; start with systemd (AmbientCapabilities=CAP_NET_BIND_SERVICE) or set a stop.listen_port above 1023: %w", a, err)
	}
	return nil, fmt.Errorf("stop page: listen on %s: %w", a, err)
}

// Addrs reports where the page of a basis is served, in the order of Config.
func (s *Server) Addrs(b Basis) []netip.AddrPort {
	var out []netip.AddrPort
	for _, st := range s.sites {
		if st.basis != b {
			continue
		}
		for _, l := range st.listeners {
			out = append(out, l.Addr().(*net.TCPAddr).AddrPort())
		}
	}
	return out
}

// Served reports how many answers each page has given since Open. Safe for concurrent use.
func (s *Server) Served() (law, voluntary uint64) {
	for _, st := range s.sites {
		if st.basis == Law {
			law = st.page.Served()
		} else {
			voluntary = st.page.Served()
		}
	}
	return law, voluntary
}

// Run serves until ctx is done, lets answers under way end, and returns when all its work has ended: nil after ctx,
// else why a listener failed. It is called once.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex // guards failed
	var failed error
	for _, st := range s.sites {
		server := &http.Server{
			Handler:                      st.page,
			ReadHeaderTimeout:            headerTimeout,
			ReadTimeout:                  readTimeout,
			WriteTimeout:                 writeTimeout,
			IdleTimeout:                  idleTimeout,
			MaxHeaderBytes:               maxHeader,
			DisableGeneralOptionsHandler: true,                       // OPTIONS * gets the page like everything else
			ErrorLog:                     log.New(io.Discard, "", 0), // net/http would log visitors' addresses
			// A plain ServeMux would clean paths and redirect; the page itself is the handler, so nothing is looked at.
		}
		for _, l := range st.listeners {
			wg.Go(func() {
				if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
					mu.Lock()
					failed = errors.Join(failed, fmt.Errorf("stop page at %s: %w", l.Addr(), err))
					mu.Unlock()
					cancel()
				}
			})
		}
		wg.Go(func() {
			<-ctx.Done()
			// The visitors' time to finish is not part of a context that is over.
			drain, stop := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
			defer stop()
			if server.Shutdown(drain) != nil {
				server.Close()
			}
		})
	}
	wg.Wait()
	return failed
}

// Close releases the listeners of a Server that is not run.
func (s *Server) Close() error {
	var errs []error
	for _, st := range s.sites {
		for _, l := range st.listeners {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}
