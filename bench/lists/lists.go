// Package lists measures a list's whole way at a given size, with the real programs: import, two signatures, publication, then what an
// edge does with the files. In comes a number of entries; out comes a table of figures beside their targets.
//
// The hotline's steps are processes of cordon-hotline, so that time and peak memory are those that a user has; the edge's steps are
// processes of this program that do what the shelf of appliance/edge does. Everything lies in one directory, which is removed at the end.
// Names are synthetic and end in .test.
package lists

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cordon-project/cordon/bench/hotline"
)

// Config says what is measured and with what. All fields but Log are needed.
type Config struct {
	Entries int    // of the first version
	Delta   int    // that the second version adds
	Hotline string // path of cordon-hotline
	Self    string // path of this program, for the edge's steps
	Dir     string // parent of the temporary directory; about 1.8 KB an entry are needed
	Log     io.Writer
}

// Run measures. It ends early with ctx.
func Run(ctx context.Context, c Config) (_ *Report, err error) {
	if c.Entries < 1000 || c.Delta < 1 {
		return nil, fmt.Errorf("measure %d entries and a delta of %d: give at least 1000 and 1", c.Entries, c.Delta)
	}
	dir, err := os.MkdirTemp(c.Dir, "cordon-bench-*")
	if err != nil {
		return nil, fmt.Errorf("make a directory to measure in: %w", err)
	}
	defer os.RemoveAll(dir)
	b := &bench{Config: c, ctx: ctx, dir: dir, report: newReport(c)}
	for _, step := range []func() error{b.setUp, b.first, b.second, b.edge} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	b.report.finish()
	return b.report, nil
}

// bench is one run.
type bench struct {
	Config
	ctx    context.Context
	dir    string
	report *Report

	hotline *hotline.Hotline
}

func (b *bench) path(elem ...string) string {
	return filepath.Join(append([]string{b.dir}, elem...)...)
}

func (b *bench) logf(format string, a ...any) {
	if b.Log != nil {
		fmt.Fprintf(b.Log, format+"\n", a...)
	}
}

// rows writes a CSV of the rows from first up to last.
func (b *bench) rows(name string, first, last int) error {
	f, err := os.Create(b.path(name))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := WriteRows(f, first, last, time.Now().Add(170*24*time.Hour)); err != nil {
		return fmt.Errorf("write synthetic rows: %w", err)
	}
	return f.Close()
}
