// Package control is one control node: a member of the cluster that takes hotlines' lists in, agrees on them with the others, and serves edges,
// operators and auditors.
//
// In come a configuration file, what hotlines publish and what comes over the API; out come a log that a quorum has cosigned, the files that it
// names, and witnesses' and edges' words about it. Open holds the node's directory, ports and keys, or says in one sentence what is missing; Run
// returns when all of its work has ended. It never answers a subscriber, and nothing that it shows is to be believed without its proof.
package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/appliance/identity"
	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/program"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync"
	"github.com/cordon-project/cordon/listsync/brake"
	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/match/locked"
)

// Control is one assembled control node.
type Control struct {
	dir    *appliance.DataDir
	node   *cluster.Node
	server *api.Server
	syncs  []*listsync.Syncer

	backfill backfill
	expected *expected

	statements *statements
	witnessing *witnessing
}

// Open takes the node's directory, ports and keys and joins its cluster. Run must follow.
func Open(ctx context.Context, c *config.Control, o appliance.Options) (_ *Control, err error) {
	description, err := appliance.ReadCluster(c.Cluster, o)
	if err != nil {
		return nil, err
	}
	id := description.ID()
	key, err := identity.LoadSigningKey(c.Key)
	if err != nil {
		return nil, appliance.BadInput(err)
	}
	clusterKey, err := identity.LoadAge(c.ClusterKey)
	if err != nil {
		return nil, appliance.BadInput(err)
	}
	if (key.Development || clusterKey.Development) && !o.Development {
		return nil, appliance.BadInput(fmt.Errorf("keys of control node %s: %w", c.Name, appliance.ErrDevelopment))
	}
	serverTLS, err := identity.ServerTLS(c.CA, c.Certificate, c.CertificateKey, id)
	if err != nil {
		return nil, appliance.BadInput(err)
	}
	clientTLS, err := identity.ClientTLS(c.CA, c.Certificate, c.CertificateKey, id)
	if err != nil {
		return nil, appliance.BadInput(err)
	}
	locked.Erase()
	care := appliance.KeyCare(ctx, c.KeyStore(), clusterKey.Memory, o)

	var popularity *brake.Popularity
	if c.Popularity != "" {
		if popularity, err = brake.LoadPopularity(c.Popularity, c.PopularityKeys, o.ClockOrNow()()); err != nil {
			return nil, appliance.BadInput(err)
		}
	}

	var undo appliance.Closers
	defer func() {
		if err != nil {
			undo.Close()
		}
	}()
	dir, err := appliance.Claim(c.Dir, id, "control", c.Name)
	if err != nil {
		return nil, err
	}
	undo.Add(dir)
	files, err := fetch.OpenStore(dir.Join("files"))
	if err != nil {
		return nil, err
	}
	deltas, err := fetch.OpenDeltas(dir.Join("deltas"))
	if err != nil {
		return nil, err
	}
	apiListener, err := listen("api_listen", c.APIListen.String())
	if err != nil {
		return nil, err
	}
	undo.Add(apiListener)
	raftListener, err := listen("raft_listen", c.RaftListen.String())
	if err != nil {
		return nil, err
	}
	undo.Add(raftListener)

	raftAddrs, apiURLs := map[string]string{}, map[string]string{}
	for _, m := range c.Members {
		if m.Name != c.Name {
			raftAddrs[m.Name], apiURLs[m.Name] = m.Raft.String(), "https://"+m.API.String()
		}
	}
	peers := api.NewPeers(apiURLs, clientTLS)
	runs, err := program.Self()
	if err != nil {
		return nil, err
	}
	node, err := cluster.Open(ctx, cluster.Config{
		Cluster: description, Name: c.Name, Dir: dir.Join("cluster"), Key: key.Private, MLDSA: key.MLDSA,
		RaftListener: raftListener, PeerAddrs: raftAddrs, TLS: serverTLS,
		Files: files, Identity: clusterKey.Identity, NeverBlock: c.NeverBlock, Popularity: popularity, Limits: c.Brakes,
		Peers: peers, Clock: o.ClockOrNow(), Log: o.Log, Rejoin: o.Rejoin, Program: runs,
	})
	if err != nil {
		return nil, err
	}
	undo.Add(node)

	control := &Control{dir: dir, node: node}
	control.backfill = backfill{node: node, files: files, deltas: deltas, peers: peers, log: o.Log, wanted: map[[32]byte]int64{}}
	control.expected = newExpected(node, files, o.Log)
	control.statements = newStatements(node, control.look, o.ClockOrNow(), o.Log)
	heads, err := listsync.OpenHeads(dir.Join("publiclogs"))
	if err != nil {
		return nil, err
	}
	if control.witnessing, err = openWitnessing(c, description, node, dir, o); err != nil {
		return nil, err
	}
	for _, h := range c.Hotlines {
		s, err := newSyncer(c, h, description, node, files, heads, control.statements.seen, control.witnessing, o)
		if err != nil {
			return nil, err
		}
		control.syncs = append(control.syncs, s)
	}
	shelf, err := openFigures(dir.Join("figures"), o.ClockOrNow(), o.Log)
	if err != nil {
		return nil, err
	}
	control.server = api.NewServer(api.Config{
		Figures: shelf,
		Node:    node, Cluster: description, Files: files, Deltas: deltas, Peers: peers, Hotlines: control.hotlines, Preview: control.preview, Expected: control.expect, Statements: control.statements,
		Witness: control.witnessing, TLS: serverTLS, Listener: apiListener, Keys: care, Clock: o.ClockOrNow(), Log: o.Log,
	})
	return control, nil
}

func newSyncer(c *config.Control, h config.Hotline, description audit.Cluster, node *cluster.Node, files *fetch.Store, heads *listsync.Heads, seen func([]byte), w *witnessing, o appliance.Options) (*listsync.Syncer, error) {
	var repos []*fetch.Repository
	for _, url := range append([]string{h.URL}, h.Mirrors...) {
		r, err := fetch.NewRepository(url, trust.HotlineID(h.ID), &http.Client{})
		if err != nil {
			return nil, fmt.Errorf("hotline %s: %w", h.ID, err)
		}
		repos = append(repos, r)
	}
	return listsync.New(listsync.Config{
		Hotline: trust.HotlineID(h.ID), Cluster: description.ID(), Repositories: repos, Files: files,
		Proposer: proposer{node}, Poll: c.Poll, Clock: o.ClockOrNow(), Log: o.Log, Seen: seen, LogPolicy: description.LogPolicy(), Heads: heads, SeenLog: w.sawLog, Others: w,
	}), nil
}

// look asks a hotline's repository for withdrawals at once.
func (c *Control) look(h trust.HotlineID) {
	for _, s := range c.syncs {
		if s.Hotline() == h {
			s.LookNow()
		}
	}
}

func (c *Control) hotlines() []listsync.Health {
	var out []listsync.Health
	for _, s := range c.syncs {
		out = append(out, s.Health())
	}
	return out
}

func (c *Control) preview(ctx context.Context, h trust.HotlineID, only match.ListID) (listsync.Preview, error) {
	for _, s := range c.syncs {
		if s.Health().Hotline == h {
			return s.Preview(ctx, only)
		}
	}
	return listsync.Preview{}, fmt.Errorf("hotline %s is not in this node's configuration", h)
}

// Run works until ctx ends or a part can no longer keep its promise, and returns when all parts have ended.
func (c *Control) Run(ctx context.Context) error {
	defer c.dir.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.node.Run(ctx) })
	g.Go(func() error { return c.server.Run(ctx) })
	g.Go(func() error { return c.backfill.run(ctx) })
	g.Go(func() error { return c.expected.run(ctx) })
	g.Go(func() error { return c.witnessing.run(ctx) })
	for _, s := range c.syncs {
		g.Go(func() error { return s.Run(ctx) })
	}
	return g.Wait()
}

// proposer is the cluster's node as listsync needs it.
type proposer struct{ node *cluster.Node }

func (p proposer) Leading() bool { return p.node.Leading() }

func (p proposer) Accepted(h trust.HotlineID) (listsync.Accepted, bool) {
	view := p.node.View()
	known, ok := view.Hotline(h)
	if !ok {
		return listsync.Accepted{}, false
	}
	a := listsync.Accepted{Roots: known.Roots, High: known.High, Metadata: known.Metadata, PublicLog: known.PublicLog}
	if known.Verified != nil {
		a.Officers = known.Verified.Officers
	}
	for _, l := range view.InForce.Lists {
		a.InForce = append(a.InForce, listsync.Version{List: l.List, High: l.High(), Seq: l.Seq, Edge: l.Edge, Audit: l.Audit})
	}
	for _, w := range known.Withdrawals {
		done := listsync.Withdrawn{List: w.List, Number: w.Number}
		for _, o := range w.Owed {
			done.Owed = append(done.Owed, o.Number)
		}
		a.Withdrawals = append(a.Withdrawals, done)
	}
	return a, true
}

func (p proposer) Publish(ctx context.Context, m trust.Metadata, list match.ListID, proof []byte) error {
	return decision(p.node.PublishLogged(ctx, m, list, proof))
}

func (p proposer) Withdraw(ctx context.Context, statement []byte) error {
	return decision(p.node.Withdraw(ctx, statement))
}

func (p proposer) Refuse(ctx context.Context, r listsync.Refusal) error {
	return p.node.Refuse(ctx, command.Reject{
		Hotline: string(r.Hotline), List: r.List, Seq: r.Seq, Object: r.Object[:], Reason: r.Reason, Detail: r.Detail,
	})
}

// decision marks what the cluster decided, so that listsync does not ask again, or not at once.
func decision(err error) error {
	var refused *state.Refusal
	switch {
	case errors.As(err, &refused) && refused.Reason == state.ReasonLimit:
		return fmt.Errorf("%w: %w", listsync.ErrLater, err)
	case errors.Is(err, cluster.ErrHeld):
		return fmt.Errorf("%w: %w", listsync.ErrHeld, err)
	case errors.Is(err, cluster.ErrRefused):
		return fmt.Errorf("%w: %w", listsync.ErrRefused, err)
	}
	return err
}

// listen binds a TCP address, with an error that says what to do.
func listen(what, address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: %s is in use by another process: stop it or choose another port", what, address)
	} else if err != nil {
		return nil, fmt.Errorf("%s: listen on %s: %w", what, address, err)
	}
	return ln, nil
}
