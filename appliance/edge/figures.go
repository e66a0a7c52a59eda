package edge

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster/audit/figures"
	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/match"
)

// reporter makes an edge's figures: at the end of each hour it takes what was counted in it, adds noise, and hands the statement to a control
// node. What was counted is in memory only and goes nowhere else; an hour in which the process ends has no statement, or one of its rest.
type reporter struct {
	cluster, name string
	key           crypto.Signer
	counts        func() []resolver.ListCount
	controls      []*api.Client
	clock         func() time.Time
	random        io.Reader
	log           *slog.Logger

	// owned by run
	hour    int64 // that is being counted, unix seconds
	since   int64 // when counting began in it
	before  map[countKey]uint64
	waiting []figures.Signed // not handed in yet, oldest first
}

type countKey struct {
	list  match.ListID
	basis match.Basis
}

// reportEvery is how often the reporter looks whether an hour has ended.
const reportEvery = time.Minute

func (r *reporter) run(ctx context.Context) {
	r.begin()
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := r.look(); err != nil {
			r.log.ErrorContext(ctx, "no figures of this hour", slog.Any("error", err))
		}
		r.send(ctx)
	}
}

func (r *reporter) begin() {
	now := r.clock().Unix()
	r.hour, r.since, r.before = now-now%figures.Hour, now, map[countKey]uint64{}
	for _, c := range r.counts() {
		r.before[countKey{c.List, c.Basis}] = c.N
	}
	if r.random == nil {
		r.random = rand.Reader
	}
}

// look makes the statement of an hour that has ended. A clock that was set back makes none: an hour gets noise once.
func (r *reporter) look() error {
	now := r.clock().Unix()
	hour := now - now%figures.Hour
	if hour <= r.hour {
		return nil
	}
	ended, seconds := r.hour, min(r.hour+figures.Hour-r.since, figures.Hour)
	var rows []figures.Count
	for _, c := range r.counts() {
		k := countKey{c.List, c.Basis}
		rows = append(rows, figures.Count{List: c.List, Basis: c.Basis, N: c.N - r.before[k]})
		r.before[k] = c.N
	}
	r.hour, r.since = hour, hour
	s, err := figures.New(r.cluster, r.name, ended, max(seconds, 1), rows, r.key, r.random)
	if err != nil {
		return err
	}
	if r.waiting = append(r.waiting, s); len(r.waiting) > api.FigureHours {
		r.waiting = r.waiting[len(r.waiting)-api.FigureHours:]
	}
	return nil
}

// send hands in what waits, the same bytes until a node has taken them.
func (r *reporter) send(ctx context.Context) {
	for len(r.waiting) > 0 {
		done := false
		for _, c := range r.controls {
			ctx, cancel := context.WithTimeout(ctx, pollTimeout)
			err := c.AddFigures(ctx, r.waiting[0])
			cancel()
			var said *api.AnswerError
			if done = err == nil || errors.As(err, &said) && said.Code < 500; done {
				if err != nil {
					r.log.WarnContext(ctx, "figures not taken", slog.Any("error", err))
				}
				break
			}
		}
		if !done {
			return
		}
		r.waiting = r.waiting[1:]
	}
}
