package operator

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Change takes the names of one file in and those of another out, signs and publishes, and notes when. An empty file changes nothing.
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
	if err := signed(ctx, h); err != nil {
		return err
	}
	return os.WriteFile(Published(o.Dir), []byte(time.Now().UTC().Format(time.RFC3339Nano)), 0o600)
}

// Published is the file of an operator's directory that says when the last change came out.
func Published(dir string) string { return filepath.Join(dir, "published") }
