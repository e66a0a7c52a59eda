package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/listsync/publish"
)

// The commands of the working day: import, remove, check, diff, sign, publish, refresh, withdraw, countersign, status, canon.

const (
	hotlineDir = "the hotline's directory"
	diffLines  = 40 // of each sort, unless --all
)

func importCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:   "import --dir HOTLINE FILE",
		Short: "Take rows in: all of them, or none when one is bad",
		Long: `Take the rows of a CSV or JSON file (or of standard input, "-") into the working set. The first line of a CSV is exactly
  ` + publish.Header + `
with commas, semicolons or tabs between the columns. A JSON file is an array of objects, or one object a line, with the same words as members.
Every bad row is listed with its line and column, and then nothing is imported, unless --take-good says otherwise.`,
		Example: `  cordon-hotline import --dir hotline --dry-run rows.csv
  cordon-hotline import --dir hotline rows.csv
  cordon-hotline import --dir hotline --errors bad.csv --take-good rows.csv   # then mend bad.csv, and
  cordon-hotline import --dir hotline bad.csv`,
		Args: cobra.ExactArgs(1),
		RunE: on(func(h *publish.Hotline, c *cobra.Command, args []string) error {
			in, closeIn, err := openFile(c, args[0], "the import")
			if err != nil {
				return err
			}
			defer closeIn()
			done, err := h.ImportWith(in, publish.ImportOptions{DryRun: isSet(c, "dry-run"), Errors: flag(c, "errors"), TakeGood: isSet(c, "take-good")})
			rows, ok := errors.AsType[*publish.RowErrors](err)
			switch {
			case ok && isSet(c, "json"):
				return errors.Join(err, show(c, struct {
					*publish.RowErrors
					Imported *publish.Imported `json:"imported"` // null when nothing is
				}{rows, map[bool]*publish.Imported{true: &done}[done.Rows > 0]}, nil))
			case err != nil && done.Rows == 0:
				return err
			}
			return errors.Join(err, show(c, done, done.Write))
		}),
	}, hotlineDir)
	f := c.Flags()
	f.Bool("dry-run", false, "say what the import would do, and change nothing")
	f.String("errors", "", "a new CSV file for the bad rows, with what is wrong with each in a tenth column")
	f.Bool("take-good", false, "take the good rows in although others are bad; --errors keeps those")
	return c
}

func removeCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:   "remove --dir HOTLINE --reason REASON EXPRESSION|ENTRY_ID...",
		Short: "Take entries out at the next version",
		Example: `  cordon-hotline remove --dir hotline --reason content_gone x.test http://y.test/page
  cordon-hotline remove --dir hotline --expired`,
		Long: `Take entries out of the working set; the next version is without them. For an error that harms someone now, use withdraw.
REASON is one of content_gone, error, appeal, court, law_enforcement, duplicate, or other(WHY).`,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, args []string) error {
			var done []publish.Removed
			var err error
			switch expired := isSet(c, "expired"); {
			case expired && (len(args) > 0 || flag(c, "reason") != ""):
				return usage("--expired stands alone: it takes out every entry past its review_by")
			case expired:
				done, err = h.RemoveExpired()
			case len(args) == 0 || flag(c, "reason") == "":
				return usage("name entries and give --reason, or give --expired")
			default:
				done, err = h.Remove(flag(c, "reason"), args...)
			}
			if err != nil {
				return err
			}
			return show(c, done, removed(done, "is taken out at the next version"))
		}),
	}, hotlineDir)
	c.Flags().String("reason", "", "why")
	c.Flags().Bool("expired", false, "take out every entry past its review_by")
	return c
}

func usage(what string) error {
	return &publish.Fault{Code: publish.CodeUsage, What: what}
}

func removed(done []publish.Removed, what string) func(io.Writer) error {
	return func(w io.Writer) error {
		for _, e := range done {
			fmt.Fprintf(w, "%s %s (%s) %s\n", e.Kind, e.Expression, e.ID, what)
		}
		_, err := fmt.Fprintf(w, "%d in all\n", len(done))
		return err
	}
}

func checkCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:   "check --dir HOTLINE",
		Short: "Hold the working set against the brakes",
		Example: `  cordon-hotline check --dir hotline
  cordon-hotline check --dir hotline --never-block popular.txt`,
		Args: cobra.NoArgs,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, _ []string) error {
			r, err := h.Check(flags(c, "never-block")...)
			if err != nil {
				return err
			}
			err = show(c, r, func(w io.Writer) error { r.Write(w); return nil })
			return errors.Join(r.Err(), err)
		}),
	}, hotlineDir)
	c.Flags().StringArray("never-block", nil, "a file of names that may never be blocked, one a line; may be given again")
	return c
}

func diffCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:   "diff --dir HOTLINE",
		Short: "Show what the next version changes, in plain words",
		Example: `  cordon-hotline diff --dir hotline
  cordon-hotline diff --dir hotline --all --json`,
		Args: cobra.NoArgs,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, _ []string) error {
			look := h.Diff
			if isSet(c, "all") {
				look = h.DiffAll
			}
			d, err := look()
			if err != nil {
				return err
			}
			return show(c, d, func(w io.Writer) error { return d.Write(w, limit(c)) })
		}),
	}, hotlineDir)
	c.Flags().Bool("all", false, "show every line")
	return c
}

func limit(c *cobra.Command) int {
	if isSet(c, "all") {
		return 0
	}
	return diffLines
}

const approveHelp = "why you sign although a brake on size or change holds; or ENTRY=WHY for an entry that the brakes\npopular and shared hold, given again for each. The reasons are kept"

// approvals reads --approve: one reason for the version, and reasons for entries, named by id or address. An address with "=" in it is
// named by its id.
func approvals(given []string) (version string, entries map[string]string, err error) {
	entries = map[string]string{}
	for _, g := range given {
		entry, why, named := strings.Cut(g, "=")
		if entry = strings.TrimSpace(entry); named && !strings.Contains(entry, " ") && entry != "" {
			if why == "" || entries[entry] != "" {
				return "", nil, usage("--approve " + entry + "=WHY needs a reason, and one only")
			}
			entries[entry] = why
			continue
		}
		if version != "" {
			return "", nil, usage("--approve gives two reasons for the version; join them, or write ENTRY=WHY")
		}
		version = g
	}
	return version, entries, nil
}

func publishCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:   "publish --dir HOTLINE",
		Short: "Put the signed version into the repository",
		Example: `  cordon-hotline publish --dir hotline
  cordon-hotline publish --dir hotline --out /srv/www/list
  cordon-hotline publish --dir hotline --without-witnesses   # urgent: see witnesses`,
		Args: cobra.NoArgs,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, _ []string) error {
			p, err := h.PublishWith(c.Context(), publish.PublishOptions{Out: flag(c, "out"), WithoutWitnesses: isSet(c, "without-witnesses")})
			if err != nil {
				return err
			}
			return show(c, p, func(w io.Writer) error {
				fmt.Fprintf(w, "version %d is published in %s, signed by %s, for %d %s: %d added, %d removed\n",
					p.Seq, p.Repository, strings.Join(p.SignedBy, " and "), p.Operators, operators(p.Operators), p.Added, p.Removed)
				p.Log.Write(w)
				_, err := fmt.Fprintf(w, "run refresh before %s\n", p.Expires.Format("2006-01-02 15:04 UTC"))
				return err
			})
		}),
	}, hotlineDir)
	c.Flags().String("out", "", "move the repository to this directory (at first it is HOTLINE/repository)")
	c.Flags().Bool("without-witnesses", false, "publish although witnesses of the public log have not cosigned it; refresh collects them later")
	return c
}

func operators(n int) string {
	if n == 1 {
		return "operator"
	}
	return "operators"
}

func refreshCommand() *cobra.Command {
	return withDir(&cobra.Command{
		Use:     "refresh --dir HOTLINE",
		Short:   "Renew the timestamp, and the snapshot when it ends soon",
		Example: `  cordon-hotline refresh --dir hotline`,
		Args:    cobra.NoArgs,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, _ []string) error {
			r, err := h.Refresh()
			if err != nil {
				return err
			}
			return show(c, r, func(w io.Writer) error {
				for _, n := range r.Notes {
					fmt.Fprintln(w, "note: "+n)
				}
				_, err := fmt.Fprintf(w, "timestamp %d, snapshot %d; good until %s\n", r.Timestamp, r.Snapshot, r.Expires.Format("2006-01-02 15:04 UTC"))
				return err
			})
		}),
	}, hotlineDir)
}

func withdrawCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:   "withdraw --dir HOTLINE --officer OFFICER_DIR --reason REASON EXPRESSION|ENTRY_ID...",
		Short: "Take published entries out of force at once",
		Example: `  cordon-hotline withdraw --dir hotline --officer officer-1 --reason error x.test
  cordon-hotline withdraw --dir hotline --officer officer-1 --officer officer-2 --reason court x.test y.test`,
		Long: `Sign a withdrawal and put it into the repository, where operators find it within seconds; the entries leave the working set too.
One officer may withdraw up to 20 entries in 24 hours and then owes a second signature (countersign) within 24 hours; two officers may
withdraw any number. REASON is one of content_gone, error, appeal, court, law_enforcement, duplicate, or other(WHY).`,
		Args: cobra.MinimumNArgs(1),
		RunE: on(func(h *publish.Hotline, c *cobra.Command, args []string) error {
			d, err := h.Withdraw(flags(c, "officer"), flag(c, "reason"), args...)
			if err != nil {
				return err
			}
			postTo(c, h, d)
			return show(c, d, func(w io.Writer) error {
				if err := removed(d.Entries, "is withdrawn")(w); err != nil {
					return err
				}
				return withdrawn(flag(c, "dir"), d)(w)
			})
		}),
	}, hotlineDir)
	c.Flags().StringArray("officer", nil, "an officer's key directory; give it again for a second officer")
	c.Flags().String("reason", "", "why")
	return posts(required(c, "officer", "reason"))
}

// posts adds the flag --post.
func posts(c *cobra.Command) *cobra.Command {
	c.Flags().Bool("post", true, "hand it to the operators whose address is known (operator api); --post=false leaves it in the repository alone")
	return c
}

// postTo hands a statement that is in the repository to operators. It fails nothing: they find it there.
func postTo(c *cobra.Command, h *publish.Hotline, d *publish.Withdrawn) {
	if !isSet(c, "post") {
		return
	}
	var err error
	if d.Posted, err = h.Post(c.Context(), d.Number); err != nil {
		d.Note = "it was handed to no operator, and they find it in the repository within seconds: " + err.Error()
	}
}

func withdrawn(dir string, d *publish.Withdrawn) func(io.Writer) error {
	return func(w io.Writer) error {
		fmt.Fprintf(w, "withdrawal %d, signed by %s: %s\n", d.Number, strings.Join(d.SignedBy, " and "), d.File)
		if d.Owed > 0 {
			fmt.Fprintf(w, "a second signature is owed by %s (%s): countersign --dir %s --officer THEIR_DIR %d\n", d.OwedBy.Format("2006-01-02 15:04 UTC"), strings.Join(d.Missing, " or "), dir, d.Number)
		}
		if d.Note != "" {
			fmt.Fprintln(w, "note: "+d.Note)
		}
		return publish.WritePosted(w, d.Posted)
	}
}

func countersignCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:     "countersign --dir HOTLINE --officer OFFICER_DIR NUMBER",
		Short:   "Add the second signature to a withdrawal",
		Example: `  cordon-hotline countersign --dir hotline --officer officer-2 1`,
		Args:    cobra.ExactArgs(1),
		RunE: on(func(h *publish.Hotline, c *cobra.Command, args []string) error {
			n, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil {
				return usage("a withdrawal has a number; see status")
			}
			d, err := h.Countersign(flag(c, "officer"), n)
			if err != nil {
				return err
			}
			postTo(c, h, d)
			return show(c, d, withdrawn(flag(c, "dir"), d))
		}),
	}, hotlineDir)
	c.Flags().String("officer", "", "the directory with your officer.key")
	return posts(required(c, "officer"))
}

func statusCommand() *cobra.Command {
	return withDir(&cobra.Command{
		Use:   "status --dir HOTLINE",
		Short: "Say how the hotline stands: versions, signatures, expiry, operators, what is owed",
		Example: `  cordon-hotline status --dir hotline
  cordon-hotline status --dir hotline --json`,
		Args: cobra.NoArgs,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, _ []string) error {
			st, err := h.Status()
			if err != nil {
				return err
			}
			return show(c, st, st.Write)
		}),
	}, hotlineDir)
}

func canonCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "canon",
		Short:   "Write the canonical form of each line of standard input",
		Example: `  echo www.x.test/a | cordon-hotline canon --expressions`,
		Long: `Read URLs or names, one a line, and write one line for each: the canonical URL, or "!" and the reason why there is none.
With --expressions, write what a question for it is compared with: "kind text" pairs with tabs between.`,
		Args: cobra.NoArgs,
		RunE: does(func(c *cobra.Command, _ []string) error {
			write := publish.Canon
			if isSet(c, "json") {
				write = publish.CanonJSON
			}
			return write(c.InOrStdin(), c.OutOrStdout(), isSet(c, "expressions"))
		}),
	}
	c.Flags().Bool("expressions", false, "write the expressions instead of the URL")
	return c
}
