package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/listsync/publish"
)

func witnessesCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:   "witnesses --dir HOTLINE [--policy FILE [--ca FILE]] [--none]",
		Short: "Say who cosigns the public log before a version is published",
		Example: `  cordon-hotline witnesses --dir hotline --policy witnesses.policy --ca their-authorities.pem
  cordon-hotline witnesses --dir hotline                       # who it is
  cordon-hotline witnesses --dir hotline --none`,
		Long: `FILE is a policy in the form of c2sp.org/tlog-policy: witnesses with their keys and URLs, groups, and the quorum that must have seen
the log. Operators say in their cluster file which witnesses they want to have seen it: name at least those. Without a policy the log
is signed by the hotline alone. --ca has the authorities of witnesses whose certificates are none of a public one, in PEM.`,
		Args: cobra.NoArgs,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, _ []string) error {
			set, err := h.SetWitnesses(flag(c, "policy"), flag(c, "ca"), isSet(c, "none"))
			if err != nil {
				return err
			}
			return show(c, set, func(w io.Writer) error {
				if len(set.Asked) == 0 {
					_, err := fmt.Fprintln(w, "nobody cosigns the public log: operators who ask for witnesses do not take versions in")
					return err
				}
				fmt.Fprintln(w, "asked to cosign the public log before a version is published:")
				for _, x := range set.Asked {
					fmt.Fprintf(w, "  %s\n", x)
				}
				return nil
			})
		}),
	}, "the hotline's directory")
	c.Flags().String("policy", "", "a witness policy")
	c.Flags().String("ca", "", "authorities of the witnesses' certificates, in PEM")
	c.Flags().Bool("none", false, "ask nobody any more")
	return c
}
