package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/appliance/operator"
)

func figuresCommand() *cobra.Command {
	var profile, from, to, out string
	var asJSON bool
	c := &cobra.Command{
		Use:   "figures",
		Short: "Add up how often edges stopped listed names, from numbers that are made to be published",
		Long: `Add up how often edges stopped listed names: per list and legal basis, from what edges handed in for each hour. Each edge has added noise to
its numbers before they left its memory, and hidden those below 20; nobody has the true ones. The noise hides a single answer (epsilon 1/4
each), not a person: who asked often enough is in the number often enough. --out writes the signed statements for auditors
(cordon-audit figures).`,
		Example: "  cordon figures --from 2026-01-01 --to 2026-03-31 --out figures.cbor",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			begin, err := parseDay(from, 0)
			if err != nil {
				return usage(c, fmt.Errorf("--from: %w", err))
			}
			end, err := parseDay(to, 1)
			if err != nil {
				return usage(c, fmt.Errorf("--to: %w", err))
			}
			if !begin.Before(end) {
				return usage(c, fmt.Errorf("--to is before --from"))
			}
			o, err := operator.Open(profile)
			if err != nil {
				return err
			}
			sum, missing, err := o.Figures(c.Context(), begin, end, out)
			if err != nil {
				return err
			}
			for _, m := range missing {
				fmt.Fprintln(stderr, "cordon: not in the sum: control node", m)
			}
			if asJSON {
				return printJSON(sum)
			}
			return sum.WriteText(stdout)
		},
	}
	profileFlag(c, &profile)
	f := c.Flags()
	f.StringVar(&from, "from", "", "first day (2026-01-01, in UTC, or a time)")
	f.StringVar(&to, "to", "", "last day, or the time at which it ends")
	f.StringVarP(&out, "out", "o", "", "file for the signed statements")
	f.BoolVar(&asJSON, "json", false, "print the sums as JSON")
	return c
}
