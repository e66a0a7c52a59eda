package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/appliance/operator"
)

func exportCommand() *cobra.Command {
	var profile, dir string
	c := &cobra.Command{
		Use:   "export",
		Short: "Write the cluster's log as static files that any web server or mirror can serve (C2SP tlog-tiles)",
		Long: `export writes the log's checkpoint, tiles and entry bundles below a directory, laid out as C2SP tlog-tiles asks. Any web server can
serve it, and readers verify the checkpoint's signatures: a mirror needs no key and is believed in nothing. Called again (from a
timer, for instance) it adds what is new. A log that is not the continuation of the one in the directory is refused.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" {
				return usage(c, fmt.Errorf("--dir is needed: the directory to write to"))
			}
			o, err := operator.Open(profile)
			if err != nil {
				return err
			}
			done, err := o.Export(c.Context(), dir)
			if err != nil {
				return err
			}
			fmt.Fprintf(stdout, "%s holds the log of %d leaves; %d new files.\n", dir, done.Size, done.New)
			return nil
		},
	}
	profileFlag(c, &profile)
	c.Flags().StringVar(&dir, "dir", "", "directory to write to")
	return c
}
