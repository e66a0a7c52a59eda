package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/certificate"
	"github.com/cordon-project/cordon/cluster/audit/source"
	"github.com/cordon-project/cordon/listsync/trust"
)

// flags are those that verify and show share.
type flags struct {
	trust   string
	cert    string
	key     string
	timeout time.Duration
	json    bool
	all     bool // ask a node for, and expect of a file, every version
}

func (f *flags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.trust, "trust", "", "trust file: the cluster's description and CA, got from elsewhere than the bundle (required)")
	c.Flags().StringVar(&f.cert, "cert", "", "client certificate for a live node (PEM), if it asks for one")
	c.Flags().StringVar(&f.key, "key", "", "key of the client certificate (PEM)")
	c.Flags().DurationVar(&f.timeout, "timeout", 10*time.Minute, "give up after this long")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	if err := c.MarkFlagRequired("trust"); err != nil {
		panic(fmt.Sprintf("cordon-audit: %v", err))
	}
}

func verifyCommand() *cobra.Command {
	var f flags
	var maxAge time.Duration
	var state string
	var builds string
	var statements []string
	c := &cobra.Command{
		Use:   "verify --trust FILE BUNDLE|https://NODE:PORT",
		Short: "Check a bundle or a live node, one line for each check",
		Long: `verify reads a bundle file, or the same bundle from a control node, and prints a line for each check: PASS, FAIL with the
cause, or ---- for a check that could not be made because an earlier one failed.

It checks everything that ever came into force by the log, and the files of the lists in force now. With --all it also checks the files of every
version there ever was: the bundle must be made with cordon bundle --all, or the node is asked for one.

With --state FILE it remembers the log it verified and what follows from it, and at the next visit holds the log to it: a log that became
shorter or has another past fails. A next visit looks at new leaves only, and asks a node for no more than those, as long as the trust file is the same.`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			before, err := readState(state)
			if err != nil {
				return err
			}
			given, err := readStatements(statements)
			if err != nil {
				return err
			}
			known, err := readBuilds(builds)
			if err != nil {
				return err
			}
			r, err := f.goOn(c.Context(), args[0], audit.Options{Now: time.Now(), MaxAge: maxAge, Before: before, Statements: given, Builds: known, All: f.all, Lean: true})
			if err != nil {
				return err
			}
			if f.json {
				err = r.WriteJSON(c.OutOrStdout())
			} else {
				err = r.WriteText(c.OutOrStdout())
			}
			if err := unwritten("output", err); err != nil {
				return err // what nobody has read is no visit
			}
			err = writeState(state, r.Visit())
			if err != nil && !r.Pass { // a full disk is no reason to say less of a lie
				fmt.Fprintf(c.ErrOrStderr(), "%s\n", audit.Escape(err.Error()))
			}
			if !r.Pass {
				return errFail
			}
			return err
		},
	}
	f.add(c)
	c.Flags().DurationVar(&maxAge, "max-age", 0, "fail when the checkpoint is older than this, for instance 1h (default: any age)")
	c.Flags().StringArrayVar(&statements, "statement", nil, "a withdrawal as the hotline published it (withdrawals/...), for receipts of edges that took it while there was no quorum; may be given again")
	c.Flags().BoolVar(&f.all, "all", false, "check the files of every list version, not only of those in force")
	c.Flags().StringVar(&builds, "builds", "", "digests of the programs you know, as sha256sum writes them (make repro): any other that a node says it runs fails, and so does silence")
	c.Flags().StringVar(&state, "state", "", "file that remembers the last visit")
	return c
}

func showCommand() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:   "show --trust FILE BUNDLE|https://NODE:PORT",
		Short: "Print the log's records in words, once it is known to be the log",
		Args:  exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := f.verify(c.Context(), args[0], audit.Options{Now: time.Now()})
			if err != nil {
				return err
			}
			if r.Leaves() == nil { // not the cluster's log: nothing in it is worth printing
				if err := r.WriteText(c.ErrOrStderr()); err != nil {
					return unwritten("output", err)
				}
				return errFail
			}
			if f.json {
				enc := json.NewEncoder(c.OutOrStdout())
				for _, l := range r.Leaves() {
					if err := enc.Encode(l); err != nil {
						return unwritten("output", err)
					}
				}
				return nil
			}
			for _, l := range r.Leaves() {
				at := time.Unix(l.T, 0).UTC().Format("2006-01-02 15:04:05Z")
				if _, err := fmt.Fprintf(c.OutOrStdout(), "%d  %s  %-9s %s\n", l.N, at, l.K, l.Describe()); err != nil {
					return unwritten("output", err)
				}
			}
			if !r.Pass {
				fmt.Fprintln(c.ErrOrStderr(), "these records are the cluster's, but not all checks pass: run cordon-audit verify")
			}
			return nil
		},
	}
	f.add(c)
	return c
}

// goOn verifies what is new since the last visit. Where that fails it looks at all of the log, so that the report says what is wrong with it
// and not only that something is; and so it does where a certificate is new, which only all of the log can make again.
func (f *flags) goOn(ctx context.Context, target string, o audit.Options) (*audit.Report, error) {
	r, err := f.certified(ctx, target, o)
	if err != nil || r.Pass && r.Uncertified() == 0 || o.All || o.Before == nil || !o.Before.Passed() {
		return r, err
	}
	passed := o.Before
	o.Before = passed.Bare()
	whole, err := f.certified(ctx, target, o)
	if err != nil {
		return nil, err
	}
	whole.Keep(passed)
	return whole, nil
}

// certified verifies the target, and makes the certificates in it again where it has all of the log.
func (f *flags) certified(ctx context.Context, target string, o audit.Options) (*audit.Report, error) {
	again := certificate.NewAgain()
	o.Certificates = again
	r, err := f.verify(ctx, target, o)
	if cerr := again.Close(); err == nil && cerr != nil {
		err = unwritten("temporary file", cerr)
	}
	return r, err
}

// verify opens the target and verifies it.
func (f *flags) verify(ctx context.Context, target string, o audit.Options) (*audit.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	trust, tf, err := readTrust(f.trust)
	if err != nil {
		return nil, unreadable(err, "--trust names the trust file that the operator publishes for auditors (trust.json)")
	}
	if b := o.Before; b != nil && b.Cluster != tf.Cluster.ID() {
		return nil, unreadable(fmt.Errorf("the state file is of cluster %s, and the trust file of cluster %s (%s)", b.Cluster, tf.Cluster.ID(), tf.Cluster.Name),
			"keep a state file for each cluster and name this one's; if it is to be the same cluster, ask why its trust file is another one now")
	}
	part := audit.Part{All: f.all}
	if o.Lean && !o.All && o.Before != nil {
		part.Since = o.Before.Verified(trust)
	}
	bundle, err := source.Open(ctx, target, tf, source.Config{Cert: f.cert, Key: f.key, Part: part})
	if no, ok := errors.AsType[*source.Error](err); ok {
		return nil, unreadable(no.Err, no.Do)
	}
	if err != nil {
		return nil, err
	}
	defer bundle.Close()
	r, err := audit.Verify(ctx, bundle, trust, o)
	if err != nil {
		return nil, unreadable(fmt.Errorf("read %s: %w", target, err), "ask again, or another node")
	}
	return r, nil
}

// readTrust reads the trust file: its bytes, and what they say.
func readTrust(path string) ([]byte, audit.TrustFile, error) {
	b, err := readBounded("trust file", path, audit.MaxClusterFile)
	if err != nil {
		return nil, audit.TrustFile{}, err
	}
	if len(b) == 0 {
		return nil, audit.TrustFile{}, fmt.Errorf("trust file %s: the file is empty", path)
	}
	tf, err := audit.ParseTrustFile(b)
	if err != nil {
		return nil, audit.TrustFile{}, fmt.Errorf("trust file %s: %w", path, err)
	}
	return b, tf, nil
}

const namesState = "--state names the file that an earlier verify --state wrote, or, for a first visit, one that is not there yet"

// readState reads what the last visit left; a missing file is a first visit.
func readState(path string) (*audit.Visit, error) {
	if path == "" {
		return nil, nil
	}
	b, err := readBounded("state file", path, audit.MaxVisit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, unreadable(err, namesState)
	}
	v, err := audit.ParseVisit(b)
	if err != nil {
		return nil, unreadable(fmt.Errorf("state file %s is not one that a verification wrote, and is left as it is: %w", path, err), namesState)
	}
	return v, nil
}

// readStatements reads withdrawals that came beside the bundle.
func readStatements(paths []string) ([][]byte, error) {
	var all [][]byte
	for _, path := range paths {
		b, err := readBounded("withdrawal statement", path, trust.MaxWithdrawal)
		if err != nil {
			return nil, unreadable(err, "name the file as the hotline published it: withdrawals/HOTLINE/LIST/NUMBER.cbor in its repository")
		}
		all = append(all, b)
	}
	return all, nil
}

// writeState replaces the file whole, so that a crash leaves the old visit or the new one.
func writeState(path string, v *audit.Visit) error {
	if path == "" || v == nil {
		return nil
	}
	fail := func(err error) error { return unwritten("state file", err) }
	tmp, err := os.CreateTemp(filepath.Dir(path), ".cordon-audit-*")
	if err != nil {
		return fail(err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(v.Encode())
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

// readBounded reads a file of at most limit bytes.
func readBounded(what, path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s %s has more than %d bytes", what, path, limit)
	}
	return b, nil
}
