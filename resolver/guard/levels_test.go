package guard

import "testing"

// Who has met as many entries as a small budget says is within it; a large one counts to a few percent.
func TestABudgetIsNotExceededByItsLastEntry(t *testing.T) {
	for _, budget := range []int{1, 2, 3, 8} {
		s := newSources(budget)
		if within, above := s.levels[budget], s.levels[budget+1]; within != 0 || above != 1 {
			t.Errorf("budget %d: level %d after as many entries, %d after one more; want 0 and 1", budget, within, above)
		}
	}
}
