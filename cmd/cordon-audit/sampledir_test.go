package main

import "testing"

func TestABoundOfWhatNobodyHasReadIsNotQuotedFirst(t *testing.T) {
	for doubt, want := range []string{
		"at most 5.00 % of the entries are wrong, with 95 % confidence\n",
		"at most 40.00 % of the entries are wrong, with 95 % confidence; the 1 in doubt are counted as wrong\nat most 5.00 % if none of these turns out to be\n",
	} {
		if got := boundText(0.05, 0.4, 95, doubt); got != want {
			t.Errorf("%d in doubt: %q, want %q", doubt, got, want)
		}
	}
}
