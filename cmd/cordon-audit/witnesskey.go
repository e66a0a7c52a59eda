package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/listsync/witness"
)

const witnessKeyHead = "cordon-audit witness key v1"

func witnessKeyCommand() *cobra.Command {
	var out, name string
	c := &cobra.Command{
		Use:   "witness-key --out FILE --name NAME",
		Short: "Make a witness's key for watch, and print its public part",
		Long: `witness-key writes a new key to FILE and prints the verifier key (C2SP tlog-cosignature) that operators and auditors put into their witness
policies. NAME says who the witness is, as a name that nobody else uses: auditor.example/watch. One key serves one witness; keep FILE with it,
readable for it alone.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" || name == "" {
				return errors.New("--out and --name are needed")
			}
			_, key, err := ed25519.GenerateKey(nil)
			if err != nil {
				return err
			}
			s, err := witness.NewSigner(name, key)
			if err != nil {
				return fmt.Errorf("--name %q: a name is like auditor.example/watch, without spaces and plus signs", name)
			}
			b := fmt.Appendf(nil, "%s\n%s\n%s\n", witnessKeyHead, name, base64.StdEncoding.EncodeToString(key.Seed()))
			f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if errors.Is(err, fs.ErrExist) {
				return unreadable(fmt.Errorf("%s is there already, and is left as it is", out), "name a file that is not there yet")
			} else if err != nil {
				return unwritten("witness key", err)
			}
			_, err = f.Write(b)
			if err := unwritten("witness key", errors.Join(err, f.Sync(), f.Close())); err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), s.Keys()[0])
			return unwritten("output", err)
		},
	}
	c.Flags().StringVar(&out, "out", "", "file to write (required)")
	c.Flags().StringVar(&name, "name", "", "the witness's name (required)")
	return c
}

// readWitnessKey reads what witness-key wrote.
func readWitnessKey(path string) (*witness.Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("witness key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("witness key %s can be read by others (%v)", path, info.Mode().Perm())
	}
	b, err := readBounded("witness key", path, 4<<10)
	if err != nil {
		return nil, err
	}
	lines := bytes.Split(b, []byte("\n"))
	if len(lines) != 4 || string(lines[0]) != witnessKeyHead || len(lines[3]) != 0 {
		return nil, fmt.Errorf("witness key %s is not one that witness-key wrote", path)
	}
	seed, err := base64.StdEncoding.Strict().DecodeString(string(lines[2]))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("witness key %s is damaged", path)
	}
	return witness.NewSigner(string(lines[1]), ed25519.NewKeyFromSeed(seed))
}
