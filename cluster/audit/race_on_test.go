//go:build race

package audit_test

import (
	"github.com/cordon-project/cordon/cluster/audit/liestest"
)

// Under the race detector a verification takes ten times as long, and all of them touch memory in the same few ways: there every eighth lie
// and every fourth honest history will do. Without it, in the same run of CI, all of them are told.
func someLies() []liestest.Lie          { return every(8, liestest.Lies()) }
func someHistories() []liestest.History { return every(4, liestest.Histories()) }

func every[T any](n int, all []T) (some []T) {
	for i := 0; i < len(all); i += n {
		some = append(some, all[i])
	}
	return some
}
