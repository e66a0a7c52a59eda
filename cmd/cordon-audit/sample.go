package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/source"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Samples: entries drawn by a log's checkpoint, opened by the hotline to a reviewer, looked at by people, and what that says of the list.

func sampleCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "sample",
		Short: "Have entries drawn and opened to a reviewer, and say what they show of the list",
		Long: `How many of a list's entries are wrong? Nobody outside may see the list, so a sample is drawn that neither hotline nor operator has chosen (by a checkpoint of
the operator's log and random bytes of this tool), the hotline opens it to an accredited reviewer under the signature of two officers, and the opening is a record of that log.

  sample key      makes the reviewer's key
  sample draw     writes the request for the hotline
  sample check    opens the hotline's answer, holds it to the draw, the list and the log, and keeps it in a directory
  sample record   takes the reviewer's verdicts
  sample bound    says what share of the list's entries is wrong at most`,
		Args: unknown,
		RunE: func(*cobra.Command, []string) error { return errors.New("a command is missing after sample") },
	}
	c.AddCommand(sampleKeyCommand(), sampleDrawCommand(), sampleCheckCommand(), sampleRecordCommand(), sampleBoundCommand())
	return c
}

func must(c *cobra.Command, names ...string) *cobra.Command {
	for _, n := range names {
		if err := c.MarkFlagRequired(n); err != nil {
			panic(fmt.Sprintf("cordon-audit: %v", err))
		}
	}
	return c
}

func sampleKeyCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "key --out KEYFILE", Short: "Make a reviewer's key: only who has KEYFILE reads what is opened", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			identity, recipient, err := trust.NewSampleIdentity()
			if err != nil {
				return unwritten("key", err)
			}
			if err := writeNew(out, []byte("# public key: "+recipient+"\n"+identity+"\n")); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s\ngive the hotline this line; keep %s to yourself\n", recipient, out)
			return unwritten("output", err)
		},
	}
	c.Flags().StringVar(&out, "out", "", "a new file for the key (required)")
	return must(c, "out")
}

// writeNew writes a file that only its owner reads and that must not exist.
func writeNew(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return unreadable(fmt.Errorf("%s exists already and is left as it is", path), "name a new file")
	}
	if err != nil {
		return unwritten(path, err)
	}
	_, err = f.Write(b)
	return unwritten(path, errors.Join(err, f.Sync(), f.Close()))
}

// looked is a bundle that was verified, kept where it can be read again.
type looked struct {
	tf     audit.TrustFile
	report *audit.Report
	file   *os.File
}

func (l *looked) close() {
	l.file.Close()
}

// look verifies a bundle and keeps it. A report that does not pass is printed, and errFail.
func (f *flags) look(ctx context.Context, c *cobra.Command, target string) (*looked, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	raw, tf, err := readTrust(f.trust)
	if err != nil {
		return nil, unreadable(err, "--trust names the trust file that the operator publishes for auditors (trust.json)")
	}
	bundle, err := source.Open(ctx, target, tf, source.Config{Cert: f.cert, Key: f.key})
	if no, ok := errors.AsType[*source.Error](err); ok {
		return nil, unreadable(no.Err, no.Do)
	}
	if err != nil {
		return nil, err
	}
	defer bundle.Close()
	kept, err := os.CreateTemp("", "cordon-audit-bundle-*")
	if err != nil {
		return nil, unwritten("the bundle", err)
	}
	l := &looked{tf: tf, file: kept}
	os.Remove(kept.Name()) // it goes with the process
	l.report, err = audit.Verify(ctx, io.TeeReader(bundle, kept), raw, audit.Options{Now: time.Now()})
	if err != nil {
		l.close()
		return nil, unreadable(fmt.Errorf("read %s: %w", target, err), "ask again, or another node")
	}
	if !l.report.Pass || l.report.Leaves() == nil {
		l.close()
		if err := l.report.WriteText(c.ErrOrStderr()); err != nil {
			return nil, unwritten("output", err)
		}
		return nil, errFail
	}
	return l, nil
}

// again reads the bundle from its beginning.
func (l *looked) again() io.Reader { return io.NewSectionReader(l.file, 0, 1<<62) }

// version gives the two list files of a publish leaf.
func (l *looked) version(p audit.Publish) (*list.Edge, *list.Audit, error) {
	files, err := audit.ReadFiles(l.again(), p.Edge, p.Audit)
	if err != nil {
		return nil, nil, unreadable(err, "ask for the bundle again")
	}
	if files[0] == nil || files[1] == nil {
		return nil, nil, unreadable(fmt.Errorf("the files of %s sequence %d are not in this bundle", p.List, p.Seq), "use a bundle of the time when that version was in force, or one with all versions")
	}
	edge, err := list.OpenEdge(files[0])
	if err != nil {
		return nil, nil, unreadable(err, "")
	}
	a, err := list.OpenAudit(files[1])
	if err != nil {
		return nil, nil, unreadable(err, "")
	}
	return edge, a, nil
}

func publishAt(leaves []audit.Leaf, n uint64) (audit.Publish, bool) {
	if n >= uint64(len(leaves)) {
		return audit.Publish{}, false
	}
	body, err := leaves[n].Body()
	p, ok := body.(audit.Publish)
	return p, err == nil && ok
}

func sampleDrawCommand() *cobra.Command {
	var f flags
	var n int
	var listID, reviewer, out string
	c := &cobra.Command{
		Use:   "draw --trust FILE -n COUNT --list LIST --reviewer RECIPIENT --out REQUEST BUNDLE|https://NODE:PORT",
		Short: "Write the request for the hotline: the log's checkpoint and random bytes decide which entries",
		Long: `draw verifies the bundle and writes a request that anyone can check and draw from again. Which entries it is follows from the text of the
checkpoint, list, version, the hash of its edge list and random bytes in the request (LEAF.md, Samples). 60 entries without a wrong one say that at most 5 % are wrong, 299 that at most 1 % are, with
95 % confidence.`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := f.look(c.Context(), c, args[0])
			if err != nil {
				return err
			}
			defer l.close()
			cp, err := audit.ReadCheckpoint(l.again())
			if err != nil {
				return unreadable(err, "")
			}
			raw, err := audit.NewSampleRequest(l.tf, cp, l.report.Leaves(), match.ListID(listID), n, reviewer)
			if err != nil {
				do := "--list names a list that is in force there, -n is 1 to " + strconv.Itoa(trust.MaxSample) + ", --reviewer the line that begins with age1"
				if errors.Is(err, audit.ErrTooFresh) {
					do = "ask again in a minute: the next record of the log, an edge's receipt for instance, makes a later checkpoint"
				}
				return unreadable(err, do)
			}
			d, err := audit.OpenSampleRequest(l.tf, raw)
			if err != nil {
				return unreadable(err, "")
			}
			p, ok := publishAt(l.report.Leaves(), d.Leaf)
			if !ok {
				return unreadable(errors.New("the log has changed"), "")
			}
			edge, _, err := l.version(p)
			if err != nil {
				return err
			}
			records, err := d.Records(edge)
			if err != nil {
				return unreadable(err, "ask for fewer with -n")
			}
			if err := writeNew(out, raw); err != nil {
				return err
			}
			if f.json {
				return unwritten("output", json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"request": fmt.Sprintf("%x", d.Request), "list": d.List, "seq": d.Seq, "records": records, "of": len(list.Sampled(edge))}))
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "request %x: %d of the %d entries of %s sequence %d, drawn by the checkpoint of size %d\nsend %s to the hotline\n",
				d.Request[:8], len(records), len(list.Sampled(edge)), d.List, d.Seq, d.Size, out)
			return unwritten("output", err)
		},
	}
	f.add(c)
	c.Flags().IntVarP(&n, "count", "n", 60, "how many entries")
	c.Flags().StringVar(&listID, "list", "", "the list, as cordon-audit show names it (required)")
	c.Flags().StringVar(&reviewer, "reviewer", "", "the reviewer's public key, age1... (required)")
	c.Flags().StringVar(&out, "out", "", "a new file for the request (required)")
	return must(c, "list", "reviewer", "out")
}

func sampleCheckCommand() *cobra.Command {
	var f flags
	var identity, opening, request, out, token string
	c := &cobra.Command{
		Use:   "check --trust FILE --identity KEYFILE --opening FILE.age --request REQUEST --out DIR BUNDLE|https://NODE:PORT",
		Short: "Open the hotline's answer and hold it to the draw, the list and the log",
		Long: `check opens what the hotline sent, recomputes for each drawn entry its digest (what edges block) and its commitment, and fails when one does
not fit, when one is missing or there is one too many, and when the log of BUNDLE has no record that two officers opened just this file for this key. What is
shown goes to DIR/entries.csv, which only you can read, and never to the terminal. With --token it also
asks the hotline's service, blindly, about what is shown, and fails when the column that private lookups compare with has something else there. Leave the column verdict for sample record.`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := os.Lstat(out); err == nil {
				return unreadable(fmt.Errorf("%s exists already and is left as it is", out), "name a new directory with --out")
			}
			l, err := f.look(c.Context(), c, args[0])
			if err != nil {
				return err
			}
			defer l.close()
			return l.checkSample(c, sampleInput{identity, opening, request, token}, out)
		},
	}
	f.add(c)
	c.Flags().StringVar(&identity, "identity", "", "the reviewer's key file (required)")
	c.Flags().StringVar(&opening, "opening", "", "the file that the hotline sent (required)")
	c.Flags().StringVar(&request, "request", "", "the request as it was sent (required)")
	c.Flags().StringVar(&out, "out", "", "a new directory for the sample (required)")
	c.Flags().StringVar(&token, "token", "", "file with a token for the hotline's private lookups: the column that lookups compare with is held to what is shown, too")
	return must(c, "identity", "opening", "request", "out")
}

// sampleInput names the files of a check; token may be empty.
type sampleInput struct{ identity, opening, request, token string }

func (l *looked) checkSample(c *cobra.Command, files sampleInput, out string) error {
	identity, opening, request := files.identity, files.opening, files.request
	raw, err := readBounded("request", request, audit.MaxSampleRequest)
	if err != nil {
		return unreadable(err, "--request names the file that sample draw wrote")
	}
	d, err := audit.OpenSampleRequest(l.tf, raw)
	if err != nil {
		return unreadable(err, "--request names the file that sample draw wrote, for the cluster in --trust")
	}
	key, err := readBounded("key file", identity, 64<<10)
	if err != nil {
		return unreadable(err, "--identity names the reviewer's key file")
	}
	sealed, err := readBounded("opening", opening, trust.MaxSampleFile)
	if err != nil {
		return unreadable(err, "--opening names the file that the hotline sent")
	}
	shown, err := trust.OpenSample(sealed, bytes.NewReader(key))
	if err != nil {
		return unreadable(err, "the file must be the hotline's, and --identity the key that the request names")
	}
	p, ok := publishAt(l.report.Leaves(), d.Leaf)
	if !ok || p.Edge != d.Edge {
		return l.lies(c, []string{"the request's version is not in this log at the place where its proof says: the log has two histories"})
	}
	edge, a, err := l.version(p)
	if err != nil {
		return err
	}
	wrong, err := audit.JudgeSample(d, edge, a, shown)
	if err != nil {
		return unreadable(err, "")
	}
	if what := audit.SampleInLog(l.report.Leaves(), d, sha256.Sum256(sealed), len(shown.Shown)); what != "" {
		wrong = append(wrong, what)
	}
	column := "the column of private lookups was not compared (no --token)"
	if files.token != "" && len(wrong) == 0 {
		var more []string
		if more, column, err = l.judgeColumn(c.Context(), p, edge, shown, files.token); err != nil {
			return err
		}
		wrong = append(wrong, more...)
	}
	if len(wrong) > 0 {
		return l.lies(c, wrong)
	}
	s := newSample(d, edge, shown)
	if err := s.save(out, shown, edge); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "PASS  sample: %d entries of %s sequence %d, as drawn; each is what edges block and what the hotline committed to; the opening is in the log; %s\nread them in %s (do not open what they name unless you may); then: cordon-audit sample record --dir %s VERDICTS.csv\n",
		len(shown.Shown), d.List, d.Seq, column, filepath.Join(out, entriesFile), out)
	return unwritten("output", err)
}

// lies prints what is wrong with an opening.
func (l *looked) lies(c *cobra.Command, wrong []string) error {
	for i, w := range wrong {
		if i == 20 {
			fmt.Fprintf(c.OutOrStdout(), "FAIL  sample: and %d more\n", len(wrong)-i)
			break
		}
		if _, err := fmt.Fprintf(c.OutOrStdout(), "FAIL  sample: %s\n", audit.Escape(w)); err != nil {
			return unwritten("output", err)
		}
	}
	return errFail
}
