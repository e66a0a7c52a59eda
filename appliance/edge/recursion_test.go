package edge

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/resolver/upstream/unbound"
)

func TestWhatAnEdgeSaysOfItsUnboundIsAWordThatControlNodesKnow(t *testing.T) {
	for want, s := range map[string]unbound.State{
		"starting": {}, "answering": {Answering: true},
		"missing": {Err: unbound.ErrMissing}, "anchor": {Err: fmt.Errorf("%w: gone", unbound.ErrAnchor)}, "refused": {Err: fmt.Errorf("%w: why", unbound.ErrRefused)},
		"silent": {Err: unbound.ErrSilent}, "blind": {Answering: true, Err: unbound.ErrBlind}, "ended": {Err: errors.New("anything else")},
	} {
		if got := recursion(s).State; got != want || !slices.Contains(api.RecursionStates, got) {
			t.Errorf("%+v is %q, want %q", s, got, want)
		}
	}
}
