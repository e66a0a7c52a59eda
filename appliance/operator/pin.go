package operator

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Pin adds a hotline to the cluster, trusted from this root.json on.
func (o *Operator) Pin(ctx context.Context, r OrderRequest, hotline string, root []byte) (Decision, error) {
	if _, err := match.ParseListID(hotline + "/list"); err != nil {
		return Decision{}, appliance.BadInput(fmt.Errorf("--hotline: %.64q is no hotline's id: small letters, digits and hyphens inside, at most 31", hotline))
	}
	if len(root) > order.MaxDocument {
		return Decision{}, appliance.BadInput(fmt.Errorf("the root given for hotline %s has %d bytes, at most %d are pinned", hotline, len(root), order.MaxDocument))
	}
	if _, err := trust.PinRoot(root); err != nil {
		return Decision{}, appliance.BadInput(fmt.Errorf("the root given for hotline %s cannot be trusted (%w); take the 1.root.json that the authority signed", hotline, err))
	}
	st, err := o.Newest(ctx)
	if err != nil {
		return Decision{}, err
	}
	if slices.ContainsFunc(st.Node.Known, func(h cluster.KnownHotline) bool { return string(h.ID) == hotline }) {
		return Decision{}, appliance.BadInput(fmt.Errorf("hotline %s is known to this cluster already; when its authority has new keys, its own repository brings them", hotline))
	}
	spec, err := trust.ReadRoot(root)
	if err == nil && spec.Development && !st.Node.Development {
		err = errors.New("it is of a throw-away authority; a real cluster needs a real one")
	}
	if err != nil {
		return Decision{}, appliance.BadInput(fmt.Errorf("the root given for hotline %s: %w", hotline, err))
	}
	return o.decide(ctx, r, st, order.Pin{Hotline: trust.HotlineID(hotline), Root: sha256.Sum256(root), Document: root})
}
