package control

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/witness"
)

// witnessing is a control node's part in keeping logs honest, beside its cluster: it witnesses others' logs, has others
// witness its own, and compares what logs have signed. Nothing the cluster does waits for it.
type witnessing struct {
	node   *cluster.Node
	keeper *witness.Keeper
	seen   *witness.Seen
	asking *asking // nil: nobody is asked
	peers  []*gossiper
	fixed  []witness.Log // of the configuration, by origin
	own    witness.Log   // this cluster's log
	log    *slog.Logger

	mu     sync.Mutex // guards all below
	forks  []told
	apart  []api.ForkStatus
	joined map[publiclog.Head]bool // heads that others were shown, compared with the hotline's repository
}

// told is a fork, and what became of it.
type told struct {
	witness.Fork
	refused bool // by the cluster: it is not asked again
}

func openWitnessing(c *config.Control, description audit.Cluster, node *cluster.Node, dir *appliance.DataDir, o appliance.Options) (*witnessing, error) {
	w := &witnessing{node: node, log: o.Log, joined: map[publiclog.Head]bool{}}
	var err error
	if w.own, err = description.Log(); err != nil {
		return nil, err
	}
	hand, err := node.Hand()
	if err != nil {
		return nil, err
	}
	if w.fixed, err = watched(c.Witness.Logs, description.Origin); err != nil {
		return nil, appliance.BadInput(err)
	}
	if w.seen, err = witness.OpenSeen(dir.Join("seen"), o.ClockOrNow(), w.forked); err != nil {
		return nil, damagedIsInput(err)
	}
	w.keeper, err = witness.OpenKeeper(witness.KeeperConfig{Dir: dir.Join("witness"), Hand: hand, Clock: o.ClockOrNow(), Saw: func(l witness.Log, note []byte) {
		w.saw(l, note, "asked to witness it")
	}})
	if err != nil {
		return nil, damagedIsInput(err)
	}
	if c.Witness.Policy != "" {
		if w.asking, err = newAsking(c.Witness, node, o); err != nil {
			return nil, appliance.BadInput(err)
		}
	}
	for _, p := range c.Gossip {
		roots, err := roots(p.CA)
		if err != nil {
			return nil, appliance.BadInput(fmt.Errorf("gossip %s: %w", p.URL, err))
		}
		w.peers = append(w.peers, &gossiper{url: p.URL, client: api.NewClient(p.URL, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}), clock: o.ClockOrNow()})
	}
	return w, w.watch()
}

// damagedIsInput: a memory that is damaged or gone is for a person, who reads what to do.
func damagedIsInput(err error) error {
	if errors.Is(err, witness.ErrDamaged) || errors.Is(err, witness.ErrGone) {
		return appliance.BadInput(err)
	}
	return err
}

// watched makes logs of the configured keys; keys of one origin are of one log.
func watched(vkeys []string, own string) ([]witness.Log, error) {
	keys := map[string][]witness.Key{}
	var origins []string
	for _, v := range vkeys {
		k, err := witness.ParseLogKey(v)
		if err != nil {
			return nil, fmt.Errorf("witness.logs: %w", err)
		}
		if k.Name == own {
			return nil, fmt.Errorf("witness.logs: %s is this cluster's own log: its members cosign it anyway, as those who keep it; a witness must be somebody else", own)
		}
		if keys[k.Name] == nil {
			origins = append(origins, k.Name)
		}
		keys[k.Name] = append(keys[k.Name], k)
	}
	var out []witness.Log
	for _, origin := range origins {
		l, err := witness.NewLog(keys[origin]...)
		if err != nil {
			return nil, fmt.Errorf("witness.logs: %w", err)
		}
		out = append(out, l)
	}
	return out, nil
}

// roots reads a PEM file of authorities, beside the system's; "" is the system's alone.
func roots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s holds no certificate; it wants the ca.crt of other operators, PEM", path)
	}
	return pool, nil
}

// run works until ctx ends.
func (w *witnessing) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if w.asking != nil {
		g.Go(func() error { return w.asking.run(ctx) })
	}
	for _, p := range w.peers {
		g.Go(func() error { return p.run(ctx, w) })
	}
	g.Go(func() error {
		timer := time.NewTicker(10 * time.Second)
		defer timer.Stop()
		for {
			if err := w.watch(); err != nil {
				w.log.WarnContext(ctx, "witness", slog.Any("error", err))
			}
			w.report(ctx)
			select {
			case <-ctx.Done():
				return nil
			case <-timer.C:
			case <-w.node.Renewed():
			}
		}
	})
	return g.Wait()
}

// watch has the keeper watch the configured logs, and the public logs of the hotlines in force under the keys of their charters. A log that
// is configured is watched with the keys there.
func (w *witnessing) watch() error {
	logs := slices.Clone(w.fixed)
	for _, l := range w.hotlines() {
		if l.log.Origin != w.own.Origin && !slices.ContainsFunc(logs, func(o witness.Log) bool { return o.Origin == l.log.Origin }) {
			logs = append(logs, l.log)
		}
	}
	return w.keeper.SetLogs(logs)
}

// hotlineLog is a hotline's public log under the key of its charter.
type hotlineLog struct {
	hotline trust.HotlineID
	log     witness.Log
}

func (w *witnessing) hotlines() []hotlineLog {
	var out []hotlineLog
	for _, h := range w.node.View().Hotlines {
		if h.Verified == nil || h.Verified.Charter.Log == "" {
			continue
		}
		if l, err := witness.ParseLog(h.Verified.Charter.Log); err == nil {
			out = append(out, hotlineLog{h.ID, l})
		}
	}
	return out
}

// fromRepository is who showed a checkpoint that this node has read in the hotline's own repository.
const fromRepository = "repository"

// sawLog is told of every checkpoint that a hotline's repository shows.
func (w *witnessing) sawLog(vkey string, note []byte) {
	if l, err := witness.ParseLog(vkey); err == nil {
		w.saw(l, note, fromRepository)
	}
}

func (w *witnessing) saw(l witness.Log, note []byte, from string) {
	if err := w.seen.Add(l, note, from); err != nil && !errors.Is(err, witness.ErrFork) {
		w.log.Warn("checkpoint of another log", slog.String("origin", l.Origin), slog.Any("error", err))
	}
}

// known finds a log that this node can verify, by its origin.
func (w *witnessing) known(origin string) (witness.Log, bool) {
	for _, l := range w.fixed {
		if l.Origin == origin {
			return l, true
		}
	}
	for _, h := range w.hotlines() {
		if h.log.Origin == origin {
			return h.log, true
		}
	}
	return witness.Log{}, false
}

// forked keeps evidence that a log told two stories, until the cluster has it.
func (w *witnessing) forked(f witness.Fork) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.forks) < maxForks { // a log may sign forks all day; so many are enough evidence, and enough lines
		w.log.Error("a log has signed two histories", slog.String("origin", f.Origin), slog.Uint64("size", f.Size))
		w.forks = append(w.forks, told{Fork: f})
	}
}

// hotlineOf finds the hotline whose charter names the key.
func (w *witnessing) hotlineOf(k witness.Key) (state.Hotline, bool) {
	for _, h := range w.node.View().Hotlines {
		if v := h.Verified; v != nil && v.Charter.Log != "" && v.Charter.Log == k.String() || slices.Contains(h.Forked, k.String()) {
			return h, true
		}
	}
	return state.Hotline{}, false
}

// report has the cluster record forks of hotlines' logs, each once; the log's own signatures prove them.
func (w *witnessing) report(ctx context.Context) {
	w.mu.Lock()
	all := slices.Clone(w.forks)
	w.mu.Unlock()
	for i, f := range all {
		h, ok := w.hotlineOf(f.Key)
		if !ok || f.refused || slices.Contains(h.Forked, f.Key.String()) {
			continue
		}
		err := w.node.Fork(ctx, h.ID, f.Key.String(), f.First, f.Second)
		if err != nil {
			w.log.WarnContext(ctx, "a fork is not in the log yet", slog.String("origin", f.Origin), slog.Any("error", err))
		}
		if errors.Is(err, cluster.ErrRefused) {
			w.mu.Lock()
			w.forks[i].refused = true
			w.mu.Unlock()
		}
	}
}

const (
	maxForks    = 64
	maxCompared = 4 // heads held to a repository's tiles at one look
	maxJoined   = 4096
)

// Heads are what others have been shown of a hotline's log, as far as it was not compared with the hotline's repository yet.
func (w *witnessing) Heads(vkey string) []publiclog.Head {
	l, err := witness.ParseLog(vkey)
	if err != nil {
		return nil
	}
	var out []publiclog.Head
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.seen.Heads(l.Origin) {
		head := publiclog.Head{Log: vkey, Size: h.Size, Root: h.Root}
		if h.From != fromRepository && h.SignedBy(vkey) && !w.joined[head] && len(out) < maxCompared {
			out = append(out, head)
		}
	}
	return out
}

// Compared keeps what came of it.
func (w *witnessing) Compared(other, now publiclog.Head, err error) {
	from := ""
	l, perr := witness.ParseLog(other.Log)
	if perr != nil {
		return
	}
	for _, h := range w.seen.Heads(l.Origin) {
		if h.Size == other.Size && h.Root == other.Root {
			from = h.From
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.joined) >= maxJoined {
		clear(w.joined)
	}
	w.joined[other] = true
	if err != nil && len(w.apart) < 64 && other.Size != now.Size {
		w.apart = append(w.apart, api.ForkStatus{Origin: l.Origin, Size: other.Size, With: now.Size, From: from})
	}
}

// ServeHTTP is add-checkpoint.
func (w *witnessing) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.keeper.ServeHTTP(rw, r) }

// Seen are the newest checkpoints of foreign logs.
func (w *witnessing) Seen() [][]byte {
	var out [][]byte
	for _, h := range w.seen.Newest() {
		out = append(out, h.Note)
	}
	return out
}

// Status is what people see.
func (w *witnessing) Status() api.WitnessStatus {
	s := api.WitnessStatus{Keys: []string{}, Log: []string{}, Watched: []api.WatchedLog{}, Asked: []api.WitnessHealth{}, Peers: []api.PeerHealth{}, Forks: []api.ForkStatus{}}
	for _, k := range w.keeper.Keys() {
		s.Keys = append(s.Keys, k.String())
	}
	for _, k := range w.own.Keys() {
		s.Log = append(s.Log, k.String())
	}
	for _, l := range w.keeper.Watches() {
		s.Watched = append(s.Watched, api.WatchedLog(l))
	}
	if w.asking != nil {
		w.asking.status(&s)
	}
	for _, p := range w.peers {
		s.Peers = append(s.Peers, p.health())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.forks {
		x := api.ForkStatus{Origin: f.Origin, Size: f.Size}
		if h, ok := w.hotlineOf(f.Key); ok {
			x.Hotline, x.Logged = string(h.ID), slices.Contains(h.Forked, f.Key.String())
			if now := h.Verified; x.Logged && now != nil && now.Charter.Log != "" && now.Charter.Log != f.Key.String() {
				continue // over: the authority has accredited another key
			}
		}
		s.Forks = append(s.Forks, x)
	}
	s.Forks = append(s.Forks, w.apart...)
	return s
}
