package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/appliance"
)

func pinCommand() *cobra.Command {
	var o ordering
	var hotline string
	c := &cobra.Command{
		Use:   "pin",
		Short: "Add a hotline to the running cluster (two officers)",
		Long: "Add a hotline that cluster.json does not name: from then on its lists come into force as those of the others do, verified from this root.\n" +
			"ROOT.json is the 1.root.json that its authority signed; compare its SHA-256, which the order shows, with what the authority says. Where the hotline\n" +
			"publishes is in each control node's control.yaml (hotlines), before or after. Auditors fail the cluster until their own trust file names the\n" +
			"hotline too (cordon-audit trust). There is no command that takes a pin back: a hotline whose charter has ended brings nothing new." + twoSteps,
		Example: "  cordon pin --hotline hotline-two,1.root.json --officer ada --officer grace --reason 'other(second hotline)'",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			part, err := split("--hotline", hotline, 2)
			if err != nil {
				return usage(c, fmt.Errorf("%w: ID,ROOT.json", err))
			}
			op, err := o.open(c)
			if err != nil {
				return err
			}
			root, err := os.ReadFile(part[1])
			if err != nil {
				return appliance.BadInput(fmt.Errorf("--hotline %s: its root: %w", part[0], err))
			}
			return o.print(op.Pin(c.Context(), o.r, part[0], root))
		},
	}
	o.flags(c, "1d")
	c.Flags().StringVar(&hotline, "hotline", "", "ID,ROOT.json of the hotline")
	return c
}
