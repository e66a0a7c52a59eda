package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/appliance/operator"
	"github.com/cordon-project/cordon/appliance/operator/report"
)

// idLines are the entry ids that are shown of each brake, unless --all.
const idLines = 10

// looking are the flags of commands that show what brakes say.
type looking struct {
	profile     string
	all, asJSON bool
}

func (l *looking) flags(c *cobra.Command) {
	profileFlag(c, &l.profile)
	c.Flags().BoolVar(&l.all, "all", false, "show every entry id")
	c.Flags().BoolVar(&l.asJSON, "json", false, "print the answer as JSON")
}

func (l *looking) most() int {
	if l.all {
		return 0
	}
	return idLines
}

// print writes v as JSON when asked, else what text writes.
func (l *looking) print(v any, text func()) error {
	if !l.asJSON {
		text()
		return nil
	}
	enc := json.NewEncoder(stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func heldCommand() *cobra.Command {
	var l looking
	c := &cobra.Command{
		Use:   "held",
		Short: "Say which list versions brakes hold back, why, and which entries it is about",
		Long: "Say which list versions brakes hold back, why, and which entries it is about: counts, kinds and entry ids. No name is known here; the hotline\n" +
			"knows the names of its entry ids. Exit code 0 when nothing is held back, 4 when something is.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := operator.Open(l.profile)
			if err != nil {
				return err
			}
			held, err := o.Held(c.Context())
			if err != nil {
				return err
			}
			if err := l.print(held, func() { report.Held(stdout, held, l.most()) }); err != nil {
				return err
			}
			if len(held) > 0 {
				return operator.ErrHeld
			}
			return nil
		},
	}
	l.flags(c)
	return c
}

func simulateCommand() *cobra.Command {
	var l looking
	var list string
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Say what the version that a hotline publishes now would newly stop and free, and which brakes would hold it",
		Long: "Fetch what hotlines publish now, check it as a verdict would, and say what it would newly stop and free, in counts by kind, legal basis and\n" +
			"jurisdiction, and which brakes would hold it. Nothing is decided and nothing comes into force by this.\n" +
			"Exit code 0 when it would come into force or is in force, 4 when it would be held back or refused.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := operator.Open(l.profile)
			if err != nil {
				return err
			}
			all, err := o.Simulate(c.Context(), list)
			if err != nil {
				return err
			}
			if err := l.print(all, func() { report.Simulated(stdout, all, l.most()) }); err != nil {
				return err
			}
			return operator.Stands(all)
		},
	}
	l.flags(c)
	c.Flags().StringVar(&list, "list", "", "HOTLINE/LIST (default: all lists)")
	return c
}
