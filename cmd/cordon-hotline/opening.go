package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/publish"
)

// Entries shown to reviewers: who is registered, and the opening of what an operator's log has drawn.

func reviewerCommand() *cobra.Command {
	add := withDir(&cobra.Command{
		Use:     "add --dir HOTLINE NAME RECIPIENT",
		Short:   "Register a reviewer, to whom drawn entries may be opened",
		Example: `  cordon-hotline reviewer add --dir hotline review-board age1...`,
		Long: `RECIPIENT is the line of the reviewer's public key that begins with age1 (cordon-audit sample key makes it). Compare it with the reviewer by telephone:
whoever has the other half reads what two officers open for this name.`,
		Args: cobra.ExactArgs(2),
		RunE: on(func(h *publish.Hotline, c *cobra.Command, args []string) error {
			r, err := h.AddReviewer(args[0], args[1])
			if err != nil {
				return err
			}
			return show(c, r, line("reviewer %s is registered", r.Name))
		}),
	}, hotlineDir)
	all := withDir(&cobra.Command{
		Use: "list --dir HOTLINE", Short: "List the registered reviewers", Args: cobra.NoArgs,
		Example: `  cordon-hotline reviewer list --dir hotline`,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, _ []string) error {
			list, err := h.Reviewers()
			if err != nil {
				return err
			}
			if list == nil {
				list = []publish.Reviewer{}
			}
			return show(c, list, func(w io.Writer) error {
				for _, r := range list {
					if _, err := fmt.Fprintf(w, "%s\t%s\t%s\n", r.Name, time.Unix(r.Added, 0).UTC().Format("2006-01-02"), r.Recipient); err != nil {
						return err
					}
				}
				return nil
			})
		}),
	}, hotlineDir)
	remove := withDir(&cobra.Command{
		Use: "remove --dir HOTLINE NAME", Short: "Take a reviewer out", Args: cobra.ExactArgs(1),
		Example: `  cordon-hotline reviewer remove --dir hotline review-board`,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, args []string) error {
			if err := h.RemoveReviewer(args[0]); err != nil {
				return err
			}
			return show(c, map[string]string{"removed": args[0]}, line("reviewer %s is taken out; what was opened before stays opened", args[0]))
		}),
	}, hotlineDir)
	return group("reviewer", "Who outside may be shown drawn entries", add, all, remove)
}

func openCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:   "open --dir HOTLINE --trust TRUST.json --officer OFFICER_DIR REQUEST",
		Short: "Open the entries that an operator's log has drawn, for a reviewer; two officers",
		Long: `REQUEST comes from an auditor (cordon-audit sample draw). The tool verifies it with the operator's trust file: a quorum has cosigned the checkpoint,
the version was in force before it, and the numbers follow from it and from the asker's random bytes, so that neither
hotline nor operator has chosen which entries are shown. It makes a file that only the
registered reviewer can read, and a statement that two officers sign: give --officer twice, or run the command once for each. The second officer's tool
makes the content anew and compares it. Then the statement goes to the operator, where it becomes a record of the log; without that record the
reviewer's tool refuses the file.`,
		Example: `  cordon-hotline open --dir hotline --trust isp-one.json --officer officer-1 request.json
  cordon-hotline open --dir hotline --trust isp-one.json --officer officer-2 request.json
  cordon-hotline open --dir hotline --post 1`,
		Args: cobra.MaximumNArgs(1),
		RunE: on(func(h *publish.Hotline, c *cobra.Command, args []string) error {
			if n := flag(c, "post"); n != "" {
				if len(args) > 0 || len(flags(c, "officer")) > 0 {
					return usage("--post stands alone: it hands over a statement that is signed already")
				}
				return postAgain(h, c, n)
			}
			if len(args) == 0 || flag(c, "trust") == "" || len(flags(c, "officer")) == 0 {
				return usage("name the request, the operator's trust file with --trust, and an officer with --officer")
			}
			d, err := readRequest(flag(c, "trust"), args[0])
			if err != nil {
				return err
			}
			o, err := h.OpenSample(publish.Drawn{
				Request: d.Request, Cluster: d.Cluster, List: d.List, Seq: d.Seq, Edge: d.Edge, N: d.N, Seed: d.Seed, Reviewer: d.Reviewer,
			}, flags(c, "officer"))
			if err != nil {
				return err
			}
			if o.Complete() {
				if o.Posted, err = h.PostOpening(c.Context(), o.Number); err != nil {
					o.Note = "the statement is not in the operator's log yet: " + err.Error()
				}
			}
			return show(c, o, func(w io.Writer) error { return o.Write(w, flag(c, "dir"), args[0]) })
		}),
	}, hotlineDir)
	c.Flags().StringArray("officer", nil, "the directory with an officer's key; twice for both at once")
	c.Flags().String("trust", "", "the operator's trust file for auditors (trust.json)")
	c.Flags().String("post", "", "hand the statement of this opening to the operator again, and do nothing else")
	return c
}

// readRequest verifies an auditor's request with the operator's trust file.
func readRequest(trustFile, request string) (audit.Drawing, error) {
	b, err := readTrustFile(trustFile)
	var tf audit.TrustFile
	if err == nil {
		tf, err = audit.ParseTrustFile(b)
	}
	if err != nil {
		return audit.Drawing{}, &publish.Fault{Code: publish.CodeInput, Err: err, What: "trust file: " + audit.Escape(err.Error()),
			Do: "--trust names the trust file that the operator publishes for auditors (trust.json)"}
	}
	raw, err := readUpTo(request, audit.MaxSampleRequest)
	if err != nil {
		return audit.Drawing{}, &publish.Fault{Code: publish.CodeInput, Err: err, What: err.Error(), Do: "name the file that cordon-audit sample draw wrote"}
	}
	d, err := audit.OpenSampleRequest(tf, raw)
	if err != nil {
		return audit.Drawing{}, &publish.Fault{Code: publish.CodeVerify, Err: err, What: audit.Escape(err.Error()),
			Do: "show nothing; ask the auditor to draw again, from the log of the operator in --trust"}
	}
	return d, nil
}

func postAgain(h *publish.Hotline, c *cobra.Command, number string) error {
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return usage("--post takes the number of an opening")
	}
	posted, err := h.PostOpening(c.Context(), n)
	if err != nil {
		return err
	}
	if posted[0].State == publish.Unreached {
		return &publish.Fault{Code: publish.CodeFailure, What: "operator " + posted[0].Operator + " has not taken it: " + posted[0].Error, Do: "try again, or ask the operator"}
	}
	return show(c, posted, line("operator %s: it is in the log", posted[0].Operator))
}
