package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/match/locked"
)

// epoch names the keys of one list and epoch.
type epoch struct {
	list match.ListID
	n    uint32
}

// maxKeys bounds the keys in memory: every list in force with a staged
// successor of another epoch. When it is reached the ones not in force go.
const maxKeys = 4 * audit.MaxLists

// EpochKeys are the unwrapped keys of a list in force (or of its staged
// successor), in locked memory only: after a restart they are unwrapped again
// from the stored key file, which is sealed to the cluster key. ErrKeys when
// they cannot be had. The caller closes them and does not change them.
func (n *Node) EpochKeys(list match.ListID, number uint32) (trust.EpochKeys, error) {
	if k, ok := n.keptKeys(list, number); ok {
		return k, nil
	}
	l, ok := n.inForce().List(list)
	if !ok || l.Epoch != number {
		return trust.EpochKeys{}, fmt.Errorf("keys of list %s epoch %d: not in force: %w", list, number, ErrKeys)
	}
	t, err := n.target(l)
	if err != nil {
		return trust.EpochKeys{}, fmt.Errorf("keys of list %s epoch %d: %w: %w", list, number, ErrKeys, err)
	}
	k, err := n.unwrap(t)
	if err != nil {
		return trust.EpochKeys{}, fmt.Errorf("keys of list %s epoch %d: %w", list, number, err)
	}
	n.keepKeys(k)
	return k, nil
}

// keptKeys is one more share of keys in memory.
func (n *Node) keptKeys(list match.ListID, number uint32) (trust.EpochKeys, bool) {
	n.keyMu.Lock()
	defer n.keyMu.Unlock()
	k, ok := n.keys[epoch{list, number}]
	if !ok {
		return trust.EpochKeys{}, false
	}
	return k.Share(), true
}

// keepKeys keeps a share of keys until their epoch has gone out of force.
func (n *Node) keepKeys(k trust.EpochKeys) {
	defer locked.Erase()
	n.releaseKeys()
	at := epoch{k.List, k.Epoch}
	n.keyMu.Lock()
	defer n.keyMu.Unlock()
	if n.keys == nil {
		return // closed meanwhile
	}
	if old, ok := n.keys[at]; ok {
		old.Close()
	}
	n.keys[at] = k.Share()
	if m := k.Mode(); m == locked.Plain && !n.weakMemory {
		n.weakMemory = true
		n.log.Warn("list keys are in memory that may be swapped: allow this process to lock memory (LimitMEMLOCK=8M in its unit)", slog.String("memory", m.String()))
	}
}

// releaseKeys closes what no list needs any more: keys of epochs before the
// one in force. A staged successor's epoch is later, and stays.
func (n *Node) releaseKeys() {
	force := n.inForce()
	n.keyMu.Lock()
	defer n.keyMu.Unlock()
	for e, k := range n.keys {
		l, ok := force.List(e.list)
		if ok && e.n < l.Epoch || len(n.keys) >= maxKeys && (!ok || l.Epoch != e.n) {
			k.Close()
			delete(n.keys, e)
		}
	}
}

// dropKeys ends all of this node's shares.
func (n *Node) dropKeys() {
	n.keyMu.Lock()
	defer n.keyMu.Unlock()
	for _, k := range n.keys {
		k.Close()
	}
	n.keys = nil
}

// unwrap opens the key file of a list version with the cluster key. ErrKeys:
// there is none for this cluster, or it is not what it should be. It does not
// look at keys in memory: a version without a key file would be lost to this
// node at its next restart.
func (n *Node) unwrap(t trust.ListTarget) (trust.EpochKeys, error) {
	none := trust.EpochKeys{}
	for _, f := range t.Keys {
		if f.Cluster != n.id {
			continue
		}
		if f.Length > trust.MaxWrappedKeys {
			return none, fmt.Errorf("key file of %d bytes: %w", f.Length, ErrKeys)
		}
		b, err := n.c.Files.ReadFile(f.SHA256)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fetch.ErrHash) {
			return none, fmt.Errorf("%w: %w", ErrKeys, err)
		} else if err != nil {
			return none, err
		}
		e, err := trust.UnwrapKeys(b, n.c.Identity)
		if err != nil {
			return none, fmt.Errorf("%w: %w", ErrKeys, err)
		}
		if e.List != t.List || e.Epoch != t.Epoch {
			e.Close()
			return none, fmt.Errorf("key file is of another list or epoch: %w", ErrKeys)
		}
		return e, nil
	}
	return none, fmt.Errorf("no key file for this cluster: %w", ErrKeys)
}

// noteKeys raises, or clears, the alarm about a member that cannot open a
// list's keys, by its verdict. With no key file for this cluster at all it is
// the hotline's mistake, and the refusal says so.
func (n *Node) noteKeys(member string, t trust.ListTarget, result string) {
	cause := AlarmKeys + "/" + member
	switch {
	case result == audit.ResultOK:
		n.clear(cause)
	case result == BrakeKeys && slices.ContainsFunc(t.Keys, func(k trust.KeyFile) bool { return k.Cluster == n.id }):
		text := fmt.Sprintf("%s cannot open the keys of list %s version %d: check that its cluster.agekey is the same as on the other members; if no member can open them, the hotline sealed them for another cluster",
			member, t.List, t.Seq)
		n.raise(cause, AlarmKeys, text)
		n.log.Warn("member cannot open a list's keys", slog.String("member", member), slog.String("problem", text))
	}
}

// checkIdentity raises the same alarm about this node when its cluster key is
// not the one that hotlines seal keys for.
func (n *Node) checkIdentity() error {
	defer locked.Erase()
	probe := trust.EpochKeys{List: "probe/probe", Epoch: 1, Keys: new(match.Keys)}
	b, err := trust.WrapKeys(probe, n.c.Cluster.Recipient)
	if err != nil {
		return err
	}
	k, err := trust.UnwrapKeys(b, n.c.Identity)
	if err == nil {
		return k.Close()
	}
	text := n.c.Name + " cannot open the keys of any list: its cluster.agekey is not the one whose recipient the cluster file names; copy it from another member and start again"
	n.raise(AlarmKeys+"/"+n.c.Name, AlarmKeys, text)
	n.log.Error("this node cannot open a list's keys", slog.String("problem", text), slog.Any("error", err))
	return nil
}

// target is what the hotline signed about a list version in force.
func (n *Node) target(l audit.InForceList) (trust.ListTarget, error) {
	n.keyMu.Lock()
	t, ok := n.targets[l.Metadata][l.List]
	n.keyMu.Unlock()
	if ok {
		return t, nil
	}
	lists, err := n.targetsOf(l)
	if err != nil {
		return trust.ListTarget{}, err
	}
	n.keyMu.Lock()
	defer n.keyMu.Unlock()
	if len(n.targets) >= maxKeys {
		clear(n.targets)
	}
	n.targets[l.Metadata] = lists
	t, ok = lists[l.List]
	if !ok || t.Seq != l.Seq {
		return trust.ListTarget{}, fmt.Errorf("metadata of list %s has no seq %d", l.List, l.Seq)
	}
	return t, nil
}

func (n *Node) targetsOf(l audit.InForceList) (map[match.ListID]trust.ListTarget, error) {
	raw, leafBytes, roots, err := n.proofOf(l)
	if err != nil {
		return nil, err
	}
	leaf, err := audit.DecodeLeaf(leafBytes)
	if err != nil {
		return nil, err
	}
	m, err := trust.DecodeMetadata(raw)
	if err != nil {
		return nil, err
	}
	root, err := roots.Start(m)
	if err != nil {
		return nil, err
	}
	v, err := trust.Verify(root, trust.HighWater{}, m, time.Unix(leaf.T, 0).UTC())
	if err != nil {
		return nil, err
	}
	lists := map[match.ListID]trust.ListTarget{}
	for _, t := range v.Lists {
		lists[t.List] = t
	}
	return lists, nil
}

// proofOf finds a list's metadata, its publish leaf and its hotline's roots:
// in this replica's state, or in the manifest it kept on disk.
func (n *Node) proofOf(l audit.InForceList) (metadata, leaf []byte, roots trust.Roots, err error) {
	view := n.fsm.view()
	if now, ok := view.InForce.List(l.List); ok && now.Leaf == l.Leaf {
		metadata, err = view.Metadata(l.Metadata)
		if err == nil {
			leaf, err = view.Tree().Leaf(l.Leaf)
		}
		return metadata, leaf, view.Roots(l.Hotline), err
	}
	if p := n.published(); p != nil {
		for i, kept := range p.inForce.Lists {
			if kept.List == l.List && kept.Leaf == l.Leaf && i < len(p.base.Lists) {
				roots, err = view.Roots(l.Hotline).Follow(p.base.Lists[i].Roots)
				return p.base.Lists[i].Metadata, p.base.Lists[i].Leaf, roots, err
			}
		}
	}
	return nil, nil, roots, fmt.Errorf("leaf %d of list %s is not here", l.Leaf, l.List)
}

// inForce is the newest this node knows to be in force: its replica's, or,
// after a restart that lost the end of the log, that of the manifest it kept.
func (n *Node) inForce() audit.InForce {
	view := n.fsm.view()
	if p := n.published(); p != nil && p.size > view.Size {
		return p.inForce
	}
	return view.InForce
}
