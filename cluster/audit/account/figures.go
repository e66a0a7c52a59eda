package account

import (
	"fmt"
	"strings"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/figures"
)

// CheckFigures: the figures given beside the bundle are what edges signed.
const CheckFigures = "figures"

// AddFigures takes in figures that the operator published, added up by whoever calls, and what is wrong with statements that are not in the
// sum; with any of those the account does not pass.
func (d *Document) AddFigures(sum *figures.Sum, bad []string) {
	c := audit.Check{Name: CheckFigures, Pass: len(bad) == 0, Detail: fmt.Sprintf("%d statements, each signed by its edge", sum.Hours)}
	for _, why := range bad {
		c.Causes = append(c.Causes, audit.Escape(why))
	}
	if !c.Pass {
		c.Detail, d.Pass = c.Causes[0], false
	}
	d.Checks = append(d.Checks[:len(d.Checks):len(d.Checks)], c)
	d.Figures = sum
	var text strings.Builder
	if err := sum.WriteText(&text); err != nil {
		panic(fmt.Sprintf("account: write to memory: %v", err))
	}
	d.Parts = append(d.Parts, Part{
		Title:  "How often it was used",
		Source: "Figures that edges published: answers for listed names, by list, legal basis and hour, with noise that each edge added itself. They are no part of the log.",
		Heads: []Heading{head("Figures", strings.Split(strings.TrimSpace(text.String()), "\n"), []string{
			"Who asked: no edge counts by subscriber. Whether an edge drew its noise as it should cannot be seen from outside.",
		})},
	})
}
