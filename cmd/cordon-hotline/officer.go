package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/cordon-project/cordon/listsync/publish"
)

// The commands of officers: officer, officer sign on a machine of their own, and sign at the hotline's.

func officerCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:     "officer --dir DIR",
		Short:   "Make one officer's key directory; officer sign answers a request on the officer's own machine",
		Example: `  cordon-hotline officer --dir officer-1`,
		Args:    cobra.NoArgs,
		RunE: does(func(c *cobra.Command, _ []string) error {
			dir := flag(c, "dir")
			if uri := flag(c, "pkcs11"); uri != "" {
				p, err := publish.NewTokenOfficer(config(), dir, flag(c, "name"), publish.TokenOptions{URI: uri, Helper: flag(c, "helper"), Make: isSet(c, "make")})
				if err != nil {
					return err
				}
				return show(c, p, line("officer %s signs with a key in a token; %s says which\nthe token and officer.age stay with this person alone; officer.pub goes to init or change", p.Name, filepath.Join(dir, "officer.key")))
			}
			if isSet(c, "make") || flag(c, "helper") != "" {
				return usage("--make and --helper belong to --pkcs11")
			}
			p, err := publish.NewOfficer(config(), dir, flag(c, "name"))
			if err != nil {
				return err
			}
			return show(c, p, line("made the key of officer %s in %s\nofficer.key and officer.age stay with this person alone; officer.pub goes to init or change", p.Name, dir))
		}),
	}, "the officer's new directory")
	c.Flags().String("pkcs11", "", "the officer's key is in a token: 'pkcs11:token=NAME;object=NAME?module-path=/path/of/the/token/library.so'")
	c.Flags().String("helper", "", "with --pkcs11: the program cordon-pkcs11 (default: beside this one)")
	c.Flags().Bool("make", false, "with --pkcs11: have the token make the key")
	c.Flags().String("name", "", "the officer's name or function; default: the last part of --dir")
	c.AddCommand(officerSignCommand())
	return c
}

func officerSignCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "sign --officer OFFICER_DIR [--out SIGNATURE] REQUEST",
		Short:   "Show what a request asks to sign and, with --out, sign it: on the officer's own machine, without a network",
		Example: `  cordon-hotline officer sign --officer officer-1 --out version-5.officer-1 version-5.request`,
		Long: `Read a request that "sign --export" wrote, show its difference in plain words, and write the signature to --out, to be carried back
to the hotline's machine ("sign --import"). Without --out nothing is signed and no key is used.

A request made with --full carries the entries and keys, encrypted to the officer: this tool then makes every byte of the version
again before it signs. They lie in --work while it runs (in memory unless you name another place) and are removed at the end.`,
		Args: cobra.ExactArgs(1),
		RunE: does(func(c *cobra.Command, args []string) error {
			version, entries, err := approvals(flags(c, "approve"))
			if err != nil {
				return err
			}
			work, remove, err := publish.WorkDir(flag(c, "work"))
			if err != nil {
				return err
			}
			defer removeAtSignal(remove)()
			a, err := publish.Answer(config(), publish.AnswerOptions{
				Officer: flag(c, "officer"), Request: args[0], Out: flag(c, "out"), NeverBlock: flags(c, "never-block"), Approve: version,
				ApproveEntries: entries, All: isSet(c, "all"), Work: work,
			})
			if errors.Is(err, publish.ErrHeld) && a != nil {
				return errors.Join(err, show(c, a.Check, func(w io.Writer) error { a.Check.Write(w); return nil }))
			}
			if err != nil {
				return err
			}
			return show(c, a, func(w io.Writer) error { return a.Write(w, limit(c)) })
		}),
	}
	f := c.Flags()
	f.String("officer", "", "the directory with your officer.key, officer.age and officer.pub")
	f.String("out", "", "where the signature goes; without it nothing is signed")
	f.String("work", "", "where what the request carries lies for as long as this runs (default /dev/shm, which is memory)")
	f.StringArray("never-block", nil, "a file of names that may never be blocked, of your own; may be given again")
	f.StringArray("approve", nil, approveHelp)
	f.Bool("all", false, "show every line of the difference")
	return required(c, "officer")
}

// config is the surroundings of an officer: where the PIN of a token comes from.
func config() publish.Config {
	c := publish.Config{PINFile: os.Getenv("CORDON_PIN_FILE")}
	if term.IsTerminal(int(os.Stdin.Fd())) {
		c.PIN = func(prompt string) ([]byte, error) {
			fmt.Fprint(os.Stderr, prompt+": ")
			defer fmt.Fprintln(os.Stderr)
			return term.ReadPassword(int(os.Stdin.Fd()))
		}
	}
	return c
}

// removeAtSignal gives a function that removes, and sees to it that an interrupt does so too.
func removeAtSignal(remove func()) func() {
	signals := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() { // ends with the command
		select {
		case <-signals:
			remove()
			os.Exit(int(publish.CodeFailure))
		case <-done:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
		remove()
	}
}

func signCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:     "sign --dir HOTLINE --officer OFFICER_DIR | --export REQUEST | --import SIGNATURE",
		Short:   "Make the next version, unless it is staged already, and sign it here or on an officer's own machine",
		Example: `  cordon-hotline sign --dir hotline --officer officer-1`,
		Long: `With --officer, sign here. With --export, write a request that is carried to an officer's own machine and answered there with
"officer sign"; with --import, take the answer in. Whichever way, the version is made once and each officer signs the same bytes.`,
		Args: cobra.NoArgs,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, _ []string) error {
			if err := oneWay(c); err != nil {
				return err
			}
			switch {
			case c.Flags().Changed("export"):
				x, err := h.Export(publish.ExportOptions{
					File: flag(c, "export"), For: flags(c, "for"), Full: isSet(c, "full"), NeverBlock: flags(c, "never-block"), Again: isSet(c, "again"), All: isSet(c, "all"),
				})
				if errors.Is(err, publish.ErrHeld) && x != nil {
					return errors.Join(err, show(c, x.Check, func(w io.Writer) error { x.Check.Write(w); return nil }))
				}
				if err != nil {
					return err
				}
				return show(c, x, func(w io.Writer) error { return x.Write(w, limit(c)) })
			case c.Flags().Changed("import"):
				return signed(c)(h.ImportSignature(flag(c, "import")))
			}
			version, entries, err := approvals(flags(c, "approve"))
			if err != nil {
				return err
			}
			return signed(c)(h.SignWith(publish.SignOptions{
				Officer: flag(c, "officer"), NeverBlock: flags(c, "never-block"), Approve: version, ApproveEntries: entries, Again: isSet(c, "again"),
				All: isSet(c, "all"),
			}))
		}),
	}, hotlineDir)
	f := c.Flags()
	f.String("officer", "", "the directory with your officer.key, to sign here")
	f.String("export", "", "write a request to this file, for officers to sign on machines of their own")
	f.StringArray("for", nil, "with --export: an officer's name; may be given again (default: all who have still to sign)")
	f.Bool("full", false, "with --export: carry all entries and keys, encrypted, so that the officer's tool proves every byte")
	f.String("import", "", "take in the signature that an officer's machine made")
	f.StringArray("never-block", nil, "a file of names that may never be blocked; may be given again")
	f.StringArray("approve", nil, "with --officer: "+approveHelp)
	f.Bool("again", false, "sign an unchanged list anew, or drop a version that stands in the public log and is not published")
	f.Bool("all", false, "show every line of the difference")
	return c
}

// oneWay wants exactly one way of signing, and only its own flags.
func oneWay(c *cobra.Command) error {
	ways := 0
	for _, f := range []string{"officer", "export", "import"} {
		if flag(c, f) != "" {
			ways++
		}
	}
	if ways != 1 {
		return usage("give one of --officer OFFICER_DIR, --export REQUEST and --import SIGNATURE")
	}
	for f, of := range map[string]string{"for": "export", "full": "export", "approve": "officer"} {
		if c.Flags().Changed(f) && flag(c, of) == "" {
			return usage(fmt.Sprintf("--%s belongs to --%s", f, of))
		}
	}
	return nil
}

// signed shows what became of a signature.
func signed(c *cobra.Command) func(*publish.Signed, error) error {
	return func(g *publish.Signed, err error) error {
		if errors.Is(err, publish.ErrHeld) && g != nil && g.Check != nil {
			return errors.Join(err, show(c, g.Check, func(w io.Writer) error { g.Check.Write(w); return nil }))
		}
		if err != nil {
			return err
		}
		return show(c, g, func(w io.Writer) error { return g.Write(w, limit(c)) })
	}
}
