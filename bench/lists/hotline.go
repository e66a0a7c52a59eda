package lists

import (
	"fmt"
	"os"

	"github.com/cordon-project/cordon/bench/hotline"
)

// spent is what a process took beside time.
func spent(u hotline.Usage) string {
	return fmt.Sprintf("%s of processors, peak %s", seconds(u.CPU.Seconds()), bytesOf(u.Peak))
}

// setUp makes the hotline and the rows that it takes in.
func (b *bench) setUp() error {
	b.hotline = &hotline.Hotline{Program: b.Hotline, Dir: b.dir, Logf: b.logf}
	if err := b.hotline.SetUp(b.ctx, b.Entries+b.Delta); err != nil {
		return err
	}
	b.logf("writing %d and %d synthetic rows", b.Entries, b.Delta)
	if err := b.rows("first.csv", 0, b.Entries); err != nil {
		return err
	}
	return b.rows("second.csv", b.Entries, b.Entries+b.Delta)
}

// version takes rows in, signs twice and publishes.
func (b *bench) version(of, rows string) error {
	total := hotline.Usage{}
	steps := []struct {
		name string
		args []string
		sum  bool
	}{
		{"import", []string{"import", "--dir", "hotline", rows}, true},
		{"check", []string{"check", "--dir", "hotline"}, false},
		{"diff", []string{"diff", "--dir", "hotline"}, false},
		{"first signature", []string{"sign", "--dir", "hotline", "--officer", "officer-1", "--approve", hotline.Approve}, true},
		{"second signature", []string{"sign", "--dir", "hotline", "--officer", "officer-2", "--approve", hotline.Approve}, true},
		{"publish", []string{"publish", "--dir", "hotline"}, true},
	}
	for _, s := range steps {
		u, err := b.hotline.Do(b.ctx, s.args...)
		if err != nil && s.name != "check" { // which holds a list that is all new, and says so with its exit code
			return err
		}
		b.report.used(of+": "+s.name, u)
		b.logf("  %s, %s", seconds(u.Took.Seconds()), spent(u))
		if s.sum {
			total.Took, total.CPU, total.Peak = total.Took+u.Took, total.CPU+u.CPU, max(total.Peak, u.Peak)
		}
	}
	b.report.total(of+": import, both signatures, publish", total, of == firstVersion)
	return nil
}

const (
	firstVersion  = "first version"
	secondVersion = "second version"
)

func (b *bench) first() error {
	if err := b.version(firstVersion, "first.csv"); err != nil {
		return err
	}
	return os.Remove(b.path("first.csv"))
}

func (b *bench) second() error { return b.version(secondVersion, "second.csv") }
