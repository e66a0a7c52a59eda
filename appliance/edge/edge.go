// Package edge is one edge server: it answers subscribers' DNS questions, stops what is in force, and shows the page that says so.
//
// In come a configuration file and, from control nodes that are believed in nothing, manifests with their proofs, files by hash and wrapped keys;
// out come answers, signed receipts for what is served, and figures with noise. Open holds the edge's directory, ports and keys, or says in one
// sentence what is missing; Run returns when all of its work has ended. What DNS does waits for nothing of the control plane, and
// without a verified list every question is answered SERVFAIL: never unfiltered.
package edge

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/appliance/identity"
	"github.com/cordon-project/cordon/appliance/metrics"
	"github.com/cordon-project/cordon/appliance/stoppage"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/program"
	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/cache"
	"github.com/cordon-project/cordon/resolver/match/locked"
	"github.com/cordon-project/cordon/resolver/serve"
	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/upstream/unbound"
)

// Edge is one assembled edge server.
type Edge struct {
	dir      *appliance.DataDir
	follower *follower
	upstream *upstream.Zones
	unbound  *unbound.Resolver // nil unless upstream: recursive
	dns      *serve.Server
	shown    *certificateWatch // nil without encrypted transports
	pages    *stoppage.Server
	metrics  *metrics.Server // nil without metrics_listen
	figures  *reporter
	log      *slog.Logger
}

// Open takes the edge's directory, ports and keys and brings back what was in force when it last ran. Run must follow.
//
// An edge that has nothing to bring back answers SERVFAIL with EDE 14 (Not Ready) until its cluster has given it a verified list. What it
// cannot verify on its own disk it does not serve either; it then waits for the cluster in the same way.
func Open(ctx context.Context, c *config.Edge, o appliance.Options) (_ *Edge, err error) {
	description, err := appliance.ReadCluster(c.Cluster, o)
	if err != nil {
		return nil, err
	}
	key, err := identity.LoadSigningKey(c.Key)
	if err != nil {
		return nil, appliance.BadInput(err)
	}
	nodeKey, err := identity.LoadAge(c.Identity)
	if err != nil {
		return nil, appliance.BadInput(err)
	}
	if (key.Development || nodeKey.Development) && !o.Development {
		return nil, appliance.BadInput(fmt.Errorf("keys of edge %s: %w", c.Name, appliance.ErrDevelopment))
	}
	clientTLS, err := identity.ClientTLS(c.CA, c.Certificate, c.CertificateKey, description.ID())
	if err != nil {
		return nil, appliance.BadInput(err)
	}
	shown, err := openCertificate(ctx, c, o)
	if err != nil {
		return nil, appliance.BadInput(err)
	}
	locked.Erase()
	care := appliance.KeyCare(ctx, c.KeyStore(), nodeKey.Memory, o)

	var undo appliance.Closers
	defer func() {
		if err != nil {
			undo.Close()
		}
	}()
	dir, err := appliance.Claim(c.Dir, description.ID(), "edge", c.Name)
	if err != nil {
		return nil, err
	}
	undo.Add(dir)
	servers, patience := c.Upstreams, time.Duration(0)
	var own *unbound.Resolver
	var ready func() bool
	if c.Recursive {
		if own, err = openRecursion(c, dir, o); err != nil {
			return nil, err
		}
		servers, patience, ready = []netip.AddrPort{own.Addr()}, unbound.Patience, own.Answering
	}
	secure, err := upstreamIdentity(c)
	if err != nil {
		return nil, appliance.BadInput(err)
	}
	pool, err := upstream.OpenZones(upstream.Config{Servers: servers, Attempt: patience, TLS: secure, Ready: ready}, zones(c))
	if err != nil {
		return nil, err
	}
	undo.Add(pool)
	gate, err := openGuard(ctx, c, o.Log)
	if err != nil {
		return nil, err
	}
	asked, err := translated(c, pool)
	if err != nil {
		return nil, err
	}
	kept := cache.New(cache.Config{Bytes: int64(c.CacheMB) << 20, MaxStale: uint32(max(c.ServeStale, 0) / time.Second)})
	answers, err := resolver.New(resolver.Config{
		Stop: stops(c), TTL: c.Stop.TTL, NSID: c.NSID, Own: ownOf(c), Upstream: asked, NAT64: behindNAT64(c), Subnets: c.ClientSubnets, Prefetch: true, Guard: gate, Structured: structured(c),
		Cache: kept, Clock: o.ClockOrNow(),
	})
	if err != nil {
		return nil, err
	}
	shelf, err := openShelf(dir, nodeKey, o.Log)
	if err != nil {
		return nil, err
	}
	exempt := &exempting{path: c.Analysts, exempt: answers.Exempt, clock: o.ClockOrNow(), log: o.Log}
	controls := make([]*api.Client, len(c.Control))
	says := func() (audit.SignedBuild, error) {
		runs, err := program.Self() // the first time in Run: reading 40 MB of program takes as long as a list of a million entries
		if err != nil {
			return audit.SignedBuild{}, err
		}
		return audit.SignBuild(api.EdgeBuild(description.ID(), c.Name, runs, o.ClockOrNow()()), key.Private), nil
	}
	for i, url := range c.Control {
		controls[i] = api.NewClient(url, clientTLS).Saying(care).Running(says).Guarding(func() api.Guard { return held(answers, gate, exempt) })
		if own != nil {
			controls[i].Recursing(func() api.Recursion { return recursion(own.State()) })
		}
	}
	var repositories []*directSource
	for _, h := range c.Hotlines {
		for _, url := range append([]string{h.URL}, h.Mirrors...) {
			r, err := fetch.NewRepository(url, trust.HotlineID(h.ID), &http.Client{})
			if err != nil {
				return nil, appliance.BadInput(fmt.Errorf("hotline %s: %w", h.ID, err))
			}
			repositories = append(repositories, newDirectSource(r, trust.HotlineID(h.ID)))
		}
	}
	f := &follower{
		cluster: description, quorum: description.Quorum(), name: c.Name, dir: dir, key: key.Private, shelf: shelf,
		controls: controls, neverBlock: c.NeverBlock, maxStale: c.MaxStale, swap: answers.Swap, clock: o.ClockOrNow(), log: o.Log,
		repositories: repositories, analysts: exempt,
	}
	switch restored, err := f.restore(ctx); {
	case err != nil:
		o.Log.ErrorContext(ctx, "last lists not brought back: answering SERVFAIL until the cluster gives them again", slog.Any("error", err))
	case restored:
		o.Log.InfoContext(ctx, "last lists active", slog.Uint64("log_size", f.seen.Size), slog.Any("state", f.active.set.StateID()))
	default:
		o.Log.InfoContext(ctx, "no list yet: answering SERVFAIL until the cluster gives one")
	}

	pages, err := stoppage.Open(ctx, stoppage.Config{
		Law: pageAddrs(c.Stop.Law, c.Stop.ListenPort), Voluntary: pageAddrs(c.Stop.Voluntary, c.Stop.ListenPort),
		Implementer: c.Stop.Implementer, Contact: c.Stop.Contact,
		LawReference: c.Stop.Law.Reference, Agreement: c.Stop.Voluntary.Reference,
		Report: c.Stop.Report, Help: c.Stop.Help, Languages: c.Stop.Languages, Freebind: c.Freebind,
	})
	if err != nil {
		return nil, err
	}
	undo.Add(pages)
	var certificate *tls.Certificate
	if shown != nil {
		certificate = shown.inForce
	}
	listen := serveConfig(c, answers, gate, certificate)
	listen.Worker = func() serve.Worker { return answers.Worker() }
	dns, err := serve.Open(listen)
	if err != nil {
		return nil, err
	}
	if got := dns.Buffer(); got < serve.ReceiveBuffer && len(c.DNSListen) > 0 && !o.Development {
		o.Log.WarnContext(ctx, "receive buffers are small: questions are lost when this edge is held up for milliseconds; set net.core.rmem_max with sysctl",
			slog.Int("bytes", got), slog.Int("rmem_max", serve.ReceiveBuffer))
	}
	if shown != nil {
		shown.set = dns.SetCertificate
		for _, c := range controls {
			c.Encrypting(shown.says)
		}
	}
	meters := &meters{answers: answers, cache: kept, guard: gate, dns: dns, has: transportsOf(c), pool: pool, unbound: own, shown: shown, follower: f}
	for _, c := range controls {
		c.Counting(meters.traffic)
	}
	var numbers *metrics.Server
	if c.MetricsListen.IsValid() {
		if numbers, err = metrics.Open(ctx, c.MetricsListen, meters.snapshot, o.Log); err != nil {
			dns.Close()
			return nil, err
		}
	}
	counting := &reporter{cluster: description.ID(), name: c.Name, key: key.Private, counts: answers.ListCounts, controls: controls, clock: o.ClockOrNow(), log: o.Log}
	return &Edge{dir: dir, follower: f, upstream: pool, unbound: own, dns: dns, shown: shown, pages: pages, metrics: numbers, figures: counting, log: o.Log}, nil
}

// pageAddrs is where a basis' page is served: on the stop addresses themselves unless the file says otherwise.
func pageAddrs(a config.StopAddress, port uint16) []netip.AddrPort {
	addrs := a.Listen
	if addrs == nil {
		addrs = a.Answers()
	}
	out := make([]netip.AddrPort, len(addrs))
	for i, ip := range addrs {
		out[i] = netip.AddrPortFrom(ip, port)
	}
	return out
}

// Run answers until ctx ends, then lets what was asked be answered, and returns when all parts have ended. DNS goes on when the stop page
// cannot (P3): a listed name then leads to an address where nobody answers, and the log says so.
func (e *Edge) Run(ctx context.Context) error {
	defer e.dir.Close()
	if e.unbound != nil {
		// Beyond ctx: what was asked before it ended is still to be answered.
		life, end := context.WithCancel(context.WithoutCancel(ctx))
		var work sync.WaitGroup
		work.Go(func() { _ = e.unbound.Run(life) })
		defer work.Wait()
		defer end()
	}
	defer e.upstream.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.dns.Run(ctx) })
	g.Go(func() error {
		if err := e.pages.Run(ctx); err != nil {
			e.log.ErrorContext(ctx, "stop page ended", slog.Any("error", err))
		}
		return nil
	})
	if e.metrics != nil {
		g.Go(func() error {
			if err := e.metrics.Run(ctx); err != nil { // no reason not to answer
				e.log.ErrorContext(ctx, "metrics ended", slog.Any("error", err))
			}
			return nil
		})
	}
	if e.shown != nil {
		g.Go(func() error { e.shown.run(ctx); return nil })
	}
	g.Go(func() error {
		err := aside(func() error { _, err := program.Self(); return err })
		if err != nil {
			e.log.ErrorContext(ctx, "own program not read: auditors are not told what runs here", slog.Any("error", err))
		}
		return e.follower.Run(ctx)
	})
	g.Go(func() error { e.figures.run(ctx); return nil })
	g.Go(func() error { e.follower.analysts.run(ctx); return nil })
	g.Go(func() error { watchUpstreams(ctx, e.upstream.Counts, upstreamsEvery, e.log); return nil })
	return g.Wait()
}
