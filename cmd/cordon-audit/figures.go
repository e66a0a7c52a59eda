package main

import (
	"bufio"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/figures"
)

func figuresCommand() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:   "figures --trust FILE FIGURES BUNDLE|https://NODE:PORT",
		Short: "Check that published figures are what edges signed, and add them up",
		Long: `figures reads the file that cordon figures --out wrote, holds each statement to the key of its edge as the verified log has it, and adds the
numbers up. Edges made the noise; that it was drawn as FIGURES.md says cannot be seen from outside.`,
		Args: exactly(2),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := f.verify(c.Context(), args[1], audit.Options{Now: time.Now()})
			if err != nil {
				return err
			}
			if !r.Pass || r.Leaves() == nil {
				if err := r.WriteText(c.ErrOrStderr()); err != nil {
					return unwritten("output", err)
				}
				return errFail
			}
			_, tf, err := readTrust(f.trust)
			if err != nil {
				return unreadable(err, "")
			}
			sum, bad, err := checkFigures(args[0], tf.Cluster.ID(), r.Leaves())
			if err != nil {
				return unreadable(err, "name the file that cordon figures --out wrote")
			}
			if f.json {
				enc := json.NewEncoder(c.OutOrStdout())
				enc.SetIndent("", "  ")
				err = enc.Encode(struct {
					Pass bool         `json:"pass"`
					Bad  []string     `json:"bad"`
					Sum  *figures.Sum `json:"sum"`
				}{len(bad) == 0, bad, sum})
			} else {
				for _, why := range bad {
					fmt.Fprintf(c.OutOrStdout(), "FAIL  %s\n", audit.Escape(why))
				}
				if len(bad) == 0 {
					fmt.Fprintf(c.OutOrStdout(), "PASS  %d statements, each signed by its edge\n", sum.Hours)
				}
				err = sum.WriteText(c.OutOrStdout())
			}
			if err == nil && len(bad) > 0 {
				return errFail
			}
			return unwritten("output", err)
		},
	}
	f.add(c)
	return c
}

// maxBad is how many statements that do not stand are named.
const maxBad = 20

// checkFigures adds up the statements of a file that stand, and names those that do not.
func checkFigures(path, cluster string, leaves []audit.Leaf) (*figures.Sum, []string, error) {
	keys := map[string][]ed25519.PublicKey{} // all that an edge ever had
	for _, l := range leaves {
		if l.K != audit.KindMember {
			continue
		}
		body, err := l.Body()
		if m, ok := body.(audit.Member); err == nil && ok && m.Role == audit.RoleEdge && m.Action == audit.ActionAdd {
			keys[m.Name] = append(keys[m.Name], m.Key[:])
		}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("figures: %w", err)
	}
	defer file.Close()
	sum := figures.NewSum(time.Unix(0, 0), time.Unix(1<<36, 0))
	bad := []string{}
	first, last := int64(1<<36), int64(0)
	for signed, err := range figures.Read(bufio.NewReader(file)) {
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		f, err := signed.Figures()
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		if err := standing(signed, f, cluster, keys[f.Edge]); err != nil {
			if len(bad) < maxBad {
				bad = append(bad, fmt.Sprintf("edge %s, hour from %s: %v", f.Edge, time.Unix(f.Hour, 0).UTC().Format(time.RFC3339), err))
			}
			continue
		}
		if !sum.Add(f) {
			if len(bad) < maxBad {
				bad = append(bad, fmt.Sprintf("edge %s, hour from %s: it is there twice", f.Edge, time.Unix(f.Hour, 0).UTC().Format(time.RFC3339)))
			}
			continue
		}
		first, last = min(first, f.Hour), max(last, f.Hour+figures.Hour)
	}
	if sum.From, sum.To = (time.Time{}), (time.Time{}); sum.Hours > 0 {
		sum.From, sum.To = time.Unix(first, 0).UTC(), time.Unix(last, 0).UTC()
	}
	return sum, bad, nil
}

func standing(signed figures.Signed, f figures.Figures, cluster string, keys []ed25519.PublicKey) error {
	if f.Cluster != cluster {
		return errors.New("it is of another cluster")
	}
	for _, k := range keys {
		if _, err := signed.Verify(k); err == nil {
			return nil
		}
	}
	if len(keys) == 0 {
		return errors.New("the log has no such edge")
	}
	return errors.New("the edge's signature does not verify")
}
