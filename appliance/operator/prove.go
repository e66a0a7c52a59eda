package operator

import (
	"context"
	"fmt"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/appliance/api"
)

// Prove writes a C2SP tlog-proof of one leaf to path, from the first control node that gives it.
func (o *Operator) Prove(ctx context.Context, leaf uint64, path string) error {
	var b []byte
	err := o.first(ctx, func(ctx context.Context, c *api.Client) (err error) {
		b, err = c.Proof(ctx, leaf)
		return err
	})
	if err != nil {
		return fmt.Errorf("prove leaf %d: %w", leaf, err)
	}
	if err := renameio.WriteFile(path, b, 0o644); err != nil {
		return fmt.Errorf("write proof: %w", err)
	}
	return nil
}
