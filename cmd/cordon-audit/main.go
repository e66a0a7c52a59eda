// Command cordon-audit checks a cluster from outside: that only lists signed by accredited hotlines for the one
// scope csam are in force, the same on every edge, with nothing added, kept or hidden. It needs no key, no trust in
// the operator and, with a bundle file, no network; cluster/audit does the work.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/program"
	"github.com/cordon-project/cordon/cmd/terminal"
	"github.com/cordon-project/cordon/resolver/canon"
)

// Exit codes, the same for all commands of Cordon where they apply.
const (
	codeOK     = 0
	codeFailed = 1
	codeUsage  = 2
	codeInput  = 3
	codeFail   = 5
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // list files come and go: 178 MB instead of 263 for a list of a million entries, in the same time (bench/results/audit.md)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go endAnyway(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// patience is how long a command may take to end in order after a signal.
const patience = 3 * time.Second

// endAnyway ends a command that a signal does not reach: one that waits for a named pipe that nobody writes to, or for a disk. A second signal
// ends it at once. What it was writing has its name only when it is whole.
func endAnyway(ctx context.Context, stop func()) {
	<-ctx.Done()
	stop()
	time.Sleep(patience)
	fmt.Fprintln(os.Stderr, "cordon-audit: ended by a signal; it waited for a file or a disk that does not answer")
	os.Exit(codeFailed)
}

// errFail: a check failed, the report has been printed.
var errFail = errors.New("verification failed")

// fault is why nothing can be said: an input that cannot be read, or a result that cannot be written.
type fault struct {
	code int
	err  error
	do   string
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// unreadable is an input that cannot be read or is not what it has to be.
func unreadable(err error, do string) error { return &fault{codeInput, err, do} }

// unwritten is a result that did not reach the disk or whoever reads our output; nil for nil.
func unwritten(what string, err error) error {
	if err == nil {
		return nil
	}
	return &fault{codeFailed, fmt.Errorf("write %s: %w", what, err), "check the disk, or what reads the output"}
}

// run is the whole command; it gives the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	stdout, stderr = terminal.Safe(stdout), terminal.Safe(stderr)
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return codeOK
	}
	if errors.Is(err, errFail) {
		return codeFail
	}
	fmt.Fprintf(stderr, "%s: %s\n", c.CommandPath(), audit.Escape(err.Error()))
	if f, ok := errors.AsType[*fault](err); ok {
		if f.do != "" {
			fmt.Fprintf(stderr, "  what to do: %s\n", f.do)
		}
		return f.code
	}
	fmt.Fprintf(stderr, "  what to do: see %s --help\n", c.CommandPath())
	return codeUsage
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "cordon-audit",
		Short: "Check from outside what an operator's cluster blocks",
		Long: `cordon-audit checks that what a cluster enforces is exactly what accredited hotlines signed, for the one scope csam. It
needs the trust file (from the operator once, compared through another channel) and a bundle: a file made by "cordon bundle",
or a control node's address, from which it reads the same thing. It never sees a list's names and needs no key.

Exit codes: 0 every check passed, 1 the result could not be written, 2 wrong usage, 3 bad input (a file or node that cannot be
read, a trust file that is none), 5 verification failed.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          unknown,
		RunE:          func(*cobra.Command, []string) error { return errors.New("a command is missing") },
		// A misspelled command comes with flags that the root does not know; the name is what is wrong then.
		FParseErrWhitelist:         cobra.FParseErrWhitelist{UnknownFlags: true},
		SuggestionsMinimumDistance: 2,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		proofCommand(),
		watchCommand(),
		witnessKeyCommand(),
		verifyCommand(),
		showCommand(),
		probeCommand(),
		lookupCommand(),
		reportCommand(),
		certificateCommand(),
		figuresCommand(),
		publicLogCommand(),
		trustCommand(),
		sampleCommand(),
		versionCommand(),
	)
	return root
}

// unknown names the command that is none, and those that were perhaps meant.
func unknown(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	what := fmt.Sprintf("unknown command %q", args[0])
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		what += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return errors.New(what)
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, this program's own digest and the canonicalisation rules this tool was built with",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			own, err := program.Self()
			if err != nil {
				return unreadable(err, "")
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%vbundle version 2, leaf version 1\ncanonicalisation %s\n", own, canon.RuleSet())
			return unwritten("output", err)
		},
	}
}

// exactly takes n arguments, and says in the command's own words which those are.
func exactly(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		are := "arguments are"
		if n == 1 {
			are = "argument is"
		}
		return fmt.Errorf("%d %s needed after the flags, %d given: cordon-audit %s", n, are, len(args), c.Use)
	}
}
