package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/identity"
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
				return &appliance.InputError{Err: err}
			}
			fmt.Printf("Made %s. Keep it to yourself; give %s/%s to who makes the cluster: cordon init --officer officer.pub ...\n", dir, dir, identity.OfficerFile)
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
	r             appliance.OrderRequest
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
func (o *ordering) open(c *cobra.Command) (*appliance.Operator, error) {
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
	return appliance.OpenOperator(o.profile)
}

func (o *ordering) print(d appliance.Decision, err error) error {
	return printDecision(d, err, o.asJSON)
}

func printDecision(d appliance.Decision, err error, asJSON bool) error {
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(d)
	}
	d.Write(os.Stdout)
	return nil
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
	c := &cobra.Command{
		Use:   "approve",
		Short: "Let a version that a brake holds back come into force (two officers)",
		Long: "Let a version that a brake holds back come into force: this very version, for these brakes and entries, and nothing else. When a brake\n" +
			"finds more than was named, the version is held back again." + twoSteps,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			op, err := o.open(c)
			if err != nil {
				return err
			}
			return o.print(op.Approve(c.Context(), o.r, list, entries, brakes))
		},
	}
	o.flags(c, "1d")
	c.Flags().StringVar(&list, "list", "", "HOTLINE/LIST (default: the one that is held back)")
	c.Flags().StringArrayVar(&entries, "entry", nil, "id of an entry that may pass the brake")
	c.Flags().StringArrayVar(&brakes, "brake", nil, "brake to overrule (default: the one that holds it)")
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
				d, err := appliance.ShowOrder(args[0])
				return printDecision(d, err, asJSON)
			}
			d, err := appliance.Countersign(args[0], officer)
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
			op, err := appliance.OpenOperator(profile)
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
