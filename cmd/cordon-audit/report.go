package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/account"
	"github.com/cordon-project/cordon/cluster/audit/period"
	"github.com/cordon-project/cordon/listsync/list"
)

func reportCommand() *cobra.Command {
	var f flags
	var from, to, out, used string
	c := &cobra.Command{
		Use:   "report --from DAY --to DAY --trust FILE BUNDLE|https://NODE:PORT",
		Short: "Write what the verified log shows of a period, for people",
		Long: `report verifies the bundle and writes one HTML page that needs nothing else, and the same as JSON: charters, list versions, entries
by kind and legal basis, refusals, removals, suppressions, bypasses, how long blocking and unblocking took, dead entries, appeals, and what a log
cannot show, in the terms of Directive 2011/93/EU Article 25(2) and of Kharitonov v. Russia. Days are UTC, both included.

With --out DIR it writes DIR/report.html and DIR/report.json, else it prints the page, or with --json the JSON. A report of a failed verification says
so first, and the exit code is 5.`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			begin, end, err := span(from, to)
			if err != nil {
				return err
			}
			now := time.Now()
			var read []account.Review
			reviews := map[[32]byte]account.Review{}
			watch := &audit.Watch{EdgeList: func(file [32]byte, e *list.Edge) { reviews[file] = account.ReviewOf(e, now) }}
			r, err := f.verify(c.Context(), args[0], audit.Options{Now: now, Watch: watch})
			if err != nil {
				return err
			}
			_, tf, err := readTrust(f.trust)
			if err != nil {
				return unreadable(err, "")
			}
			if s := r.Served(); s != nil {
				for _, l := range s.Lists {
					if v, ok := reviews[l.Edge]; ok {
						read = append(read, v)
					}
				}
			}
			facts, err := factsOf(r, begin, end)
			if err != nil {
				return err
			}
			d := account.New(tf.Cluster, r, facts, read)
			if used != "" && r.Leaves() != nil {
				sum, bad, err := checkFigures(used, tf.Cluster.ID(), r.Leaves())
				if err != nil {
					return unreadable(err, "--figures names the file that cordon figures --out wrote")
				}
				d.AddFigures(sum, bad)
			}
			if err := writeAccount(c.OutOrStdout(), d, out, f.json); err != nil {
				return err
			}
			if !d.Pass {
				return errFail
			}
			return nil
		},
	}
	f.add(c)
	c.Flags().StringVar(&from, "from", "", "first day, as 2026-07-01 (required)")
	c.Flags().StringVar(&to, "to", "", "last day (required)")
	c.Flags().StringVar(&used, "figures", "", "published figures (cordon figures --out), to be checked and added up in the report")
	c.Flags().StringVar(&out, "out", "", "folder for report.html and report.json")
	for _, name := range []string{"from", "to"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(fmt.Sprintf("cordon-audit: %v", err))
		}
	}
	return c
}

// span is from the beginning of one day to the end of another, UTC.
func span(from, to string) (begin, end time.Time, err error) {
	if begin, err = time.Parse(time.DateOnly, from); err != nil {
		return begin, end, fmt.Errorf("--from: %q is not a day, write it as 2026-07-01", from)
	}
	if end, err = time.Parse(time.DateOnly, to); err != nil {
		return begin, end, fmt.Errorf("--to: %q is not a day, write it as 2026-09-30", to)
	}
	if end = end.AddDate(0, 0, 1); !begin.Before(end) || begin.Year() < 1970 {
		return begin, end, errors.New("--to is before --from")
	}
	return begin, end, nil
}

// factsOf is what the log says of the span, as far as the checkpoint reaches; nil when the leaves are not the cluster's log.
func factsOf(r *audit.Report, begin, end time.Time) (*period.Facts, error) {
	if r.Leaves() == nil || r.Checkpoint == nil {
		return nil, nil
	}
	if fresh := r.Checkpoint.Fresh; fresh.Before(end) {
		end = fresh.Add(time.Second)
	}
	if !begin.Before(end) {
		return nil, unreadable(fmt.Errorf("the bundle's log reaches until %s, and the period begins at %s", r.Checkpoint.Fresh.UTC().Format(time.RFC3339), begin.Format(time.RFC3339)),
			"make a bundle after the period has begun, or name an earlier one")
	}
	f, err := period.Of(slices.Values(r.Leaves()), begin, end)
	if err != nil {
		if r.Pass {
			return nil, unreadable(err, "tell the makers of cordon-audit: the log passes, and its period cannot be computed")
		}
		return nil, nil // the verification says what is wrong with it
	}
	return &f, nil
}

func writeAccount(stdout io.Writer, d *account.Document, dir string, asJSON bool) error {
	var page, data bytes.Buffer
	if err := errors.Join(d.WriteHTML(&page), d.WriteJSON(&data)); err != nil {
		return unwritten("report", err)
	}
	if dir == "" {
		b := page.Bytes()
		if asJSON {
			b = data.Bytes()
		}
		_, err := stdout.Write(b)
		return unwritten("output", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return unwritten("report", err)
	}
	for name, b := range map[string][]byte{"report.html": page.Bytes(), "report.json": data.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return unwritten("report", err)
		}
	}
	word := "PASS"
	if !d.Pass {
		word = "FAIL"
	}
	_, err := fmt.Fprintf(stdout, "%s  %s and report.json\n", word, filepath.Join(dir, "report.html"))
	return unwritten("output", err)
}
