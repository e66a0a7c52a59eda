package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/bench/dns"
	"github.com/cordon-project/cordon/bench/dns/echo"
	"github.com/cordon-project/cordon/bench/operator"
)

func dnsCommand() *cobra.Command {
	var c dns.Config
	var results, only, workloads string
	cmd := &cobra.Command{
		Use:   "dns",
		Short: "Measure the shipped edge beside other DNS servers that have a block list",
		Long: `Make a signed list of the names that the peers' bench uses, bring it into force on an edge by three control nodes, and run the bench with this
edge, from its own disk and with its defaults, among its peers. It needs root and Debian 12 (the bench installs the peers), two cores, and about 2 GB
in --dir, which keeps what was made for the next run. The page goes to RESULTS/dns-NAMES.md too.`,
		Example: "  cordon-bench dns --bin bin --peers ../shared/peers/run.sh --results bench/results",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			for _, p := range []*string{&c.Bin, &c.Peers, &c.Dir} {
				if *p, err = filepath.Abs(*p); err != nil {
					return err
				}
			}
			split := func(s string) []string { return strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) }
			c.Only, c.Workloads, c.Log = split(only), split(workloads), cmd.ErrOrStderr()
			report, err := dns.Run(cmd.Context(), c)
			if err != nil {
				return err
			}
			command := fmt.Sprintf("cordon-bench dns --names %d --rounds %d --secs %g", c.Names, c.Rounds, c.Seconds)
			page := report.Markdown(command)
			fmt.Fprint(cmd.OutOrStdout(), page)
			if results == "" {
				return nil
			}
			if err := os.MkdirAll(results, 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(results, fmt.Sprintf("dns-%d.md", c.Names)), []byte(page), 0o644)
		},
	}
	f := cmd.Flags()
	f.IntVar(&c.Names, "names", 1_000_000, "names on the list")
	f.StringVar(&c.Bin, "bin", "bin", "directory of cordon and cordon-hotline")
	f.StringVar(&c.Peers, "peers", "../shared/peers/run.sh", "the peers' bench")
	f.StringVar(&c.Dir, "dir", filepath.Join(os.TempDir(), "dnsbench"), "where to work; kept")
	f.IntVar(&c.Rounds, "rounds", 3, "rounds; the median counts")
	f.Float64Var(&c.Seconds, "secs", 3, "seconds of a run")
	f.StringVar(&only, "only", "", "peers to measure beside Cordon, by comma; all without")
	f.StringVar(&workloads, "workloads", "", "of hot, mix, listed, miss, lat, by comma; all without")
	f.BoolVar(&c.Update, "update", false, "also change 100 names on each server")
	f.StringVar(&results, "results", "", "directory for the page; none is written without it")
	return cmd
}

// changeCommand is a process of its own for dns: what the peers' bench starts as Cordon's reload.
func changeCommand() *cobra.Command {
	var bin, home string
	cmd := &cobra.Command{
		Use: "dns-change ADD REMOVE", Hidden: true, Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return (&operator.Operator{Dir: home, Bin: bin}).Change(cmd.Context(), args[0], args[1])
		},
	}
	cmd.Flags().StringVar(&bin, "bin", "", "directory of cordon-hotline")
	cmd.Flags().StringVar(&home, "home", "", "what dns has made")
	return cmd
}

// echoCommand is a process of its own for dns: the floor beside the peers.
func echoCommand() *cobra.Command {
	var c echo.Config
	var listen, stop, others string
	cmd := &cobra.Command{
		Use: "dns-echo", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			at, err := netip.ParseAddrPort(listen)
			if err != nil {
				return err
			}
			if c.Conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at)); err != nil {
				return err
			}
			if c.Stop, err = netip.ParseAddr(stop); err != nil {
				return err
			}
			if c.Others, err = netip.ParseAddr(others); err != nil {
				return err
			}
			return echo.Run(cmd.Context(), c)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "IPv4 address and port")
	cmd.Flags().StringVar(&stop, "stop", "192.0.2.1", "answer for names that begin with h")
	cmd.Flags().StringVar(&others, "others", "198.51.100.7", "answer for other names")
	cmd.Flags().IntVar(&c.Batch, "batch", 64, "datagrams a call")
	return cmd
}
