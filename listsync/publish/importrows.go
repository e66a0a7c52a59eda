package publish

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// rawRow is one row of an import before anything in it is judged.
type rawRow struct {
	line   int      // of the file, from 1
	entry  int      // of a JSON import, from 1; 0 in a CSV
	fields []string // in the order of columns, all of them; nil when the row could not be read
	text   string   // the row as it stands in the file, when it could not be read
}

// rowSource gives the rows of an import one by one. It keeps one row at a time; a row is its reader's until the next call.
type rowSource interface {
	// next gives a row, io.EOF after the last one, a *rowFault beside a row that could not be read (reading goes on with the
	// next one), or a *Fault, which ends the import.
	next() (rawRow, error)
}

// rowFault says why a row could not be read.
type rowFault struct {
	col    column // 0 for the whole row
	reason string
}

func (f *rowFault) Error() string { return f.reason }

// openRows looks at the first bytes and gives the reader for what they are: JSON begins with a bracket or a brace, which no CSV of
// ours does.
func openRows(r io.Reader) (rowSource, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	head, err := in.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fault(CodeFailure, err, "check the file and the disk it is on; nothing is imported", "cannot read the import")
	}
	switch text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\uFEFF")), " \t\r\n"); {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return nil, sentence(CodeInput, ErrRows, "save it again as \"CSV UTF-8\"", "the import is UTF-16 text")
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("\xd0\xcf\x11\xe0")):
		return nil, sentence(CodeInput, ErrRows, "save the sheet as \"CSV UTF-8\" and import that file", "the import is a spreadsheet or an archive and not a CSV file")
	case bytes.HasPrefix(text, []byte("[")), bytes.HasPrefix(text, []byte("{")):
		return newJSONRows(in), nil
	}
	return newCSVRows(in)
}

// csvRows reads a CSV: RFC 4180 without line breaks inside quotes, with the habits of spreadsheets that leave no doubt.
type csvRows struct {
	in     *lineReader
	sep    byte // between columns: comma, semicolon or tab
	extra  bool // the header has the tenth column that --errors adds
	fields []string
}

// errorColumn is the tenth column of a file of bad rows; an import takes such a file and does not look at the column.
const errorColumn = "error"

// newCSVRows reads up to and with the header.
func newCSVRows(r io.Reader) (*csvRows, error) {
	c := &csvRows{in: newLineReader(r, maxRow)}
	do := "make the first line exactly: " + Header
	for {
		first, err := c.in.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, sentence(CodeInput, ErrRows, do, "the import is empty")
		case err != nil && !errors.Is(err, errLineTooLong):
			return nil, fault(CodeFailure, err, "check the file and the disk it is on; nothing is imported", "cannot read the import")
		}
		head := strings.TrimPrefix(string(first), "\uFEFF")
		if c.in.line == 1 && len(head) == 5 && strings.HasPrefix(head, "sep=") && strings.Contains(",;\t", head[4:]) {
			continue // a spreadsheet's note to itself
		}
		if c.header(head) {
			return c, nil
		}
		return nil, sentence(CodeInput, ErrRows, do, "line %d of the import is not the header", c.in.line)
	}
}

// header reports whether head names the columns of an import, and learns what stands between them.
func (c *csvRows) header(head string) bool {
	for _, sep := range []byte(",;\t") {
		names, err := splitRow(nil, head, sep)
		if err != nil {
			continue
		}
		for i := range names {
			names[i] = strings.TrimSpace(names[i])
		}
		names = dropEmpty(names, len(columns))
		if c.extra = len(names) == len(columns)+1 && names[len(columns)] == errorColumn; c.extra {
			names = names[:len(columns)]
		}
		if slices.Equal(names, columns) {
			c.sep = sep
			return true
		}
	}
	return false
}

// dropEmpty takes empty fields off the end, down to at least n.
func dropEmpty(fields []string, n int) []string {
	for len(fields) > n && strings.TrimSpace(fields[len(fields)-1]) == "" {
		fields = fields[:len(fields)-1]
	}
	return fields
}

func (c *csvRows) next() (rawRow, error) {
	for {
		raw, err := c.in.next()
		row := rawRow{line: c.in.line}
		switch {
		case errors.Is(err, errLineTooLong):
			return row, &rowFault{reason: fmt.Sprintf("longer than %d bytes", maxRow)}
		case errors.Is(err, io.EOF):
			return row, err
		case err != nil:
			return row, fault(CodeFailure, err, "check the file and the disk it is on; nothing is imported", "cannot read line %d of the import", c.in.line+1)
		}
		if len(raw) == 0 {
			continue // an empty line, often the last one
		}
		row.text = string(raw)
		if err := validText(raw, c.sep); err != nil {
			return row, &rowFault{reason: err.Error()}
		}
		fields, err := splitRow(c.fields, row.text, c.sep)
		if err != nil {
			return row, &rowFault{reason: err.Error()}
		}
		c.fields = fields
		want := len(columns)
		if c.extra && len(fields) == want+1 {
			fields = fields[:want]
		}
		if fields = dropEmpty(fields, want); len(fields) != want {
			return row, &rowFault{reason: fmt.Sprintf("%d columns, want %d; put a field with %s in quotes", len(fields), want, separatorName(c.sep))}
		}
		if strings.TrimSpace(strings.Join(fields, "")) == "" {
			continue // a row of nothing: a spreadsheet writes it for a row that was cleared
		}
		row.fields = fields
		return row, nil
	}
}

func separatorName(sep byte) string {
	return map[byte]string{',': "a comma", ';': "a semicolon", '\t': "a tab"}[sep]
}
