package publish

import (
	"encoding/csv"
	"fmt"
	"strings"

	"github.com/google/renameio/v2"
)

// ImportOptions are an analyst's. The zero value takes all rows in or, when one is bad, none.
type ImportOptions struct {
	DryRun bool   // read, check and count everything, and change nothing
	Errors string // a new CSV file for the bad rows, each with what is wrong with it in a tenth column
	// TakeGood takes the good rows in although others are bad; it wants Errors, so that none is lost.
	TakeGood bool
}

func (o *ImportOptions) check() error {
	switch {
	case o.TakeGood && o.Errors == "":
		return sentence(CodeUsage, nil, "give --errors FILE.csv too, where the bad rows are kept", "--take-good alone would lose the bad rows")
	case o.Errors != "" && exists(o.Errors):
		return sentence(CodeInput, ErrForeign, "name a new file with --errors", "%s is there already and is not written over", o.Errors)
	}
	return nil
}

// badRows is the file that --errors names: the header and a tenth column, then each bad row as it came and what is wrong with it.
// The file is there when close says so, whole, or never; it holds plain addresses and is its owner's alone.
type badRows struct {
	path string
	file *renameio.PendingFile
	out  *csv.Writer
	n    int
}

// newBadRows prepares the file; what stands between columns is as in the import, so that the same program opens both.
func newBadRows(path string, in rowSource) (*badRows, error) {
	f, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o600), renameio.IgnoreUmask())
	if err != nil {
		return nil, fault(CodeFailure, err, "name a place where you may write with --errors", "cannot write %s", path)
	}
	b := &badRows{path: path, file: f, out: csv.NewWriter(f)}
	if c, ok := in.(*csvRows); ok {
		b.out.Comma = rune(c.sep)
	}
	return b, b.write(append(strings.Split(Header, ","), errorColumn))
}

func (b *badRows) write(fields []string) error {
	if err := b.out.Write(fields); err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot write %s", b.path)
	}
	return nil
}

// add writes one row. A row that could not be cut into columns stands in the first one as it was.
func (b *badRows) add(row *rawRow, why []RowError) error {
	b.n++
	fields := make([]string, len(columns), len(columns)+1)
	if row.fields == nil {
		fields[0] = strings.NewReplacer("\r", " ", "\n", " ").Replace(row.text)
	}
	copy(fields, row.fields)
	var words []string
	for _, e := range why {
		words = append(words, e.String())
	}
	return b.write(append(fields, strings.Join(words, "; ")))
}

// close puts the file in its place when it has a row.
func (b *badRows) close() error {
	b.out.Flush()
	err := b.out.Error()
	if err == nil && b.n > 0 {
		err = b.file.CloseAtomicallyReplace()
	}
	if err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot write %s", b.path)
	}
	return nil
}

func (b *badRows) cleanup() { b.file.Cleanup() }

// wrong puts bad rows into a Fault: what happened to the others, and what to do. done is nil when nothing is imported.
func (o *ImportOptions) wrong(bad *RowErrors, done *Imported) error {
	n := len(bad.Rows) + bad.More
	things := fmt.Sprintf("%d %s wrong", n, plural(n, "thing is", "things are"))
	f := &Fault{Code: CodeInput, Err: bad, What: "nothing is imported: " + things, Do: "mend them and import the file again"}
	switch {
	case done == nil && o.TakeGood && bad.More > 0:
		f.Do = "too much is wrong to take the rest: look at the first lines, mend the whole file and import it again"
	case done != nil && o.DryRun:
		f.What = fmt.Sprintf("%d %s bad, and the others could be imported: %s", done.SetAside, plural(done.SetAside, "row is", "rows are"), things)
		f.Do = "look at " + o.Errors + "; mend the file and import it whole, or import it without --dry-run and with a new --errors file"
	case done != nil:
		f.What = fmt.Sprintf("%d bad %s set aside in %s, the others are imported: %s", done.SetAside, plural(done.SetAside, "row is", "rows are"), o.Errors, things)
		f.Do = "mend the rows in " + o.Errors + " and import that file"
	case o.Errors != "":
		f.What += fmt.Sprintf("; the bad rows are in %s", o.Errors)
		f.Do = "mend them and import the whole file again, or let --take-good with a new --errors file take the good rows and mend only the others"
	}
	return f
}
