package publish

import (
	"cmp"
	"errors"
	"io"
	"slices"
)

// importReader gives the good rows of an import in the order of entries.jsonl, each entry once, and keeps what is wrong with the others. It
// judges rows on all processors, sorts them within the bounds of rowSorter, and holds no more of them than that. It must be closed.
type importReader struct {
	rules  *rules
	sorter *rowSorter
	sorted *sortedRows
	last   struct { // the row before, and the line where its entry stood first
		key  entryKey
		line int
	}
	rows  int
	bad   *RowErrors
	aside *badRows // nil without a file for bad rows
	twins []badRow // found in another order than that of lines; in the file they come last
}

// badRow is a row that is not taken, and why.
type badRow struct {
	raw rawRow
	why []RowError
}

// rowBatch is rows on their way to a judge, and unread the errors of those that could not be read.
type rowBatch struct {
	rows   []rawRow
	unread map[int]*rowFault
}

// judged is what a judge says about a batch.
type judged struct {
	good *sortRun
	bad  []badRow
}

const batchRows = 1024

// readRows reads a whole import and gives its rows, sorted; entry ids are not given yet. dir is where it may write. What is wrong with rows
// comes from the reader's end. The error is what ends an import.
func readRows(r io.Reader, ru *rules, dir string) (*importReader, error) {
	in, err := openRows(r)
	if err != nil {
		return nil, err
	}
	i := &importReader{rules: ru, bad: &RowErrors{}, sorter: &rowSorter{dir: dir, size: cmp.Or(ru.run, runSize)}}
	if ru.errors != "" {
		if i.aside, err = newBadRows(ru.errors, in); err != nil {
			return nil, err
		}
	}
	if err = i.read(in); err == nil {
		i.sorted, err = i.sorter.sorted(ru.now)
	}
	if err != nil {
		i.close()
		return nil, err
	}
	return i, nil
}

func (i *importReader) read(in rowSource) error {
	work := inOrder(func(use func(rowBatch) bool) error { return batches(in, use) }, i.rules.judge)
	defer work.close()
	for {
		j, err := work.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, b := range j.bad {
			if err := i.refuse(b); err != nil {
				return err
			}
		}
		i.rows += len(j.good.index)
		if i.rows > maxEntries {
			i.bad.add(&rawRow{line: j.good.lastLine()}, 0, "more than %d entries", maxEntries)
			i.bad.More++ // the rest of the file
			return nil
		}
		if err := i.sorter.add(j.good); err != nil {
			return err
		}
	}
}

// refuse keeps what is wrong with a row, and the row in the file for bad ones, as long as there is room for it.
func (i *importReader) refuse(b badRow) error {
	for n, why := range b.why {
		if len(i.bad.Rows) >= maxRowErrors {
			i.bad.More += len(b.why) - n
			return nil
		}
		i.bad.Rows = append(i.bad.Rows, why)
	}
	if i.aside == nil {
		return nil
	}
	return i.aside.add(&b.raw, b.why)
}

// batches reads rows to the end and gives use some at a time.
func batches(in rowSource, use func(rowBatch) bool) error {
	for {
		b := rowBatch{rows: make([]rawRow, 0, batchRows)}
		fields := make([]string, 0, batchRows*len(columns))
		var end error
		for len(b.rows) < batchRows && end == nil {
			raw, err := in.next()
			if unread, ok := errors.AsType[*rowFault](err); ok {
				if b.unread == nil {
					b.unread = map[int]*rowFault{}
				}
				b.unread[len(b.rows)] = unread
			} else if err != nil {
				end = err
				break
			}
			if raw.fields != nil {
				at := len(fields)
				fields = append(fields, raw.fields...)
				raw.fields = fields[at:len(fields):len(fields)]
			}
			b.rows = append(b.rows, raw)
		}
		if len(b.rows) > 0 && !use(b) {
			return nil
		}
		if errors.Is(end, io.EOF) {
			return nil
		}
		if end != nil {
			return end
		}
	}
}

// judge makes a judge of batches.
func (ru *rules) judge() func(rowBatch) judged {
	return func(b rowBatch) judged {
		j := judged{good: &sortRun{}}
		for n := range b.rows {
			raw, bad := &b.rows[n], RowErrors{}
			row := importRow{line: raw.line, entry: raw.entry}
			if unread := b.unread[n]; unread != nil {
				bad.add(raw, unread.col, "%s", unread.reason)
			} else if ru.row(raw, &row.Entry, &bad) {
				if ru.errors != "" {
					row.fields = raw.fields
				}
				j.good.add(&row)
				continue
			}
			j.bad = append(j.bad, badRow{*raw, bad.Rows})
		}
		return j
	}
}

// wanted reports whether good rows are of use: every row is good so far, or the good ones are taken all the same.
func (i *importReader) wanted() bool {
	return len(i.bad.Rows)+len(i.twins) == 0 || i.rules.takeGood && i.bad.More == 0
}

// next gives the next good row, nil at the end. A row whose entry stands on an earlier line too is bad.
func (i *importReader) next() (*importRow, error) {
	for {
		row, err := i.sorted.next()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if i.last.line == 0 || i.last.key != row.key() {
			i.last.key, i.last.line = row.key(), row.line
			return row, nil
		}
		i.rows--
		if len(i.twins) >= maxRowErrors {
			i.bad.More++
			continue
		}
		var bad RowErrors
		raw := rawRow{line: row.line, entry: row.entry, fields: row.fields}
		bad.add(&raw, colExpression, "the same %s entry as line %d", row.Kind, i.last.line)
		i.twins = append(i.twins, badRow{raw, bad.Rows})
	}
}

// end is called after the last row. It gives what is wrong with rows in the order of lines, nil when nothing is, and puts the file of bad
// rows in its place.
func (i *importReader) end() (*RowErrors, error) {
	slices.SortFunc(i.twins, func(a, b badRow) int { return cmp.Or(a.raw.line-b.raw.line, a.raw.entry-b.raw.entry) })
	for _, b := range i.twins {
		if err := i.refuse(b); err != nil {
			return nil, err
		}
	}
	if len(i.bad.Rows) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(i.bad.Rows, func(a, b RowError) int { return cmp.Or(a.Line-b.Line, a.entry-b.entry) })
	if i.aside == nil {
		return i.bad, nil
	}
	i.bad.rows = i.aside.n
	return i.bad, i.aside.close()
}

// close frees what the reader holds.
func (i *importReader) close() {
	i.sorter.close()
	if i.aside != nil {
		i.aside.cleanup()
	}
}
