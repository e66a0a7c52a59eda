package operator

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster/audit"
)

// A refusal by the cluster stays in its log: what the register already says is told without asking for one.
func TestADecisionIsHeldAgainstTheRegisterFirst(t *testing.T) {
	open, done := audit.NewAppealRef(), audit.NewAppealRef()
	all := []api.Appeal{
		{Ref: open},
		{Ref: done, Outcome: audit.Outcomes[0], By: []string{"ada"}, At: time.Unix(1780000000, 0), Decided: 14},
	}
	if before, err := decided(all, open, audit.Outcomes[0]); before != nil || err != nil {
		t.Errorf("an open appeal: %+v, %v", before, err)
	}
	if before, err := decided(all, done, audit.Outcomes[0]); err != nil || before == nil || before.Leaf != 14 || !before.Again {
		t.Errorf("decided so before: %+v, %v", before, err)
	}
	if _, err := decided(all, done, audit.Outcomes[1]); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "leaf 14") {
		t.Errorf("decided otherwise before: %v", err)
	}
	var bad *appliance.InputError
	if _, err := decided(all, audit.NewAppealRef(), audit.Outcomes[0]); !errors.As(err, &bad) {
		t.Errorf("a reference that nobody registered: %v", err)
	}
}
