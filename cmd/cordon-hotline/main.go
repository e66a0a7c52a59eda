// Command cordon-hotline is the tool of hotlines and of the authority that accredits them: it takes assessed addresses in, has two
// people sign, and writes the static repository that operators read. docs/hotline.md is its manual; listsync/publish does the work.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cmd/progress"
	"github.com/cordon-project/cordon/cmd/terminal"
	"github.com/cordon-project/cordon/listsync/publish"
)

func main() {
	// What a list of millions keeps in memory is a few large blocks without pointers: collecting more often costs a twentieth of the time and
	// saves a third of the peak.
	debug.SetGCPercent(40)
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole command; it gives the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	stdout, stderr = terminal.Safe(stdout), terminal.Safe(stderr) // rows, requests and receipts have words of others in them
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	c, err := root.ExecuteContextC(context.Background())
	if err == nil {
		return int(publish.CodeOK)
	}
	if rows, ok := errors.AsType[*publish.RowErrors](err); ok {
		fmt.Fprintln(stderr, rows.Error())
	}
	if f, ok := errors.AsType[*publish.Fault](err); ok {
		fmt.Fprintf(stderr, "%s: %s\n", c.CommandPath(), f.What)
		if f.Do != "" {
			fmt.Fprintf(stderr, "  what to do: %s\n", f.Do)
		}
		return int(f.Code)
	}
	// What did not come from publish came from reading the command line.
	fmt.Fprintf(stderr, "%s: %s\n  what to do: see %s --help\n", c.CommandPath(), plainUsage(c, err), c.CommandPath())
	return int(publish.CodeUsage)
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "cordon-hotline",
		Short: "Import, check, sign and publish a hotline's list",
		Long: `cordon-hotline keeps a hotline's list: analysts import rows, the tool checks and compares them, two officers sign, and publish
writes a directory that any web server can serve. The same tool makes and runs an accreditation authority.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 bad input or configuration, 4 held by a brake or a missing signature, 5 verification failed.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	holdsOthers(root)
	root.PersistentFlags().Bool("json", false, "print data as JSON")
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(privateCommand(), auditorCommand(), answerCommand())
	root.AddCommand(
		authorityCommand(), officerCommand(), initCommand(), changeCommand(), acceptCommand(), operatorCommand(), rekeyCommand(), witnessesCommand(),
		importCommand(), removeCommand(), reviewCommand(), reattestCommand(), holdbackCommand(), checkCommand(), diffCommand(),
		signCommand(), publishCommand(), refreshCommand(), withdrawCommand(), countersignCommand(), openCommand(), reviewerCommand(),
		statusCommand(), receiptsCommand(), traceCommand(), canonCommand(), popularityCommand(), versionCommand(),
	)
	return root
}

// missing answers a command that only holds others: its help, to standard error like every mistake, and wrong usage.
func missing(c *cobra.Command, _ []string) error {
	c.SetOut(c.ErrOrStderr())
	if err := c.Help(); err != nil {
		return err
	}
	return errors.New("a command is missing")
}

// group is a command that only holds others.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	c := holdsOthers(&cobra.Command{Use: use, Short: short})
	c.AddCommand(subs...)
	return c
}

// holdsOthers makes c refuse everything but its subcommands. A misspelled one comes with flags that c does not know: the name is what
// is wrong then, so the flags are let through to unknown.
func holdsOthers(c *cobra.Command) *cobra.Command {
	c.Args, c.RunE, c.SuggestionsMinimumDistance = unknown, missing, 2
	c.FParseErrWhitelist = cobra.FParseErrWhitelist{UnknownFlags: true}
	return c
}

// unknown names the subcommand that is none, and those that were perhaps meant.
func unknown(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	what := fmt.Sprintf("unknown command %q for %q", args[0], c.CommandPath())
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		what += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return errors.New(what)
}

// does makes a RunE whose errors are faults: what publish could not put in words is a failure of the machine, not of usage.
func does(f func(c *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		err := f(c, args)
		if _, ok := errors.AsType[*publish.Fault](err); err == nil || ok {
			return err
		}
		return &publish.Fault{Code: publish.CodeFailure, What: err.Error(), Err: err}
	}
}

// on is does for a command that works in a hotline's directory (--dir).
func on(f func(h *publish.Hotline, c *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return does(func(c *cobra.Command, args []string) error {
		bar := progress.On(c.ErrOrStderr())
		if isSet(c, "json") {
			bar = nil
		}
		conf := config()
		conf.Progress = bar
		h, err := publish.Open(conf, flag(c, "dir"))
		if err != nil {
			return err
		}
		return f(h, c, args)
	})
}

// withDir adds the flag --dir, which must be given.
func withDir(c *cobra.Command, what string) *cobra.Command {
	c.Flags().String("dir", "", what)
	return required(c, "dir")
}

func required(c *cobra.Command, names ...string) *cobra.Command {
	for _, n := range names {
		if err := c.MarkFlagRequired(n); err != nil {
			panic("cordon-hotline: " + err.Error())
		}
	}
	return c
}

func flag(c *cobra.Command, name string) string {
	s, err := c.Flags().GetString(name)
	if err != nil {
		panic("cordon-hotline: " + err.Error())
	}
	return s
}

func flags(c *cobra.Command, name string) []string {
	s, err := c.Flags().GetStringArray(name)
	if err != nil {
		panic("cordon-hotline: " + err.Error())
	}
	return s
}

func isSet(c *cobra.Command, name string) bool {
	b, err := c.Flags().GetBool(name)
	if err != nil {
		panic("cordon-hotline: " + err.Error())
	}
	return b
}

// show prints v as JSON when asked, else what text writes.
func show(c *cobra.Command, v any, text func(w io.Writer) error) error {
	if isSet(c, "json") {
		enc := json.NewEncoder(c.OutOrStdout())
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	return text(c.OutOrStdout())
}

// line is a text for show that is one line.
func line(format string, a ...any) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := fmt.Fprintf(w, format+"\n", a...)
		return err
	}
}
