package control

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/witness"
)

const (
	// askPause spaces the rounds in which witnesses are asked, whatever the log does.
	askPause = time.Second
	// askIdle renews their cosignatures when the log does not grow.
	askIdle = 20 * time.Second
)

// asking has outside witnesses cosign this node's checkpoints, one round after the other.
type asking struct {
	node  *cluster.Node
	ask   witness.Asker
	clock func() time.Time
	log   *slog.Logger

	mu      sync.Mutex // guards all below
	health  []api.WitnessHealth
	met     time.Time
	failing time.Time
	problem string
}

func newAsking(c config.Witness, node *cluster.Node, o appliance.Options) (*asking, error) {
	b, err := os.ReadFile(c.Policy)
	if err != nil {
		return nil, fmt.Errorf("witness.policy: %w", err)
	}
	p, err := audit.ParsePolicy(string(b))
	if err == nil {
		err = p.CheckURLs()
	}
	if err == nil && !p.NeedsWitness() {
		err = fmt.Errorf("its quorum asks for no witness; remove witness.policy, or write a quorum")
	}
	if err != nil {
		return nil, fmt.Errorf("witness.policy %s: %w", c.Policy, err)
	}
	pool, err := roots(c.CA)
	if err != nil {
		return nil, fmt.Errorf("witness.ca: %w", err)
	}
	a := &asking{node: node, clock: o.ClockOrNow(), log: o.Log}
	a.ask = witness.Asker{
		Policy: p, Clock: o.ClockOrNow(),
		Prove: func(_ context.Context, old, size uint64) ([][32]byte, error) { return node.ProveTree(old, size) },
		HTTP: &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: 5 * time.Second,
			DialContext: (&net.Dialer{Timeout: 3 * time.Second}).DialContext, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute,
			MaxResponseHeaderBytes: 16 << 10, ForceAttemptHTTP2: true,
		}},
	}
	for _, w := range p.Asked() {
		a.health = append(a.health, api.WitnessHealth{Name: w.Name})
	}
	return a, nil
}

// run asks about each new checkpoint, and again when the log stands still.
func (a *asking) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last []byte // text of the checkpoint of the last round
	var at time.Time
	for {
		renewed := a.node.Renewed()
		note := a.node.Newest()
		text, _, _ := bytes.Cut(note, []byte("\n\n"))
		if note != nil && (!bytes.Equal(text, last) || time.Since(at) >= askIdle) {
			a.round(ctx, note)
			last, at = text, time.Now()
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(askPause):
			}
			continue
		}
		timer.Reset(askIdle)
		select {
		case <-ctx.Done():
			return nil
		case <-renewed:
		case <-timer.C:
		}
	}
}

// round asks every witness once and hands the checkpoint back with what came.
func (a *asking) round(ctx context.Context, note []byte) {
	note = a.ask.Policy.Carry(note, a.node.LastWitnessed())
	got, answers := a.ask.Ask(ctx, note)
	if ctx.Err() != nil {
		return
	}
	_, err := a.ask.Policy.Check(got)
	if err == nil {
		err = a.node.Witnessed(got)
	}
	a.note(answers, err)
}

func (a *asking) note(answers []witness.Answer, err error) {
	now := a.clock().UTC()
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, x := range answers {
		h := &a.health[i]
		if x.Err == nil {
			*h = api.WitnessHealth{Name: h.Name, At: x.At}
			continue
		}
		if h.FailingSince.IsZero() {
			h.FailingSince = now
			a.log.Warn("witness does not cosign", slog.String("witness", h.Name), slog.Any("error", x.Err))
		}
		h.Problem = reason(x.Err)
	}
	if err == nil {
		a.met, a.failing, a.problem = now, time.Time{}, ""
		return
	}
	if a.failing.IsZero() {
		a.failing = now
	}
	a.problem = reason(err)
}

func (a *asking) status(s *api.WitnessStatus) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.Asked = append(s.Asked, a.health...)
	s.Met, s.Failing, s.Problem = a.met, a.failing, a.problem
}
