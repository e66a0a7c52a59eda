package operator

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/analysts"
	"github.com/cordon-project/cordon/cluster/audit/order"
)

// Exempt lets lists not be enforced towards the prefixes of a file, or with no file ends that.
func (o *Operator) Exempt(ctx context.Context, r OrderRequest, file []byte) (Decision, error) {
	st, err := o.Newest(ctx)
	if err != nil {
		return Decision{}, err
	}
	if file == nil {
		if st.Node.Orders.Exempt == nil {
			return Decision{}, appliance.BadInput(errors.New("nobody is exempt: lists are enforced towards everybody"))
		}
		return o.decide(ctx, r, st, order.Exempt{Lift: true})
	}
	prefixes, err := analysts.Read(file)
	if err != nil {
		return Decision{}, appliance.BadInput(fmt.Errorf("--file: %w", err))
	}
	return o.decide(ctx, r, st, order.Exempt{Hash: sha256.Sum256(file), Count: uint64(len(prefixes))})
}
