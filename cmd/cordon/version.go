package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/appliance"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, this program's own digest and the canonicalisation rules it was built with",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := appliance.Version()
			if err == nil {
				_, err = io.WriteString(stdout, text)
			}
			return err
		},
	}
}
