package cluster

import (
	"context"
	"fmt"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/lookup"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Lookup answers with proof whether a name is listed, in lists in force at the latest checkpoint. It keeps and logs nothing of the name, and
// its errors do not hold it. ErrKeys, ErrNotYet, ErrRequest for what is no name.
func (n *Node) Lookup(ctx context.Context, raw string) (lookup.Answer, error) {
	none := lookup.Answer{}
	name, err := lookup.Name(raw)
	if err != nil {
		return none, fmt.Errorf("lookup: %w: %w", err, ErrRequest)
	}
	m, err := n.Manifest(0)
	if err != nil {
		return none, err
	}
	force, err := audit.DecodeInForce(m.InForce)
	if err != nil {
		return none, fmt.Errorf("lookup: %w", err)
	}
	a := lookup.Answer{Manifest: m.Encode(), Lists: []lookup.List{}}
	for _, l := range force.Lists {
		if err := ctx.Err(); err != nil {
			return none, err
		}
		one, err := n.lookup(l, name)
		if err != nil {
			return none, fmt.Errorf("lookup: list %s version %d: %w", l.List, l.Seq, err)
		}
		a.Lists = append(a.Lists, one)
	}
	return a, nil
}

func (n *Node) lookup(l audit.InForceList, name string) (lookup.List, error) {
	keys, err := n.EpochKeys(l.List, l.Epoch)
	if err != nil {
		return lookup.List{}, err
	}
	defer keys.Close()
	b, closer, err := n.c.Files.Map(l.Edge)
	if err != nil {
		return lookup.List{}, err
	}
	defer func() { _ = closer.Close() }()
	e, err := list.OpenEdge(b)
	if err != nil {
		return lookup.List{}, err
	}
	return lookup.Of(e, name, func(name []byte) match.Digest { return keys.Keys.Digest(l.List, canon.ClassName, name) }), nil
}
