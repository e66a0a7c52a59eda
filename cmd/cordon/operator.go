package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/appliance/operator"
	"github.com/cordon-project/cordon/appliance/operator/report"
)

// errNeedsAttention is status' exit code 1, after the report has said why.
var errNeedsAttention = errors.New("something needs attention")

func profileFlag(c *cobra.Command, profile *string) {
	name := os.Getenv("CORDON_PROFILE")
	if name == "" {
		name = "profile.json"
	}
	c.Flags().StringVar(profile, "profile", name, "profile.json of cordon init, or dev.json of cordon dev (also by $CORDON_PROFILE)")
}

func statusCommand() *cobra.Command {
	var profile string
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Say what is wrong and since when, what is in force, how every node is",
		Long:  "Say what is wrong and since when, what is in force, how every node is. Exit code 0 when all is well, 1 when something needs attention.",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := operator.Open(profile)
			if err != nil {
				return err
			}
			nodes, now := o.Status(c.Context()), time.Now()
			if asJSON {
				enc := json.NewEncoder(stdout)
				enc.SetIndent("", "  ")
				if err := enc.Encode(nodes); err != nil {
					return err
				}
			} else {
				report.Status(stdout, nodes, now)
			}
			if !report.Healthy(nodes, now) {
				return errNeedsAttention
			}
			return nil
		},
	}
	profileFlag(c, &profile)
	c.Flags().BoolVar(&asJSON, "json", false, "print the nodes' answers as JSON")
	return c
}

func bundleCommand() *cobra.Command {
	var profile, out string
	var all bool
	c := &cobra.Command{
		Use:   "bundle",
		Short: "Write everything an auditor verifies into one file: log, metadata, lists, receipts; no key, no name",
		Long: `bundle writes the log, the hotlines' metadata and the files of the lists in force: all that an auditor needs to check everything that
ever came into force here, and the contents of what is in force now. With --all it has the files of every version there ever was,
most of them as what changed since the version before.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" {
				return usage(c, fmt.Errorf("--out is needed: the file to write"))
			}
			o, err := operator.Open(profile)
			if err != nil {
				return err
			}
			if err := o.Bundle(c.Context(), out, all); err != nil {
				return err
			}
			how := ""
			if all {
				how = "--all "
			}
			fmt.Fprintf(stdout, "Wrote %s. An auditor verifies it with: cordon-audit verify --trust TRUST.json %s%s\n", out, how, out)
			return nil
		},
	}
	profileFlag(c, &profile)
	c.Flags().StringVarP(&out, "out", "o", "", "file to write")
	c.Flags().BoolVar(&all, "all", false, "with the files of every list version, not only of those in force")
	return c
}
