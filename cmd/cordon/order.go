package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/identity"
	"github.com/cordon-project/cordon/appliance/operator"
	"github.com/cordon-project/cordon/appliance/operator/report"
)

func officerCommand() *cobra.Command {
	var dir, name string
	c := &cobra.Command{
		Use:   "officer",
		Short: "Make the signing key of a person who may decide with another: suppress, approve, return, bypass",
		Long: `Make the signing key of a person who may sign orders. Two of them must sign each order; nobody can sign alone.
Each person runs this on a machine of their own, keeps DIR, and gives DIR/officer.pub to who runs cordon init.`,
		Example: "  cordon officer --dir ada --name ada",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" || name == "" {
				return usage(c, fmt.Errorf("--dir and --name are needed"))
			}
			if _, err := identity.NewOfficer(dir, name, false); err != nil {
				return appliance.BadInput(err)
			}
			fmt.Fprintf(stdout, "Made %s. Keep it to yourself; give %s/%s to who makes the cluster: cordon init --officer officer.pub ...\n", dir, dir, identity.OfficerFile)
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "directory to make")
	c.Flags().StringVar(&name, "name", "", "the person's name in the log: small letters, digits, hyphens")
	return c
}

// ordering are the flags of every command that makes an order.
type ordering struct {
	profile, life string
	asJSON        bool
	r             operator.OrderRequest
}

const (
	reasons  = "content_gone error appeal court law_enforcement duplicate, or other(TEXT)"
	twoSteps = `

An order needs two officers. With --officer twice it is handed in at once. With one it is written to a file, which
another officer reads and signs (cordon countersign) and anybody hands in (cordon submit). What was decided is in the log,
with who signed and why.`
)

// flags adds them; life is the default of --for.
func (o *ordering) flags(c *cobra.Command, life string) {
	profileFlag(c, &o.profile)
	f := c.Flags()
	f.StringArrayVar(&o.r.Officers, "officer", nil, "directory of an officer who signs (once or twice)")
	f.StringVar(&o.r.Reason, "reason", "", reasons)
	f.StringVar(&o.life, "for", life, "how long: like 90m, 12h, 7d")
	f.StringVarP(&o.r.Out, "out", "o", "", "write the order to this file instead of handing it in")
	f.Uint64Var(&o.r.Number, "number", 0, "number of the order (default: the next one)")
	f.BoolVar(&o.asJSON, "json", false, "print the result as JSON")
}

// open checks the flags and opens the profile.
func (o *ordering) open(c *cobra.Command) (*operator.Operator, error) {
	if len(o.r.Officers) == 0 {
		return nil, usage(c, fmt.Errorf("--officer is needed: the directory of an officer who signs"))
	}
	if o.r.Reason == "" {
		return nil, usage(c, fmt.Errorf("--reason is needed: %s", reasons))
	}
	var err error
	if o.r.For, err = parseLife(o.life); err != nil {
		return nil, usage(c, fmt.Errorf("--for: %w", err))
	}
	return operator.Open(o.profile)
}

func (o *ordering) print(d operator.Decision, err error) error {
	return printDecision(d, err, o.asJSON)
}

func printDecision(d operator.Decision, err error, asJSON bool) error {
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(d)
	}
	report.Decision(stdout, d)
	return nil
}

// maxIDs bounds a file of entry ids: an order names 3000, of 33 bytes with its line end.
const maxIDs = 1 << 20

// readIDs reads a file of entry ids, a line each; none when it is not named.
func readIDs(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--entries: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxIDs+1))
	if err != nil {
		return nil, fmt.Errorf("--entries %s: %w", path, err)
	}
	if len(b) > maxIDs {
		return nil, fmt.Errorf("--entries %s is larger than %d bytes", path, maxIDs)
	}
	return strings.Fields(string(b)), nil
}

// parseLife reads a duration that may be in days.
func parseLife(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil && n > 0 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second {
		return 0, fmt.Errorf("%q is not a time like 90m, 12h or 7d", text)
	}
	return d, nil
}

func approveCommand() *cobra.Command {
	var o ordering
	var list string
	var entries, brakes []string
	var file string
	c := &cobra.Command{
		Use:   "approve",
		Short: "Let a version that a brake holds back come into force (two officers)",
		Long: "Let a version that a brake holds back come into force: this very version, for these brakes and entries, and nothing else. When a brake\n" +
			"finds more than was named, the version is held back again. A further approval takes the place of the one before: name in it every brake\n" +
			"and every entry that is to pass." + twoSteps,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			op, err := o.open(c)
			if err != nil {
				return err
			}
			more, err := readIDs(file)
			if err != nil {
				return appliance.BadInput(err)
			}
			return o.print(op.Approve(c.Context(), o.r, list, append(entries, more...), brakes))
		},
	}
	o.flags(c, "1d")
	c.Flags().StringVar(&list, "list", "", "HOTLINE/LIST (default: the one that is held back)")
	c.Flags().StringArrayVar(&entries, "entry", nil, "id of an entry that may pass the brake")
	c.Flags().StringVar(&file, "entries", "", "file of such ids, one a line")
	c.Flags().StringArrayVar(&brakes, "brake", nil, "brake to overrule (default: all that hold it)")
	return c
}

func suppressCommand() *cobra.Command {
	var o ordering
	var s operator.Suppression
	c := &cobra.Command{
		Use:   "suppress",
		Short: "Take entries out of force for a time, at most 30 days (two officers)",
		Long: "Take entries out of force for a time, as after a complaint that is right: they pass until the time is over, whatever version the list has\n" +
			"then. The order names entries by their ids; with --name a control node is asked for those that stop a name, and the name goes nowhere else." + twoSteps,
		Example: `  cordon suppress --name shop.example --for 7d --reason appeal --officer ada --officer grace
  cordon suppress --lift --name shop.example --reason appeal --officer ada --officer grace`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if (s.Name == "") == (len(s.Entries) == 0) {
				return usage(c, fmt.Errorf("--entry or --name is needed: what to take out of force"))
			}
			op, err := o.open(c)
			if err != nil {
				return err
			}
			return o.print(op.Suppress(c.Context(), o.r, s))
		},
	}
	o.flags(c, "7d")
	c.Flags().StringVar(&s.List, "list", "", "HOTLINE/LIST (default: the only one)")
	c.Flags().StringArrayVar(&s.Entries, "entry", nil, "id of an entry (cordon which tells it)")
	c.Flags().StringVar(&s.Name, "name", "", "host name: all entries that stop it")
	c.Flags().BoolVar(&s.Lift, "lift", false, "end the suppression of these entries before its time")
	return c
}

func returnCommand() *cobra.Command {
	var o ordering
	var list string
	var seq uint64
	c := &cobra.Command{
		Use:   "return",
		Short: "Go back to an earlier version of a list (two officers)",
		Long: "Go back to an earlier version of a list, one of the last eight that were in force. What was withdrawn, suppressed or left out since stays\n" +
			"out: nothing comes back that a later version did not have. The hotline's next version comes into force as ever." + twoSteps,
		Example: "  cordon return --to 41 --reason error --officer ada --officer grace",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if seq == 0 {
				return usage(c, fmt.Errorf("--to is needed: the version to go back to"))
			}
			op, err := o.open(c)
			if err != nil {
				return err
			}
			return o.print(op.Return(c.Context(), o.r, list, seq))
		},
	}
	o.flags(c, "1d")
	c.Flags().StringVar(&list, "list", "", "HOTLINE/LIST (default: the only one)")
	c.Flags().Uint64Var(&seq, "to", 0, "version to go back to")
	return c
}

func bypassCommand() *cobra.Command {
	var o ordering
	var lift bool
	c := &cobra.Command{
		Use:   "bypass",
		Short: "Let everything pass for a time, at most 24 hours (two officers)",
		Long: "Let everything pass for a time: the kill switch, for when blocking itself does harm. It ends by itself, at each edge by the edge's own\n" +
			"clock, and raises an alarm as long as it lasts." + twoSteps,
		Example: `  cordon bypass --for 1h --reason "other(resolvers overloaded)" --officer ada --officer grace
  cordon bypass --lift --reason error --officer ada --officer grace`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			op, err := o.open(c)
			if err != nil {
				return err
			}
			return o.print(op.Bypass(c.Context(), o.r, lift))
		},
	}
	o.flags(c, "1h")
	c.Flags().BoolVar(&lift, "lift", false, "end the bypass before its time")
	return c
}

func whichCommand() *cobra.Command {
	var profile string
	var asJSON bool
	c := &cobra.Command{
		Use:   "which NAME",
		Short: "Say which entries of the lists in force stop a name: their ids, as an order needs them",
		Long: "Say which entries of the lists in force stop a name, for answering a complaint. A control node looks it up with the keys that it has in\n" +
			"memory; the name is neither stored nor logged. Exit code 0 also when nothing stops it.",
		Args: oneArg("a host name"),
		RunE: func(c *cobra.Command, args []string) error {
			op, err := operator.Open(profile)
			if err != nil {
				return err
			}
			found, err := op.Which(c.Context(), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(stdout)
				enc.SetIndent("", "  ")
				return enc.Encode(found)
			}
			if len(found) == 0 {
				fmt.Fprintln(stdout, "No entry of a list in force stops this name.")
			}
			for _, w := range found {
				state := "in force"
				switch {
				case w.Removed:
					state = "taken out by the hotline"
				case !w.Suppressed.IsZero():
					state = "suppressed until " + w.Suppressed.Format(time.RFC3339)
				case !time.Now().Before(w.ReviewBy):
					state = "past its review date: it passes"
				}
				fmt.Fprintf(stdout, "%s  %s version %d, %s, %s, review by %s: %s\n", w.Entry, w.List, w.Seq, w.Kind, w.Basis, w.ReviewBy.Format(time.DateOnly), state)
			}
			return nil
		},
	}
	profileFlag(c, &profile)
	c.Flags().BoolVar(&asJSON, "json", false, "print the entries as JSON")
	return c
}

func policyCommand() *cobra.Command {
	var o ordering
	c := &cobra.Command{
		Use:   "policy",
		Short: "Make the never-block list that the control nodes have now the one that counts (two officers)",
		Long: "Make the never-block list that all control nodes have in their configuration now the one that every verdict must be about: from then on a\n" +
			"node with another list has no say about new versions. The order holds its hash and its length, no name." + twoSteps,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			op, err := o.open(c)
			if err != nil {
				return err
			}
			return o.print(op.Policy(c.Context(), o.r))
		},
	}
	o.flags(c, "1d")
	return c
}

func countersignCommand() *cobra.Command {
	var officer string
	var asJSON bool
	c := &cobra.Command{
		Use:   "countersign FILE",
		Short: "Say what an order of another officer decides, and sign it with --officer",
		Args:  oneArg("the order's file"),
		RunE: func(c *cobra.Command, args []string) error {
			if officer == "" {
				d, err := operator.ShowOrder(args[0])
				return printDecision(d, err, asJSON)
			}
			d, err := operator.Countersign(args[0], officer)
			return printDecision(d, err, asJSON)
		},
	}
	c.Flags().StringVar(&officer, "officer", "", "directory of the officer who signs; without it the order is only shown")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

func submitCommand() *cobra.Command {
	var profile string
	var asJSON bool
	c := &cobra.Command{
		Use:   "submit FILE",
		Short: "Hand in an order that two officers have signed",
		Args:  oneArg("the order's file"),
		RunE: func(c *cobra.Command, args []string) error {
			op, err := operator.Open(profile)
			if err != nil {
				return err
			}
			d, err := op.Submit(c.Context(), args[0])
			return printDecision(d, err, asJSON)
		},
	}
	profileFlag(c, &profile)
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}
