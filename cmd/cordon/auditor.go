package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/identity"
)

func auditorAddCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "auditor-add NAME",
		Short: "Make a certificate with which an auditor may ask whether a name is listed",
		Long: fmt.Sprintf(`Make a client certificate for an auditor below the directory of cordon init. It opens one thing: cordon-audit lookup, %d names a day at each control
node, each counted in cordon status. It is good for a year, and nothing takes it back before.`, api.LookupsADay),
		Args: oneArg("the auditor's name"),
		RunE: func(c *cobra.Command, args []string) error {
			if dir == "" {
				return usage(c, fmt.Errorf("--dir is needed: the directory of cordon init"))
			}
			home, err := identity.AddAuditor(dir, args[0])
			if err != nil {
				return appliance.BadInput(err)
			}
			fmt.Fprintf(stdout, "Made %s. Hand its two files to the auditor, who asks with: cordon-audit lookup NAME --trust trust.json --cert %s --key %s https://NODE:PORT\n",
				home, filepath.Join(home, "auditor.crt"), filepath.Join(home, "auditor.key"))
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "the directory of cordon init")
	return c
}
