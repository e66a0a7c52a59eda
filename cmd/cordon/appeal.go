package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/appliance/operator"
	"github.com/cordon-project/cordon/appliance/operator/report"
)

func appealCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "appeal",
		Short: "Register complaints about blocking, decide them, list those that wait",
		Long: `Register complaints about blocking, decide them, list those that wait. The register is in the log, where auditors see how many came
in, how long they took and what became of them. It holds a random reference, days, and what was decided by whom: no address, no
name, no text. Who complained is in your own files, under the reference. A decision changes nothing that edges stop: what
follows from it is cordon suppress, or the hotline's withdrawal.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(c, fmt.Errorf("unknown command %q", args[0]))
			}
			return usage(c, fmt.Errorf("new, decide or list is needed"))
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	c.AddCommand(appealNewCommand(), appealDecideCommand(), appealListCommand())
	return c
}

func appealNewCommand() *cobra.Command {
	var profile, received string
	var asJSON bool
	var days int
	var r operator.AppealRequest
	c := &cobra.Command{
		Use:   "new",
		Short: "Register an appeal; prints the reference that it is known by from here on",
		Example: `  cordon appeal new --due 14
  cordon appeal new --list hotline-one/main --entry 3f0c... --received 2026-03-02`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if received != "" {
				var err error
				if r.Received, err = time.Parse(time.DateOnly, received); err != nil {
					return usage(c, fmt.Errorf("--received %q is not a day like 2026-03-02", received))
				}
			}
			r.Due = time.Duration(days) * 24 * time.Hour
			o, err := operator.Open(profile)
			if err != nil {
				return err
			}
			done, err := o.NewAppeal(c.Context(), r)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(done)
			}
			fmt.Fprintf(stdout, "%s\nRegistered in leaf %d of the log; to be decided before %s:\n  cordon appeal decide %s --outcome OUTCOME --officer DIR\n",
				done.Ref, done.Leaf, done.Due.Format("2006-01-02 15:04Z"), done.Ref)
			return nil
		},
	}
	profileFlag(c, &profile)
	f := c.Flags()
	f.IntVar(&days, "due", 30, "days from the receipt until it must be decided")
	f.StringVar(&received, "received", "", "day on which it came in (default: now)")
	f.StringVar(&r.List, "list", "", "HOTLINE/LIST that it is about, if known")
	f.StringVar(&r.Entry, "entry", "", "id of the entry that it is about, if known (cordon which tells it)")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

func appealDecideCommand() *cobra.Command {
	var profile, outcome string
	var officers []string
	var asJSON bool
	c := &cobra.Command{
		Use:     "decide REF",
		Short:   "Record what became of an appeal, signed by one officer at least",
		Example: "  cordon appeal decide 9f3k-0c2m-7t1x-v4wz --outcome rejected --officer ada",
		Args:    oneArg("the appeal's reference"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(officers) == 0 {
				return usage(c, fmt.Errorf("--officer is needed: the directory of the officer who decides"))
			}
			if outcome == "" {
				return usage(c, fmt.Errorf("--outcome is needed: %s", operator.Outcomes()))
			}
			o, err := operator.Open(profile)
			if err != nil {
				return err
			}
			done, err := o.DecideAppeal(c.Context(), args[0], outcome, officers)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(done)
			}
			if done.Again {
				fmt.Fprintf(stdout, "%s %s: it was decided so before, leaf %d of the log.\n", done.Ref, outcome, done.Leaf)
				return nil
			}
			fmt.Fprintf(stdout, "%s %s: leaf %d of the log.\n", done.Ref, outcome, done.Leaf)
			return nil
		},
	}
	profileFlag(c, &profile)
	f := c.Flags()
	f.StringVar(&outcome, "outcome", "", "upheld (who complained is right), rejected, withdrawn (by who complained), forwarded (to who answers)")
	f.StringArrayVar(&officers, "officer", nil, "directory of an officer who decides (once or more)")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

func appealListCommand() *cobra.Command {
	var profile string
	var overdue, all, asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the appeals that wait for a decision",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := operator.Open(profile)
			if err != nil {
				return err
			}
			found, err := o.Appeals(c.Context())
			if err != nil {
				return err
			}
			kept := found[:0]
			for _, a := range found {
				if a.Overdue || !overdue && (all || a.Outcome == "") {
					kept = append(kept, a)
				}
			}
			if asJSON {
				return printJSON(kept)
			}
			if len(kept) == 0 {
				fmt.Fprintln(stdout, "No appeal waits.")
			}
			report.Appeals(stdout, kept)
			return nil
		},
	}
	profileFlag(c, &profile)
	f := c.Flags()
	f.BoolVar(&overdue, "overdue", false, "only those whose day has passed")
	f.BoolVar(&all, "all", false, "the last thousand decided ones too")
	f.BoolVar(&asJSON, "json", false, "print them as JSON")
	return c
}

func printJSON(v any) error {
	enc := json.NewEncoder(stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
