package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/listsync/publish"
)

// The commands of the analysts' desk: what is kept up over time. review, reattest.

func reviewCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:   "review --dir HOTLINE",
		Short: "Say which entries end when, by kind and by assessor",
		Long: `Count the entries by when they end (review_by) and list those that end within some days or have ended. With --csv, write these as a CSV
whose first column is the id: look at them, delete the lines that are not to stay, and give the file to reattest.`,
		Example: `  cordon-hotline review --dir hotline
  cordon-hotline review --dir hotline --within 14 --csv > soon.csv`,
		Args: cobra.NoArgs,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, _ []string) error {
			within, err := c.Flags().GetInt("within")
			if err != nil {
				return err
			}
			r, err := h.Review(within)
			switch {
			case err != nil:
				return err
			case isSet(c, "csv") && isSet(c, "json"):
				return usage("give --csv or --json, not both")
			case isSet(c, "csv"):
				return r.WriteCSV(c.OutOrStdout())
			}
			return show(c, r, func(w io.Writer) error { return r.Write(w, limit(c)) })
		}),
	}, hotlineDir)
	f := c.Flags()
	f.Int("within", 30, "list entries that end within this many days")
	f.Bool("csv", false, "write the listed entries as a CSV for reattest")
	f.Bool("all", false, "show every line")
	return c
}

func reattestCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:   "reattest --dir HOTLINE --review-by DAY --assessor A --assessor B [EXPRESSION|ENTRY_ID...]",
		Short: "Say that two people have assessed entries again",
		Long: `Give entries a new review_by, at most 180 days ahead, and the two people who have assessed them again. Name the entries, or give
--expires-before DAY for all that end before it, or --from FILE.csv whose first column is the id. hotline/attestations.jsonl keeps who, when
and which. When something named is no entry, it is listed and nothing is done.`,
		Example: `  cordon-hotline reattest --dir hotline --review-by 2030-06-30 --assessor ann --assessor bob x.test
  cordon-hotline reattest --dir hotline --review-by 2030-06-30 --assessor ann --assessor bob --from soon.csv
  cordon-hotline reattest --dir hotline --review-by 2030-06-30 --assessor ann --assessor bob --expires-before 2030-02-01 --dry-run`,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, args []string) error {
			people := flags(c, "assessor")
			if len(people) != 2 {
				return usage("give --assessor twice: two people assess an entry")
			}
			done, err := h.Reattest(publish.ReattestOptions{
				ReviewBy: flag(c, "review-by"), Assessors: [2]string(people), Before: flag(c, "expires-before"), File: flag(c, "from"), Which: args, DryRun: isSet(c, "dry-run"),
			})
			if err != nil && (done == nil || len(done.Unknown) == 0) {
				return err
			}
			return errors.Join(err, show(c, done, done.Write))
		}),
	}, hotlineDir)
	f := c.Flags()
	f.String("review-by", "", "the day by which they are assessed again, such as 2030-01-31")
	f.StringArray("assessor", nil, "a person who has assessed them; give it twice")
	f.String("expires-before", "", "every entry whose review_by is before this day")
	f.String("from", "", "a CSV whose first column is the id, as review --csv writes it")
	f.Bool("dry-run", false, "say what would be done, and change nothing")
	return required(c, "review-by", "assessor")
}
