package edge

import (
	"context"
	"crypto/tls"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/appliance/identity"
	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/guard"
	"github.com/cordon-project/cordon/resolver/serve"
	"github.com/cordon-project/cordon/resolver/wire"
)

const certificateEvery = 10 * time.Second

// serveConfig is where an edge listens, and what it needs for that.
func serveConfig(c *config.Edge, handler serve.Handler, gate *guard.Guard, certificate *tls.Certificate) serve.Config {
	e := &c.Encrypted
	out := serve.Config{
		Handler: handler, UDPAddrs: c.DNSListen, TCPAddrs: c.DNSListen, Freebind: c.Freebind,
		TLSAddrs: e.TLSListen, HTTPSAddrs: e.HTTPSListen, QUICAddrs: e.QUICListen, Certificate: certificate, Path: e.HTTPSPath, Serves: gate.Serves,
		Encrypted: e.Connections, PerHousehold: c.Clients.Connections, IdleEncrypted: e.Idle,
		Proxies: map[netip.AddrPort][]netip.Prefix{},
	}
	for _, p := range c.Proxies {
		out.Proxies[p.Listen] = p.From
	}
	return out
}

// ownOf is what an edge says of itself to clients that look for more than plain DNS. The transport that costs least comes first.
func ownOf(c *config.Edge) resolver.Own {
	e := &c.Encrypted
	own := resolver.Own{Name: e.Name, InfoURL: e.InfoURL, QNAMEMin: c.Recursive}
	for _, kind := range []struct {
		via    wire.Transport
		listen []netip.AddrPort
	}{{wire.TLS, e.TLSListen}, {wire.QUIC, e.QUICListen}, {wire.HTTPS, e.HTTPSListen}} {
		for _, s := range services(kind.listen, c.Proxies) {
			s.Via = kind.via
			if s.Via == wire.HTTPS {
				s.Path = e.HTTPSPath
			} else {
				s.HTTP3 = false
			}
			own.Services = append(own.Services, s)
		}
	}
	return own
}

// services are one for each port, with the addresses of that port: unless one of them is every address, or a balancer's behind which
// clients see others. Then clients ask for the name's.
func services(listen []netip.AddrPort, proxies []config.Proxy) (out []resolver.Service) {
	for _, a := range listen {
		proxied := slices.ContainsFunc(proxies, func(p config.Proxy) bool { return p.Listen == a })
		i := slices.IndexFunc(out, func(s resolver.Service) bool { return s.Port == a.Port() })
		if i < 0 {
			i = len(out)
			out = append(out, resolver.Service{Port: a.Port(), HTTP3: true, Hints: []netip.Addr{}})
		}
		s := &out[i]
		s.HTTP3 = s.HTTP3 && !proxied
		if a.Addr().IsUnspecified() || proxied {
			s.Hints = nil
		} else if s.Hints != nil {
			s.Hints = append(s.Hints, a.Addr())
		}
	}
	return out
}

// certificateWatch reads the resolver's certificate again when its files change. What cannot be used changes nothing: the one before stays.
type certificateWatch struct {
	config *config.Encrypted
	set    func(*tls.Certificate)
	clock  func() time.Time
	log    *slog.Logger

	mu      sync.Mutex       // guards the next two
	inForce *tls.Certificate // nil while there has not been one that can be used
	refused time.Time        // since when the files hold one that cannot be used

	files   [2]fileStamp // what is in force, or has been refused
	waiting bool         // files have changed since the last look: one may still be written
	warned  time.Time
}

// fileStamp tells two states of a file apart, those of who may read it as well.
type fileStamp struct {
	size    int64
	changed time.Time
	mode    fs.FileMode
	status  syscall.Timespec // of the last change of anything about the file: its owner, for one
}

// openCertificate reads the certificate for the first time; without a section encrypted there is none. One that cannot be used is no reason
// not to answer plain DNS (P3): handshakes fail until there is another.
func openCertificate(ctx context.Context, c *config.Edge, o appliance.Options) (*certificateWatch, error) {
	e := &c.Encrypted
	if e.Name == "" {
		return nil, nil
	}
	if v := os.Getenv("QUIC_GO_LOG_LEVEL"); v != "" {
		return nil, fmt.Errorf("QUIC_GO_LOG_LEVEL is %q: the QUIC library would write clients' addresses; remove it from the environment", v)
	}
	w := &certificateWatch{config: e, clock: o.ClockOrNow(), log: o.Log, files: stamps(e)}
	var err error
	if w.inForce, err = identity.LoadResolver(e.Certificate, e.CertificateKey, e.Name); err != nil {
		w.inForce, w.refused = nil, w.clock()
		o.Log.ErrorContext(ctx, "the resolver's certificate cannot be used: TLS, HTTPS and QUIC answer nobody until it can", slog.Any("error", err))
		return w, nil
	}
	for _, a := range c.DNSListen {
		if ip := a.Addr(); !ip.IsUnspecified() && !ip.IsLoopback() && w.inForce.Leaf.VerifyHostname(ip.String()) != nil {
			o.Log.WarnContext(ctx, "the resolver's certificate does not hold the address of dns_listen: clients that look for encrypted transports there (DDR) will not trust them",
				slog.Any("dns_listen", a))
		}
	}
	return w, nil
}

func stamps(e *config.Encrypted) (out [2]fileStamp) {
	for i, reference := range []string{e.Certificate, e.CertificateKey} {
		_, path := config.StoreOf(reference)
		if info, err := os.Stat(path); err == nil { // a credential does not change while a process runs
			out[i] = fileStamp{size: info.Size(), changed: info.ModTime(), mode: info.Mode()}
			if s, ok := info.Sys().(*syscall.Stat_t); ok {
				out[i].status = s.Ctim
			}
		}
	}
	return out
}

func (w *certificateWatch) run(ctx context.Context) {
	tick := time.NewTicker(certificateEvery)
	defer tick.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look takes in what has changed once it has stayed so for one turn, and says when the certificate ends soon.
func (w *certificateWatch) look(ctx context.Context) {
	now := stamps(w.config)
	switch {
	case now == w.files:
		w.waiting = false
	case !w.waiting:
		w.waiting = true
	default:
		w.waiting, w.files = false, now
		err := w.reload(ctx)
		w.mu.Lock()
		w.refused = time.Time{}
		if err != nil {
			w.refused = w.clock()
		}
		w.mu.Unlock()
		if err != nil {
			w.log.ErrorContext(ctx, "the resolver's new certificate cannot be used, nothing has changed", slog.Any("error", err))
		}
	}
	if w.inForce == nil {
		return
	}
	left := w.inForce.Leaf.NotAfter.Sub(w.clock())
	if left < api.CertificateEnds && w.clock().Sub(w.warned) >= 24*time.Hour {
		w.warned = w.clock()
		what := "the resolver's certificate ends soon; renew it, the new files are taken in by themselves"
		if left <= 0 {
			what = "the resolver's certificate has ended: clients of TLS, HTTPS and QUIC refuse it; renew it, the new files are taken in by themselves"
		}
		w.log.ErrorContext(ctx, what, slog.Time("ends", w.inForce.Leaf.NotAfter))
	}
}

// says is what an edge tells control nodes of its encrypted transports.
func (w *certificateWatch) says() api.Encrypted {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out api.Encrypted
	if w.inForce != nil {
		out.Ends = w.inForce.Leaf.NotAfter.UTC()
	}
	if !w.refused.IsZero() {
		out.Refused = w.refused.UTC().Truncate(time.Second)
	}
	return out
}

func (w *certificateWatch) reload(ctx context.Context) error {
	e := w.config
	fresh, err := identity.LoadResolver(e.Certificate, e.CertificateKey, e.Name)
	if err != nil {
		return err
	}
	if ends := fresh.Leaf.NotAfter; !ends.After(w.clock()) {
		return fmt.Errorf("resolver certificate %s has ended on %s; renew it", e.Certificate, ends.UTC().Format(time.DateOnly))
	}
	w.mu.Lock()
	w.inForce, w.warned = fresh, time.Time{}
	w.mu.Unlock()
	w.set(fresh)
	w.log.InfoContext(ctx, "the resolver's certificate was changed", slog.Time("ends", fresh.Leaf.NotAfter))
	return nil
}
