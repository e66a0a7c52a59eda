//go:build !race

package audit_test

import (
	"github.com/cordon-project/cordon/cluster/audit/liestest"
)

func someLies() []liestest.Lie          { return liestest.Lies() }
func someHistories() []liestest.History { return liestest.Histories() }
