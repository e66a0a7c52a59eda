package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/witness"
)

func proofCommand() *cobra.Command {
	var trustPath string
	var asJSON bool
	c := &cobra.Command{
		Use:   "proof --trust FILE PROOF",
		Short: "Check, offline, that one record is in the log, as cordon prove wrote it",
		Long: `proof reads a C2SP tlog-proof of one record of a cluster's log and checks it without a network: a quorum of the cluster's members cosigned
the checkpoint in it, outside witnesses too when the trust file has a policy, and the record is in that log under its number. Then it prints
the record in words. What the record says happened, this proves; that nothing was changed since, verify does.`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			_, tf, err := readTrust(trustPath)
			if err != nil {
				return unreadable(err, "--trust names the trust file that the operator publishes for auditors (trust.json)")
			}
			b, err := readBounded("proof", args[0], witness.MaxProof)
			if err != nil {
				return unreadable(err, "name the file that cordon prove wrote")
			}
			p, err := audit.OpenProof(b, tf)
			if err != nil {
				if _, perr := witness.ParseProof(b); perr != nil {
					return unreadable(err, "name the file that cordon prove wrote")
				}
				if _, perr := fmt.Fprintf(c.OutOrStdout(), "FAIL  %s\n", audit.Escape(err.Error())); perr != nil {
					return unwritten("output", perr)
				}
				return errFail
			}
			if asJSON {
				enc := json.NewEncoder(c.OutOrStdout())
				enc.SetIndent("", "  ")
				return unwritten("output", enc.Encode(map[string]any{
					"pass": true, "leaf": p.Leaf.N, "kind": p.Leaf.K, "time": time.Unix(p.Leaf.T, 0).UTC(), "says": p.Leaf.Describe(), "size": p.Checkpoint.Size,
					"signed_by": p.SignedBy, "fresh": p.Fresh, "witnesses": p.Witnesses,
				}))
			}
			seen := "no witness policy in the trust file"
			if len(p.Witnesses) > 0 {
				seen = "witnessed by " + strings.Join(p.Witnesses, ", ")
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "PASS  leaf %d of cluster %s, in a log of %d leaves cosigned by %s at %s; %s\n%d %s %s: %s\n",
				p.Leaf.N, tf.Cluster.Name, p.Checkpoint.Size, strings.Join(p.SignedBy, ", "), p.Fresh.Format(time.RFC3339), seen,
				p.Leaf.N, time.Unix(p.Leaf.T, 0).UTC().Format(time.RFC3339), p.Leaf.K, p.Leaf.Describe())
			return unwritten("output", err)
		},
	}
	c.Flags().StringVar(&trustPath, "trust", "", "trust file: the cluster's description, got from elsewhere than the proof (required)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	if err := c.MarkFlagRequired("trust"); err != nil {
		panic(fmt.Sprintf("cordon-audit: %v", err))
	}
	return c
}
