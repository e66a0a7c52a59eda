package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/appliance/operator"
)

func certifyCommand() *cobra.Command {
	var o ordering
	var from, to string
	var r operator.CertifyRequest
	c := &cobra.Command{
		Use:   "certify",
		Short: "Certify what the log says of a time: charters, lists, counts, receipts, everything out of the ordinary (two officers)",
		Long: "Certify what the log says of a time. The certificate is made from the log alone and written to a file; what officers sign is its hash, and\n" +
			"auditors make it again from the log (cordon-audit certificate). A control node takes it only when its own log yields it. With --probe the order names\n" +
			"results of cordon-audit probe --json too: those are your own claim, marked as that." + twoSteps,
		Example: "  cordon certify --from 2026-01-01 --to 2026-03-31 --officer ada --officer grace",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if r.From, err = parseDay(from, 0); err != nil {
				return usage(c, fmt.Errorf("--from: %w", err))
			}
			if r.To, err = parseDay(to, 1); err != nil {
				return usage(c, fmt.Errorf("--to: %w", err))
			}
			if !r.From.Before(r.To) {
				return usage(c, fmt.Errorf("--to is before --from"))
			}
			if r.Document == "" {
				r.Document = fmt.Sprintf("certificate-%s-%s.json", r.From.Format("20060102"), r.To.Add(-time.Second).Format("20060102"))
			}
			op, err := o.open(c)
			if err != nil {
				return err
			}
			done, document, err := op.Certify(c.Context(), o.r, r)
			if err != nil || o.asJSON {
				return o.print(done, err)
			}
			if err := document.WriteText(stdout); err != nil {
				return err
			}
			fmt.Fprintf(stdout, "\nThe document is in %s.\n", r.Document)
			return o.print(done, nil)
		},
	}
	o.flags(c, "7d")
	c.Flags().Lookup("reason").DefValue, o.r.Reason = "other(scope certificate)", "other(scope certificate)"
	f := c.Flags()
	f.StringVar(&from, "from", "", "first day (2026-01-01, in UTC, or a time like 2026-01-01T00:00:00Z)")
	f.StringVar(&to, "to", "", "last day, or the time at which it ends")
	f.StringVar(&r.Document, "document", "", "file for the document (default: certificate-FROM-TO.json)")
	f.StringArrayVar(&r.Probes, "probe", nil, "file with results of cordon-audit probe --json; may be given up to 8 times")
	return c
}

// parseDay reads a time, or the beginning of the day that is so many days after the one named.
func parseDay(text string, days int) (time.Time, error) {
	if text == "" {
		return time.Time{}, fmt.Errorf("a day is needed, like 2026-01-01")
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t.AddDate(0, 0, days), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a day like 2026-01-01 or a time like 2026-01-01T00:00:00Z", text)
	}
	return t.UTC(), nil
}
