package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/appliance/control"
	"github.com/cordon-project/cordon/appliance/dev"
	"github.com/cordon-project/cordon/appliance/edge"
)

func devCommand() *cobra.Command {
	var dir, dns string
	var verbose bool
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run the whole picture on loopback: hotline, three control nodes, an edge, stop pages",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var at netip.AddrPort
			if dns != "" {
				var err error
				if at, err = netip.ParseAddrPort(dns); err != nil || !at.Addr().IsLoopback() {
					return usage(c, fmt.Errorf("--dns %q is not a loopback address with a port, like 127.0.0.1:5300", dns))
				}
			}
			if dir == "" {
				made, err := os.MkdirTemp("", "cordon-dev-")
				if err != nil {
					return err
				}
				defer os.RemoveAll(made)
				dir = made
			}
			level := slog.LevelError
			if verbose {
				level = slog.LevelInfo
			}
			return dev.Run(c.Context(), dev.Config{Dir: dir, DNS: at, Out: stdout, Log: logger(level)})
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "where keys, lists and logs of the run go; emptied at the next start (default: a temporary directory)")
	c.Flags().StringVar(&dns, "dns", "", "loopback address and port the edge answers DNS on (default: a free port of 127.0.0.1)")
	c.Flags().BoolVar(&verbose, "verbose", false, "log what the parts do")
	return c
}

func controlCommand() *cobra.Command {
	var path string
	var rejoin, check bool
	c := &cobra.Command{
		Use:   "control",
		Short: "Run a control node",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.LoadControl(path)
			if err != nil {
				return appliance.BadInput(err)
			}
			if check {
				return sayRight(path)
			}
			if err := appliance.Harden(); err != nil {
				return err
			}
			log := logger(cfg.LogLevel).With(slog.String("node", cfg.Name))
			node, err := control.Open(c.Context(), cfg, appliance.Options{Log: log, Rejoin: rejoin})
			if err != nil {
				return err
			}
			log.Info("control node runs", slog.String("api", cfg.APIListen.String()), slog.String("raft", cfg.RaftListen.String()))
			err = node.Run(c.Context())
			log.Info("control node stopped")
			return err
		},
	}
	c.Flags().BoolVar(&rejoin, "rejoin", false, "this node's log was lost and a majority of the others is sound: take it from them (once)")
	configFlag(c, &path)
	checkFlag(c, &check)
	return c
}

func edgeCommand() *cobra.Command {
	var path string
	var check bool
	c := &cobra.Command{
		Use:   "edge",
		Short: "Run an edge server: DNS and stop pages",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.LoadEdge(path)
			if err != nil {
				return appliance.BadInput(err)
			}
			if check {
				return sayRight(path, cfg.Warnings()...)
			}
			if err := appliance.Harden(); err != nil {
				return err
			}
			log := logger(cfg.LogLevel).With(slog.String("node", cfg.Name))
			node, err := edge.Open(c.Context(), cfg, appliance.Options{Log: log})
			if err != nil {
				return err
			}
			for _, warning := range cfg.Warnings() {
				log.Warn("configuration", slog.String("file", path), slog.String("warning", warning))
			}
			log.Info("edge runs", edge.Listening(cfg)...)
			err = node.Run(c.Context())
			log.Info("edge stopped")
			return err
		},
	}
	configFlag(c, &path)
	checkFlag(c, &check)
	return c
}

func configFlag(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "config", "", "the node's YAML file, as cordon init wrote it")
	args := c.Args
	c.Args = func(c *cobra.Command, a []string) error {
		if *path == "" && len(a) == 1 {
			return usage(c, fmt.Errorf("write --config %s", a[0]))
		}
		if err := args(c, a); err != nil {
			return err
		}
		if *path == "" {
			return usage(c, fmt.Errorf("--config is needed"))
		}
		return nil
	}
}

func checkFlag(c *cobra.Command, check *bool) {
	c.Flags().BoolVar(check, "check", false, "only read the file and say what is wrong in it (exit code 0: nothing, 3: something); a running node goes on")
}

// sayRight answers --check for a file without mistakes.
func sayRight(path string, warnings ...string) error {
	for _, one := range warnings {
		fmt.Fprintf(stderr, "%s: warning: %s\n", path, one)
	}
	_, err := fmt.Fprintf(stdout, "%s is right.\n", path)
	return err
}
