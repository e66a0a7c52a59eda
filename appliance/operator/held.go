package operator

import (
	"context"
	"errors"
	"fmt"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/resolver/match"
)

// ErrHeld: a brake holds a version back, or would; the report has said which.
var ErrHeld = errors.New("held back by a brake")

// Held asks what brakes hold back, and why.
func (o *Operator) Held(ctx context.Context) (held []api.Held, err error) {
	err = o.first(ctx, func(ctx context.Context, c *api.Client) error {
		held, err = c.Held(ctx)
		return err
	})
	return held, err
}

// Simulate asks what the versions that hotlines publish now would change; an empty list means all lists.
func (o *Operator) Simulate(ctx context.Context, list string) (all []api.Simulated, err error) {
	if list != "" {
		if _, err := match.ParseListID(list); err != nil {
			return nil, appliance.BadInput(fmt.Errorf("--list is not HOTLINE/LIST, such as hotline-one/main"))
		}
	}
	err = o.first(ctx, func(ctx context.Context, c *api.Client) error {
		all, err = c.Simulate(ctx, match.ListID(list))
		return err
	})
	return all, err
}

// Stands is nil when all versions are in force or would come into force, ErrHeld when one would be held back or refused.
func Stands(all []api.Simulated) error {
	for _, s := range all {
		switch {
		case s.Problem != "":
			return fmt.Errorf("list %s version %d cannot be checked", s.List, s.Seq)
		case s.Judgement != nil && s.Judgement.Result != audit.ResultOK:
			return ErrHeld
		}
	}
	return nil
}
