package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/bench/load"
)

func loadCommand() *cobra.Command {
	c := load.Config{}
	var file string
	var padded, asJSON bool
	cmd := &cobra.Command{
		Use:   "load SERVER:PORT",
		Short: "Ask your own DNS server at a fixed rate and say how long answers took",
		Long: `Ask the questions of a file (lines "NAME TYPE") in turn, at a fixed rate, and print percentiles of the time from when a question was due to its answer,
so that a server that stalls shows it. For servers of your own, on your own network.`,
		Example: "  cordon-bench load 127.0.0.1:853 --over tls --rate 5000 --questions names.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c.Server = args[0]
			if !slices.Contains(load.Transports, c.Over) {
				return fmt.Errorf("--over %s: want one of %s", c.Over, strings.Join(load.Transports, ", "))
			}
			f, err := os.Open(file)
			if err != nil {
				return err
			}
			defer f.Close()
			if c.Questions, err = load.Read(f, padded); err != nil {
				return fmt.Errorf("read %s: %w", file, err)
			}
			r, err := load.Run(cmd.Context(), c)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), r)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Over, "over", "udp", strings.Join(load.Transports, ", "))
	f.Float64Var(&c.Rate, "rate", 1000, "questions a second")
	f.DurationVar(&c.Time, "time", 10*time.Second, "how long")
	f.IntVar(&c.Conns, "conns", 4, "sockets or connections, used in turn")
	f.IntVar(&c.Households, "households", 0, "addresses of loopback (127.1.0.1 and on) that connections come from in turn, for a server on loopback")
	f.StringVar(&c.CA, "ca", "", "PEM file with the authority of the server's certificate; it is not verified without")
	f.StringVar(&file, "questions", "", "file with a NAME and a TYPE a line")
	f.BoolVar(&padded, "padded", false, "pad questions as RFC 8467 says, as clients of encrypted transports do")
	f.BoolVar(&asJSON, "json", false, "print data as JSON (times in nanoseconds)")
	_ = cmd.MarkFlagRequired("questions")
	return cmd
}
