package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/listsync/witness"
)

// gossiper asks one other operator's node what it has seen.
type gossiper struct {
	url    string
	client *api.Client
	clock  func() time.Time

	mu sync.Mutex // guards h
	h  api.PeerHealth
}

// gossipEvery is how often another operator's node is asked.
const gossipEvery = 20 * time.Second

func (g *gossiper) run(ctx context.Context, w *witnessing) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		g.look(ctx, w)
		timer.Reset(gossipEvery)
	}
}

// look compares what the other has seen with what this node has: checkpoints of logs that it can verify, and no others.
func (g *gossiper) look(ctx context.Context, w *witnessing) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	notes, err := g.client.Seen(ctx)
	if err == nil {
		err = compare(notes, w.known, func(l witness.Log, note []byte) error { return w.seen.Add(l, note, g.url) })
	}
	now := g.clock().UTC()
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err == nil:
		g.h = api.PeerHealth{At: now}
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled):
	default:
		if g.h.FailingSince.IsZero() {
			g.h.FailingSince = now
		}
		g.h.Problem = reason(err)
	}
}

// Bounds of one answer: an honest node shows the newest checkpoints of some hundred logs, a few of each.
const (
	maxShown      = 1024
	maxShownOfOne = 8
)

// compare adds the notes of logs that are known. What is wrong with some is one error, however many they are: it stands in the status, and a
// stranger does not fill a log with it.
func compare(notes [][]byte, known func(origin string) (witness.Log, bool), add func(witness.Log, []byte) error) error {
	if len(notes) > maxShown {
		return fmt.Errorf("it shows %d checkpoints, at most %d are compared", len(notes), maxShown)
	}
	of := map[string]int{}
	var first error
	bad := 0
	for _, n := range notes {
		origin, err := witness.Origin(n)
		if err != nil {
			continue
		}
		l, ok := known(origin)
		if of[origin]++; !ok || of[origin] > maxShownOfOne {
			continue
		}
		if err := add(l, n); err != nil && !errors.Is(err, witness.ErrFork) {
			bad++
			first = cmp.Or(first, err)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of the checkpoints it shows cannot be taken, the first: %w", bad, first)
	}
	return nil
}

func (g *gossiper) health() api.PeerHealth {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.h
	h.URL = g.url
	return h
}

// reason is an error of the network in bounded words.
func reason(err error) string {
	text := strings.ToValidUTF8(err.Error(), "?")
	var op *net.OpError
	if errors.As(err, &op) {
		text = op.Error()
	}
	if len(text) > 300 {
		text = text[:297] + "..."
	}
	return text
}
