// Command cordon-bench measures Cordon on the machine it runs on and writes what it found. It is a tool of developers and of whoever
// doubts a figure; nothing else needs it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/bench/lists"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the whole command; it gives the exit code: 0 done, 1 failed, 2 wrong usage.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	started := false
	root := &cobra.Command{
		Use: "cordon-bench", Short: "Measure Cordon on this machine", SilenceErrors: true, SilenceUsage: true,
		PersistentPreRun: func(*cobra.Command, []string) { started = true },
	}
	root.AddCommand(listsCommand(), edgeCommand(), dnsCommand(), changeCommand(), loadCommand(), soakCommand(), echoCommand())
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "%s: %s\n", c.CommandPath(), err)
	if started {
		return 1
	}
	fmt.Fprintf(stderr, "  what to do: see %s --help\n", c.CommandPath())
	return 2
}

func listsCommand() *cobra.Command {
	c := lists.Config{}
	var bin, results string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "lists",
		Short: "Measure a list's whole way at a size: import, signatures, publication, an edge's work with it",
		Long: `Make a synthetic list, take it through the real programs, and print a table of figures beside their targets. The table goes to
RESULTS/lists-ENTRIES.md too. It needs about 1.8 KB of disk an entry in --dir while it runs, and leaves nothing there.`,
		Example: "  cordon-bench lists --entries 1000000 --bin bin --results bench/results",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			hotline, err := filepath.Abs(filepath.Join(bin, "cordon-hotline"))
			if err != nil {
				return err
			}
			if _, err := os.Stat(hotline); err != nil {
				return fmt.Errorf("cordon-hotline is not in %s (%w): run make build, or name its directory with --bin", bin, err)
			}
			c.Hotline, c.Self, c.Log = hotline, self, cmd.ErrOrStderr()
			report, err := lists.Run(cmd.Context(), c)
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				enc.SetEscapeHTML(false)
				err = enc.Encode(report)
			} else {
				_, err = io.WriteString(cmd.OutOrStdout(), report.Text())
			}
			if err != nil || results == "" {
				return err
			}
			path := filepath.Join(results, fmt.Sprintf("lists-%d.md", c.Entries))
			if err := os.MkdirAll(results, 0o755); err != nil {
				return err
			}
			return os.WriteFile(path, []byte(report.Markdown("cordon-bench "+strings.Join(shown(cmd), " "))), 0o644)
		},
	}
	f := cmd.Flags()
	f.IntVar(&c.Entries, "entries", 1_000_000, "entries of the list")
	f.IntVar(&c.Delta, "delta", 1000, "entries that a second version adds")
	f.StringVar(&bin, "bin", "bin", "directory of cordon-hotline")
	f.StringVar(&c.Dir, "dir", "", "where to work (default: the directory for temporary files)")
	f.StringVar(&results, "results", "", "directory for the page with the figures; none is written without it")
	f.BoolVar(&asJSON, "json", false, "print data as JSON")
	return cmd
}

// shown is the command line that gives the same figures anywhere: without paths.
func shown(cmd *cobra.Command) []string {
	words := []string{cmd.Name()}
	for _, name := range []string{"entries", "delta"} {
		words = append(words, "--"+name, cmd.Flags().Lookup(name).Value.String())
	}
	return words
}

// edgeCommand is a process of its own for lists, so that its memory is its own.
func edgeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "edge STEP DIR", Hidden: true, Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			done, err := lists.Edge(args[0], args[1])
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(done)
		},
	}
}
