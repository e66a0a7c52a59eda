package publish

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// errLineTooLong: the line was longer than the limit; its rest has been read and dropped.
var errLineTooLong = errors.New("too long")

// lineReader gives lines one by one and never keeps more than max bytes of one.
type lineReader struct {
	r    *bufio.Reader
	max  int
	line int
	buf  []byte
}

func newLineReader(r io.Reader, max int) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 64<<10), max: max}
}

// next gives the next line without its LF or CRLF. The bytes are the reader's until the next call. errLineTooLong comes with the
// line number counted and reading may go on; io.EOF ends. A last line without LF is a line.
func (l *lineReader) next() ([]byte, error) {
	l.buf = l.buf[:0]
	long := false
	for {
		part, err := l.r.ReadSlice('\n')
		if len(l.buf)+len(part) > l.max+2 {
			long = true
			l.buf = l.buf[:0]
		} else if !long {
			l.buf = append(l.buf, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			if len(l.buf) == 0 && !long && len(part) == 0 {
				return nil, io.EOF
			}
		case err != nil:
			return nil, err
		}
		l.line++
		b := l.buf
		if n := len(b); n > 0 && b[n-1] == '\n' {
			b = b[:n-1]
			if n := len(b); n > 0 && b[n-1] == '\r' {
				b = b[:n-1]
			}
		}
		if long || len(b) > l.max {
			return nil, errLineTooLong
		}
		return b, nil
	}
}

// splitRow cuts one CSV line (RFC 4180, without line breaks inside quotes: an open quote would swallow the rest of the file) into
// the fields between sep. dst is reused.
func splitRow(dst []string, line string, sep byte) ([]string, error) {
	dst = dst[:0]
	for {
		if !strings.HasPrefix(line, `"`) {
			field, rest, more := strings.Cut(line, string(rune(sep)))
			if strings.Contains(field, `"`) {
				return dst, fmt.Errorf("column %d: a quote inside a field that does not start with one", len(dst)+1)
			}
			dst = append(dst, field)
			if !more {
				return dst, nil
			}
			line = rest
		} else {
			var field strings.Builder
			line = line[1:]
			for {
				part, rest, closed := strings.Cut(line, `"`)
				if !closed {
					return dst, fmt.Errorf("column %d: the quote is not closed on this line", len(dst)+1)
				}
				field.WriteString(part)
				line = rest
				if !strings.HasPrefix(line, `"`) {
					break
				}
				field.WriteByte('"')
				line = line[1:]
			}
			dst = append(dst, field.String())
			if line == "" {
				return dst, nil
			}
			if line[0] != sep {
				return dst, fmt.Errorf("column %d: text after the closing quote", len(dst))
			}
			line = line[1:]
		}
		if len(dst) > 32 {
			return dst, errors.New("more than 32 columns")
		}
	}
}

// validText reports whether b is UTF-8 without control characters other than sep.
func validText(b []byte, sep byte) error {
	if !utf8.Valid(b) {
		return errors.New("the text is not UTF-8; save the file as UTF-8")
	}
	for _, c := range b {
		if c < 0x20 && c != sep || c == 0x7f {
			return errors.New("a control character is in the row")
		}
	}
	return nil
}
