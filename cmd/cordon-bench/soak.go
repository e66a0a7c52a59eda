package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/bench/soak"
)

func soakCommand() *cobra.Command {
	c := soak.Config{}
	var page string
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "Ask an edge for an hour while its list changes every ten seconds",
		Long: `Make a hotline, three control nodes and an edge, ask the edge at a fixed rate, and publish a signed version every few seconds meanwhile. It fails when a
question is not answered, or not as the list has it. Everything is on loopback and in a directory for temporary files.`,
		Example: "  cordon-bench soak --bin bin --rate 50000 --time 1h",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if c.Bin, err = filepath.Abs(c.Bin); err != nil {
				return err
			}
			if c.Dir, err = os.MkdirTemp("", "cordon-soak-*"); err != nil {
				return err
			}
			defer os.RemoveAll(c.Dir)
			r, err := soak.Run(cmd.Context(), c)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), r)
			if page != "" {
				err = os.WriteFile(page, []byte(r.Markdown("cordon-bench "+strings.Join(os.Args[1:], " "))), 0o644)
			}
			return errors.Join(r.Err(), err)
		},
	}
	f := cmd.Flags()
	f.IntVar(&c.Names, "names", 100_000, "names on the list")
	f.IntVar(&c.Change, "change", 100, "names that each version takes in, and out")
	f.Float64Var(&c.Rate, "rate", 50_000, "questions a second")
	f.DurationVar(&c.Time, "time", time.Hour, "how long")
	f.DurationVar(&c.Every, "every", 10*time.Second, "from one version to the next")
	f.StringVar(&c.Bin, "bin", "bin", "directory of cordon and cordon-hotline")
	f.StringVar(&page, "page", "", "file for a page with the result; none is written without it")
	f.StringVar(&c.EdgeCPU, "edge-cpu", "", `processors of the edge, as taskset takes them ("1"); start this command itself with taskset for the others'`)
	return cmd
}
