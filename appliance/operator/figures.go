package operator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster/audit/figures"
)

// Figures adds up what edges handed in of a time, over all control nodes: an edge's hour is at the one it followed then. With out it writes the
// statements into a file too, as they were signed. Nodes that do not answer are named; what they have is missing.
func (o *Operator) Figures(ctx context.Context, from, to time.Time, out string) (*figures.Sum, []string, error) {
	sum := figures.NewSum(from, to)
	var missing []string
	var kept bytes.Buffer
	for _, c := range o.clients {
		if err := addFigures(ctx, c, sum, &kept); err != nil {
			missing = append(missing, fmt.Sprintf("%s: %v", c.Base(), err))
		}
	}
	if len(missing) == len(o.clients) {
		return nil, nil, fmt.Errorf("no control node gives its figures: %s", strings.Join(missing, "; "))
	}
	if out != "" {
		if err := renameio.WriteFile(out, kept.Bytes(), 0o644); err != nil {
			return nil, nil, fmt.Errorf("write figures: %w", err)
		}
	}
	return sum, missing, nil
}

// maxFigures bounds the file that is written: a year of 30 edges with three lists is 100 MB.
const maxFigures = 512 << 20

func addFigures(ctx context.Context, c *api.Client, sum *figures.Sum, kept *bytes.Buffer) error {
	body, err := c.Figures(ctx, sum.From, sum.To)
	if err != nil {
		return err
	}
	defer body.Close()
	for signed, err := range figures.Read(io.LimitReader(body, maxFigures)) {
		if err != nil {
			return err
		}
		f, err := signed.Figures()
		if err != nil {
			return err
		}
		if sum.Add(f) {
			if kept.Len() > maxFigures {
				return errors.New("more figures than one file holds: ask for a shorter time")
			}
			kept.Write(figures.AppendRecord(nil, signed))
		}
	}
	return nil
}
