package order

import (
	"fmt"
	"strings"
)

// Describe says in one line what the order decides, for people who are about to sign it and for readers of the log. It holds no name of a
// list's entry: none is in an order.
func (o Order) Describe() string {
	switch b := o.Body.(type) {
	case Suppress:
		if b.Lift {
			return fmt.Sprintf("suppression lifted, order %d: back in force: %s of list %s", o.Number, count(len(b.Entries), "entry", "entries"), b.List)
		}
		return fmt.Sprintf("suppression %d: taken out of force until %s: %s of list %s", o.Number, stamp(o.Expires), count(len(b.Entries), "entry", "entries"), b.List)
	case Policy:
		return fmt.Sprintf("policy %d: lists are checked against the never-block list %x of %s", o.Number, b.NeverBlock[:8], count(int(b.Count), "name", "names"))
	case Approve:
		s := fmt.Sprintf("approval %d: list %s version %d, edge list %x, may come into force in spite of %s", o.Number, b.List, b.Seq, b.Edge[:8], strings.Join(b.Brakes, ", "))
		if len(b.Entries) > 0 {
			s += fmt.Sprintf(", for %s", count(len(b.Entries), "named entry", "named entries"))
		}
		return s + fmt.Sprintf(" (never-block list %x)", b.NeverBlock[:8])
	case Return:
		return fmt.Sprintf("return %d: list %s goes back to version %d, the newest being %d, without what later versions left out: %s",
			o.Number, b.List, b.Seq, b.High, count(len(b.Entries), "entry", "entries"))
	case Certificate:
		return b.describe(o.Number)
	case Pin:
		return b.describe(o.Number)
	case Exempt:
		return b.describe(o.Number, o.Expires)
	case Bypass:
		if b.Lift {
			return fmt.Sprintf("bypass ended, order %d: lists are enforced again", o.Number)
		}
		return fmt.Sprintf("bypass %d: EVERYTHING PASSES until %s", o.Number, stamp(o.Expires))
	}
	return ""
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
