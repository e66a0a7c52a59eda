package dns

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/cordon-project/cordon/bench/hotline"
)

// Change is a process of its own, the bench's reload: it takes the names of one file in and those of the other out, signs and publishes.
func Change(ctx context.Context, bin, home, add, remove string) error {
	h := &hotline.Hotline{Program: filepath.Join(bin, "cordon-hotline"), Dir: filepath.Join(home, "hotline")}
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
	if _, err := h.Do(ctx, append([]string{"remove", "--dir", "hotline", "--reason", "content_gone"}, strings.Fields(string(out))...)...); err != nil {
		return err
	}
	return signed(ctx, h)
}
