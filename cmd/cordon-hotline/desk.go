package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/listsync/publish"
)

// The commands of the analysts' desk: what is kept up over time. review, reattest, holdback, trace.

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

func holdbackCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:   "holdback --dir HOTLINE --until DAY --authority NAME --reference R EXPRESSION|ENTRY_ID...",
		Short: "Keep entries out of versions until a day, for an authority that investigates",
		Long: `Keep entries out of every version until a day, at most 90 days ahead and not after their review_by; then they come back by themselves, and the
next version has them. diff and sign show what is held back; nothing of it is published, and hotline/holdbacks.jsonl keeps every act. Given again,
it sets a new end. --lift brings entries back at once, --list shows what is held back. An entry that is published stays in force until the
next version is; withdraw takes it out at once, but for good.`,
		Example: `  cordon-hotline holdback --dir hotline --until 2030-02-01 --authority "Police of XA" --reference "case 12" x.test
  cordon-hotline holdback --dir hotline --list
  cordon-hotline holdback --dir hotline --lift x.test`,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, args []string) error {
			o := publish.HoldOptions{Until: flag(c, "until"), Authority: flag(c, "authority"), Reference: flag(c, "reference")}
			lift, list := isSet(c, "lift"), isSet(c, "list")
			var done []publish.HeldBack
			var err error
			what := "is not in the list until then"
			switch {
			case (lift || list) && o != publish.HoldOptions{}, lift && list, list && len(args) > 0:
				return usage("--lift and --list stand without --until, --authority and --reference")
			case list:
				what = ""
				done, err = h.Holdbacks()
			case lift:
				what = "is in the list again"
				done, err = h.LiftHoldback(args...)
			case o.Until == "":
				return usage("give --until DAY, --authority NAME and --reference R, or --lift, or --list")
			default:
				done, err = h.HoldBack(o, args...)
			}
			if err != nil {
				return err
			}
			return show(c, done, func(w io.Writer) error {
				for _, b := range done {
					fmt.Fprintf(w, "%s %s (%s), %s", b.Kind, b.Expression, b.ID, b.Words())
					if what != "" {
						fmt.Fprintf(w, ": %s", what)
					}
					fmt.Fprintln(w)
				}
				_, err := fmt.Fprintf(w, "%d in all\n", len(done))
				return err
			})
		}),
	}, hotlineDir)
	f := c.Flags()
	f.String("until", "", "the day on which they come back, such as 2030-01-31")
	f.String("authority", "", "who asks for it")
	f.String("reference", "", "the authority's reference")
	f.Bool("lift", false, "bring entries back now")
	f.Bool("list", false, "show what is held back")
	return c
}

func traceCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:   "trace --dir HOTLINE FILE | --marks",
		Short: "Say whose copy a leaked file is",
		Long: `Look for operators' marks in a leaked file of any kind ("-" is standard input): names, URLs, a zone file, a memory dump. Each operator gets a few harmless
names below the canary with the keys of each epoch, which nobody else gets and nobody guesses. --marks lists them all: a question for
one of them, at the name server of the canary's domain, comes from someone who has that operator's copy. Unpack a packed file first.`,
		Example: `  cordon-hotline trace --dir hotline leaked.txt
  cordon-hotline trace --dir hotline --marks`,
		Args: cobra.MaximumNArgs(1),
		RunE: on(func(h *publish.Hotline, c *cobra.Command, args []string) error {
			switch marks := isSet(c, "marks"); {
			case marks == (len(args) == 1):
				return usage("name the leaked file, or give --marks")
			case marks:
				all, err := h.Marks()
				if err != nil {
					return err
				}
				return show(c, all, func(w io.Writer) error {
					for _, m := range all {
						fmt.Fprintf(w, "%s (%s), epoch %d, given %s\n", m.Name, m.Cluster, m.Epoch, m.Given.Format("2006-01-02 15:04 UTC"))
						for _, n := range m.Names {
							fmt.Fprintf(w, "  %s\n", n)
						}
					}
					return nil
				})
			}
			in, done, err := openFile(c, args[0], "the leaked file")
			if err != nil {
				return err
			}
			defer done()
			t, err := h.Trace(in)
			if err != nil {
				return err
			}
			return show(c, t, t.Write)
		}),
	}, hotlineDir)
	c.Flags().Bool("marks", false, "list the marks of every operator and epoch")
	return c
}

// openFile opens a file that came in, or standard input for "-"; done closes it.
func openFile(c *cobra.Command, path, what string) (in io.Reader, done func(), err error) {
	if path == "-" {
		return c.InOrStdin(), func() {}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, &publish.Fault{Code: publish.CodeInput, What: "cannot open " + what + ": " + err.Error(), Do: "check the path", Err: err}
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, nil, &publish.Fault{Code: publish.CodeInput, What: "cannot read " + what + " " + path + ": it is a directory", Do: "name the file in it"}
	}
	return f, func() { f.Close() }, nil
}
