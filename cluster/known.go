package cluster

import (
	"encoding/hex"
	"time"

	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust"
)

// KnownHotline is a hotline whose lists may come into force.
type KnownHotline struct {
	ID    trust.HotlineID `json:"id"`
	Order uint64          `json:"order,omitempty"` // number of the order that pinned it; 0 for those of the cluster file
	Root  string          `json:"root,omitempty"`  // SHA-256 of the root that it pinned, hex
	Since time.Time       `json:"since,omitzero"`
	Leaf  uint64          `json:"leaf,omitempty"`
}

func knownHotlines(view *state.View) []KnownHotline {
	out := []KnownHotline{}
	for _, h := range view.Hotlines {
		k := KnownHotline{ID: h.ID}
		if p, ok := view.Orders.Pinned(h.ID); ok {
			k.Order, k.Root, k.Since, k.Leaf = p.Number, hex.EncodeToString(p.Root[:]), time.Unix(p.Since, 0).UTC(), p.Leaf
		}
		out = append(out, k)
	}
	return out
}
