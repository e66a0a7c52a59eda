package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/trust"
)

// maxRoot bounds a root.json that is read.
const maxRoot = 64 << 10

func trustCommand() *cobra.Command {
	var file, hotline, out string
	c := &cobra.Command{
		Use:   "trust --trust FILE [--hotline ID,ROOT.json --out FILE]",
		Short: "Print whom a trust file trusts, or add a hotline to it",
		Long: `trust prints whom a trust file trusts, with the hashes to compare through another channel: the cluster, its members, its officers, and
the root of each hotline.

With --hotline it writes a trust file that names a further hotline: one that the operator's officers have added (cordon pin) since the
cluster was made. Take the root from the hotline or its authority, never from the operator.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, t, err := readTrust(file)
			if err != nil {
				return unreadable(err, "name the trust file that you got from the operator and compared elsewhere")
			}
			if hotline == "" && out == "" {
				return unwritten("output", writeTrust(c.OutOrStdout(), t))
			}
			id, path, ok := strings.Cut(hotline, ",")
			if !ok || id == "" || path == "" || out == "" {
				return errors.New("--hotline ID,ROOT.json and --out FILE belong together")
			}
			if t, err = accredit(t, id, path); err != nil {
				return err
			}
			f, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
			if errors.Is(err, os.ErrExist) {
				return unreadable(fmt.Errorf("%s is there already", out), "name a file that does not exist yet")
			} else if err != nil {
				return unwritten(out, err)
			}
			_, err = f.Write(t.Encode())
			if err = errors.Join(err, f.Close()); err != nil {
				return unwritten(out, err)
			}
			last := t.Hotlines[len(t.Hotlines)-1]
			_, err = fmt.Fprintf(c.OutOrStdout(), "Wrote %s: it trusts hotline %s too, root with SHA-256 %x.\n", out, last.ID, sha256.Sum256(last.Root))
			return unwritten("output", err)
		},
	}
	c.Flags().StringVar(&file, "trust", "", "trust file (required)")
	c.Flags().StringVar(&hotline, "hotline", "", "ID,ROOT.json of the hotline to add")
	c.Flags().StringVar(&out, "out", "", "the new trust file")
	if err := c.MarkFlagRequired("trust"); err != nil {
		panic(fmt.Sprintf("cordon-audit: %v", err))
	}
	return c
}

// accredit adds a hotline.
func accredit(t audit.TrustFile, id, path string) (audit.TrustFile, error) {
	root, err := readBounded("root of hotline "+id, path, maxRoot)
	if err != nil {
		return t, unreadable(err, "name the 1.root.json that the hotline's authority signed")
	}
	t.Hotlines = append(t.Hotlines, audit.HotlineAnchor{ID: trust.HotlineID(id), Root: root})
	if _, err := audit.ParseTrustFile(t.Encode()); err != nil {
		return t, unreadable(fmt.Errorf("hotline %s, %s: %w", id, path, err), "name the 1.root.json that the hotline's authority signed, of a hotline that the trust file does not have yet")
	}
	return t, nil
}

func writeTrust(w io.Writer, t audit.TrustFile) error {
	c := t.Cluster
	var b strings.Builder
	fmt.Fprintf(&b, "cluster %s (%s), %d of %d members must have signed\n", c.Name, c.ID(), t.Need, len(c.Members))
	for _, m := range c.Members {
		second := "none"
		if len(m.MLDSA) > 0 {
			second = fmt.Sprintf("SHA-256 %x", sha256.Sum256(m.MLDSA))
		}
		fmt.Fprintf(&b, "member   %s  Ed25519 %x  ML-DSA-44 %s\n", m.Name, []byte(m.Key), second)
	}
	for _, o := range c.Officers {
		fmt.Fprintf(&b, "officer  %s  Ed25519 %x\n", o.Name, []byte(o.Key))
	}
	for _, h := range c.Hotlines {
		fmt.Fprintf(&b, "hotline  %s  root SHA-256 %x\n", h.ID, sha256.Sum256(h.Root))
	}
	for _, h := range t.Hotlines {
		fmt.Fprintf(&b, "hotline  %s  root SHA-256 %x  (beyond the cluster file)\n", h.ID, sha256.Sum256(h.Root))
	}
	for _, p := range []struct{ of, policy string }{{"the cluster's log", t.Witnesses}, {"hotlines' public logs", t.LogWitnesses}} {
		if p.policy == "" {
			fmt.Fprintf(&b, "no witness of %s is asked for\n", p.of)
			continue
		}
		fmt.Fprintf(&b, "witness policy of %s:\n", p.of)
		for line := range strings.Lines(p.policy) {
			fmt.Fprintf(&b, "  %s\n", audit.Escape(strings.TrimSuffix(line, "\n")))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
