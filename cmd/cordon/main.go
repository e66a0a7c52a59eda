// Command cordon is the operator's tool: it makes a cluster's files, runs control nodes and edges, says how they are, and hands auditors
// their bundle.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/appliance/operator"
	"github.com/cordon-project/cordon/cmd/terminal"
)

// Exit codes, the same for all commands of Cordon.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitConfig  = 3
	exitHeld    = 4
	exitRefused = 5
)

// What is printed may have words of other nodes, hotlines and operators in it.
var (
	stdout = terminal.Safe(os.Stdout)
	stderr = terminal.Safe(os.Stderr)
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:           "cordon",
		Short:         "Stops child sexual abuse material in DNS from signed lists, and proves that it stops nothing else",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.FParseErrWhitelist.UnknownFlags = true // so that a misspelled command is named, not its flag
	root.Args = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage(c, fmt.Errorf("unknown command %q", args[0]))
		}
		return usage(c, errors.New("a command is needed"))
	}
	root.RunE = func(*cobra.Command, []string) error { return nil } // Args never lets it come to this
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, err) })
	root.AddCommand(devCommand(), initCommand(), controlCommand(), edgeCommand(), statusCommand(), bundleCommand(), proveCommand(), exportCommand(), edgeAddCommand(), auditorAddCommand(), sealCommand(), enrolCommand(), dismissCommand(),
		heldCommand(), simulateCommand(), officerCommand(), pinCommand(), approveCommand(), suppressCommand(), returnCommand(), bypassCommand(), exemptCommand(), analystsCommand(),
		policyCommand(), witnessCommand(), whichCommand(), countersignCommand(), submitCommand(), appealCommand(), certifyCommand(), figuresCommand(), versionCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(stderr, "cordon:", err)
		stop()
		os.Exit(exitCode(err))
	}
}

// usageError is a mistake on the command line.
type usageError struct{ error }

func usage(c *cobra.Command, err error) error {
	return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
}

// noArgs and oneArg refuse other numbers of arguments as mistakes of usage.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(c, fmt.Errorf("unexpected argument %q", args[0]))
	}
	return nil
}

func oneArg(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage(c, fmt.Errorf("one argument is needed: %s", what))
		}
		return nil
	}
}

func exitCode(err error) int {
	var problems config.Errors
	switch {
	case errors.As(err, new(usageError)):
		return exitUsage
	case errors.As(err, &problems), errors.As(err, new(*appliance.InputError)), errors.Is(err, operator.ErrOtherHistory):
		return exitConfig
	}
	if errors.Is(err, operator.ErrHeld) {
		return exitHeld
	}
	if errors.Is(err, operator.ErrRefused) {
		return exitRefused
	}
	return exitFailed
}

// logger writes what a process does to standard error, one line each; no level of it holds a subscriber or a name.
func logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
}
