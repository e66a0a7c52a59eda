package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
)

// Register has an appeal or a decision on one recorded, as this operator has handed it in. It returns the number of its leaf. An error is
// ErrRefused with *state.Refusal, or nothing was decided; see Propose. What was recorded before in the same words is no error: again is true.
func (n *Node) Register(ctx context.Context, by string, act audit.Act) (leaf uint64, again bool, err error) {
	a := audit.NewAdmin(by, n.c.Name, act)
	if _, err := audit.DecodeAdmin(a.Act, a.By, a.Node, a.D); err != nil {
		return 0, false, fmt.Errorf("%w: %w: %w", ErrRefused, ErrRequest, err)
	}
	res, err := n.Propose(ctx, command.Command{Body: command.Admin{Act: a.Act, By: a.By, Node: a.Node, D: a.D}})
	if err == nil {
		err = refused(a.Act, res)
	}
	if err != nil {
		return 0, false, err
	}
	return res.Leaf, res.Duplicate, nil
}

const (
	// maxBuildQueue bounds the nodes whose statement waits for the log; one that finds it full comes again with the edge's next request.
	maxBuildQueue = 4096
	// buildEvery spaces this node's tries to have its own program recorded.
	buildEvery = time.Minute
)

// AddBuild takes what an edge says of its program. What the log has already is nothing new; what it would not take is ErrRefused; ErrBusy, to
// be repeated later, when too many wait.
func (n *Node) AddBuild(s audit.SignedBuild) error {
	view := n.fsm.view()
	again, err := view.Register.CheckBuild(n.id, view.Key, view.Time, s)
	if again {
		return nil
	}
	if err != nil {
		return fmt.Errorf("build: %w: %w", ErrRefused, err)
	}
	b, err := s.Build()
	if err != nil {
		return fmt.Errorf("build: %w: %w", ErrRefused, err)
	}
	n.buildMu.Lock()
	defer n.buildMu.Unlock()
	key := b.Role + "/" + b.Name
	if _, there := n.builds[key]; !there && len(n.builds) >= maxBuildQueue {
		return fmt.Errorf("build of %s: %w", b.Name, ErrBusy)
	}
	if n.builds == nil {
		n.builds = map[string]audit.SignedBuild{}
	}
	n.builds[key] = s
	return nil
}

// sayBuilds has recorded which programs this node and edges run, each when it is another one than the log has.
func (n *Node) sayBuilds(ctx context.Context) {
	tick := time.NewTicker(n.c.Timeouts.Receipts)
	defer tick.Stop()
	var tried time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now := n.c.Clock(); now.Sub(tried) >= buildEvery || tried.After(now) {
			if n.ownBuild() {
				tried = now
			}
		}
		n.sendBuilds(ctx)
	}
}

// ownBuild queues this node's own statement when it is due.
func (n *Node) ownBuild() bool {
	p := n.c.Program
	if p.Digest == ([32]byte{}) {
		return false
	}
	s := audit.SignBuild(audit.Build{
		Cluster: n.id, Role: audit.RoleControl, Name: n.c.Name, Program: p.Name, Version: p.Version, Digest: p.Digest, Time: n.c.Clock().Unix(),
	}, n.c.Key)
	if err := n.AddBuild(s); err != nil {
		n.log.Warn("own program not recorded", slog.Any("error", err))
	}
	return true
}

// sendBuilds proposes what waits, at most a leaf of it.
func (n *Node) sendBuilds(ctx context.Context) {
	n.buildMu.Lock()
	var items []audit.SignedBuild
	for _, s := range n.builds {
		if items = append(items, s); len(items) == audit.MaxBuilds {
			break
		}
	}
	n.buildMu.Unlock()
	if len(items) == 0 {
		return
	}
	a := audit.NewAdmin("", n.c.Name, audit.Builds{Items: items})
	res, err := n.Propose(ctx, command.Command{Body: command.Admin{Act: a.Act, Node: a.Node, D: a.D}})
	if err != nil {
		return // nothing is decided: they wait
	}
	if res.Err != nil {
		n.log.WarnContext(ctx, "programs of nodes not recorded", slog.Int("count", len(items)), slog.Any("error", res.Err))
	}
	n.buildMu.Lock()
	defer n.buildMu.Unlock()
	for _, s := range items {
		b, err := s.Build()
		if err != nil {
			continue
		}
		if have, ok := n.builds[b.Role+"/"+b.Name]; ok && string(have.Body) == string(s.Body) {
			delete(n.builds, b.Role+"/"+b.Name)
		}
	}
}

// AlarmAppeals: appeals that should have been decided.
const AlarmAppeals = "appeals"

// registerConditions are the alarms that come from the register.
func registerConditions(view *state.View, now time.Time) []Alarm {
	late := view.Register.Overdue(now.Unix())
	if len(late) == 0 {
		return nil
	}
	since := late[0].Due
	for _, a := range late {
		since = min(since, a.Due)
	}
	return []Alarm{{AlarmAppeals, fmt.Sprintf("%d of %d open appeals are not decided in their time (cordon appeal list --overdue)", len(late), view.Register.Open), time.Unix(since, 0).UTC()}}
}
