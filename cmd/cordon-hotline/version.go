package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cluster/audit/program"
	"github.com/cordon-project/cordon/resolver/canon"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version, this program's own digest and the canonicalisation rules it was built with",
		Example: "  cordon-hotline version",
		Args:    cobra.NoArgs,
		RunE: does(func(c *cobra.Command, _ []string) error {
			own, err := program.Self()
			if err == nil {
				_, err = fmt.Fprintf(c.OutOrStdout(), "%vcanonicalisation %s\n", own, canon.RuleSet())
			}
			return err
		}),
	}
}
