package publish

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// jsonRows reads a JSON import: an array of objects, or one object a line (JSON lines). The members of an object are the columns of
// the CSV, each a string; reason may be left out. Rows are cut out by their brackets first and read one by one, so a wrong one costs
// that row only and no file is ever in memory whole.
type jsonRows struct {
	in    *bufio.Reader
	line  int // of the next byte, from 1
	entry int // rows begun
	array bool
	begun bool
	buf   []byte
}

func newJSONRows(in *bufio.Reader) *jsonRows { return &jsonRows{in: in, line: 1} }

// badJSON ends the import: where the rows are is no longer known.
func (j *jsonRows) badJSON(format string, a ...any) error {
	return sentence(CodeInput, ErrRows, "write an array of objects, [{...}, {...}], or one object a line",
		"nothing is imported: line %d: %s", j.line, fmt.Sprintf(format, a...))
}

// readByte gives the next byte that is not white space; io.EOF at the end.
func (j *jsonRows) readByte() (byte, error) {
	for {
		b, err := j.in.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return 0, io.EOF
		case err != nil:
			return 0, fault(CodeFailure, err, "check the file and the disk it is on; nothing is imported", "cannot read line %d of the import", j.line)
		case b == '\n':
			j.line++
		case b != ' ' && b != '\t' && b != '\r':
			return b, nil
		}
	}
}

func (j *jsonRows) next() (rawRow, error) {
	b, err := j.open()
	if err != nil {
		return rawRow{line: j.line}, err
	}
	if b != '{' {
		return rawRow{line: j.line}, j.badJSON("a row begins with {, not with %q", rune(b))
	}
	j.entry++
	row := rawRow{line: j.line, entry: j.entry}
	err = j.object()
	row.text = strings.TrimSpace(string(j.buf))
	if err != nil {
		return row, err
	}
	fields, err := objectRow(j.buf)
	row.fields = fields
	return row, err
}

// open reads what stands between rows, up to the first byte of one; io.EOF after the last.
func (j *jsonRows) open() (byte, error) {
	if !j.begun {
		j.begun = true
		if mark, err := j.in.Peek(3); err == nil && string(mark) == "\uFEFF" {
			if _, err := j.in.Discard(3); err != nil {
				return 0, err
			}
		}
		b, err := j.readByte()
		if err != nil {
			return 0, err
		}
		if b != '[' {
			return b, nil
		}
		j.array = true
		if b, err = j.readByte(); err == nil && b == ']' {
			return 0, j.end()
		}
		return b, j.unclosed(err)
	}
	b, err := j.readByte()
	if !j.array {
		return b, err
	}
	switch {
	case err != nil:
		return 0, j.unclosed(err)
	case b == ']':
		return 0, j.end()
	case b != ',':
		return 0, j.badJSON("a comma or ] is missing after entry %d", j.entry)
	}
	b, err = j.readByte()
	return b, j.unclosed(err)
}

// unclosed makes the end of the file inside an array an error.
func (j *jsonRows) unclosed(err error) error {
	if errors.Is(err, io.EOF) {
		return j.badJSON("the array is not closed: the file may be cut off")
	}
	return err
}

// end wants nothing after the array.
func (j *jsonRows) end() error {
	b, err := j.readByte()
	if err == nil {
		return j.badJSON("%q stands after the end of the array", rune(b))
	}
	return err
}

// object reads from behind its opening brace to the closing one, with both, into buf.
func (j *jsonRows) object() error {
	j.buf = append(j.buf[:0], '{')
	text, escaped := false, false
	for depth := 1; depth > 0; {
		b, err := j.in.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return j.badJSON("entry %d is not closed: the file may be cut off, or a quote or brace is missing", j.entry)
		case err != nil:
			return fault(CodeFailure, err, "check the file and the disk it is on; nothing is imported", "cannot read line %d of the import", j.line)
		case len(j.buf) >= 2*maxRow: // every field may be escaped
			return j.badJSON("entry %d is longer than %d bytes, or a quote or brace is missing", j.entry, 2*maxRow)
		}
		j.buf = append(j.buf, b)
		switch {
		case b == '\n':
			j.line++
			if text && !j.array { // one object a line: the next line begins a row again
				return &rowFault{reason: "a quote is not closed on this line"}
			}
			if text {
				return j.badJSON("entry %d has a quote that is not closed on its line", j.entry)
			}
		case escaped:
			escaped = false
		case text:
			escaped, text = b == '\\', b != '"'
		case b == '"':
			text = true
		case b == '{' || b == '[':
			depth++
		case b == '}' || b == ']':
			depth--
		}
	}
	return nil
}

// objectRow reads one object into the fields of a row. The error is a *rowFault.
func objectRow(b []byte) ([]string, error) {
	bad := func(col column, format string, a ...any) ([]string, error) {
		return nil, &rowFault{col, fmt.Sprintf(format, a...)}
	}
	if !utf8.Valid(b) {
		return bad(0, "the text is not UTF-8; save the file as UTF-8")
	}
	if !json.Valid(b) {
		return bad(0, "not JSON: look for a missing quote, comma or colon")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	fields := make([]string, len(columns))
	seen := make([]bool, len(columns))
	if _, err := dec.Token(); err != nil { // the opening brace
		return bad(0, "not JSON: %s", err)
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return bad(0, "not JSON: %s", err)
		}
		i := slices.Index(columns, fmt.Sprint(name))
		if i < 0 {
			return bad(0, "%q is no column; the columns are %s", printable(fmt.Sprint(name)), strings.Join(columns, ", "))
		}
		col := column(i + 1)
		if seen[i] {
			return bad(col, "stands there twice")
		}
		seen[i] = true
		value, err := dec.Token()
		if err != nil {
			return bad(0, "not JSON: %s", err)
		}
		switch v := value.(type) {
		case string:
			if err := validText([]byte(v), 0); err != nil || strings.ContainsRune(v, utf8.RuneError) {
				return bad(col, "a character is in it that cannot be used")
			}
			fields[i] = v
		case nil: // the same as an empty field
		default:
			return bad(col, "not a text in quotes")
		}
	}
	for i := range columns {
		if !seen[i] && column(i+1) != colReason {
			return bad(column(i+1), "is missing")
		}
	}
	return fields, nil
}
