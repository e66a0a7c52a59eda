package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/operator"
	"github.com/cordon-project/cordon/appliance/operator/report"
)

// policyFile reads a witness policy and refuses a bad one by its line, before anything is made of it.
func policyFile(flag, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err == nil {
		err = operator.CheckWitnessPolicy(string(b))
	}
	if err != nil {
		return "", appliance.BadInput(fmt.Errorf("%s %s: %w", flag, path, err))
	}
	return string(b), nil
}

func witnessCommand() *cobra.Command {
	var profile string
	var hybrid bool
	c := &cobra.Command{
		Use:   "witness",
		Short: "Print what others need to have this cluster witness their log, or to witness this cluster's",
		Long: `Print what others need:
  lines for a witness policy (C2SP tlog-policy): each control node of this cluster is a witness by itself, at its API address;
  the keys of this cluster's own log, for those who are to witness it.
Give them ca.crt of this cluster as well: their servers check this cluster's certificates with it. A control node watches the logs in
its control.yaml (witness: logs:) and the public logs of the hotlines in force.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := operator.Open(profile)
			if err != nil {
				return err
			}
			return report.WitnessPolicy(stdout, stderr, o.Status(c.Context()), hybrid)
		},
	}
	profileFlag(c, &profile)
	c.Flags().BoolVar(&hybrid, "ml-dsa", false, "ask for the ML-DSA-44 cosignature of each node too (1.8 KB a key)")
	return c
}

func proveCommand() *cobra.Command {
	var profile, out string
	c := &cobra.Command{
		Use:   "prove LEAF",
		Short: "Write a proof that one record is in the log, which anybody can check offline (C2SP tlog-proof)",
		Long:  "Write a proof that one record is in the log. It holds the record, the checkpoint with its cosignatures, and the path between; anybody who has the trust file checks it offline with cordon-audit proof.",
		Args:  oneArg("the number of the record, as cordon-audit show and cordon print it"),
		RunE: func(c *cobra.Command, args []string) error {
			leaf, err := strconv.ParseUint(args[0], 10, 63)
			if err != nil {
				return usage(c, fmt.Errorf("%q is not the number of a record", args[0]))
			}
			if out == "" {
				out = fmt.Sprintf("leaf-%d.tlog-proof", leaf)
			}
			o, err := operator.Open(profile)
			if err != nil {
				return err
			}
			if err := o.Prove(c.Context(), leaf, out); err != nil {
				return err
			}
			fmt.Fprintf(stdout, "Wrote %s. Anybody checks it with: cordon-audit proof --trust TRUST.json %s\n", out, out)
			return nil
		},
	}
	profileFlag(c, &profile)
	c.Flags().StringVarP(&out, "out", "o", "", "file to write (default leaf-LEAF.tlog-proof)")
	return c
}
