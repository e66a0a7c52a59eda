package operator

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// Change takes the names of one file in and those of another out, signs and publishes. An empty file changes nothing.
func (o *Operator) Change(ctx context.Context, add, remove string) error {
	h := o.hotline()
	if err := hosts(add, filepath.Join(h.Dir, "add.csv")); err != nil {
		return err
	}
	if _, err := h.Do(ctx, "import", "--dir", "hotline", "add.csv"); err != nil {
		return err
	}
	out, err := os.ReadFile(remove)
	if err != nil {
		return err
	}
	if names := strings.Fields(string(out)); len(names) > 0 {
		if _, err := h.Do(ctx, append([]string{"remove", "--dir", "hotline", "--reason", "content_gone"}, names...)...); err != nil {
			return err
		}
	}
	return signed(ctx, h)
}
