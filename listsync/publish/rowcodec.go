package publish

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// appendRow writes an entry's line of entries.jsonl: JSON with its members always in the order of row. A million lines are read and
// written at each command, which encoding/json takes 10 s for and this codec 1 s; TestRowCodecIsJSON holds the two together.
func appendRow(dst []byte, e *list.Entry) []byte {
	dst = append(dst, `{"id":"`...)
	dst = hex.AppendEncode(dst, e.ID[:])
	dst = appendString(append(dst, `","kind":`...), e.Kind.String())
	dst = appendString(append(dst, `,"expression":`...), e.Expression)
	dst = appendString(append(dst, `,"category":`...), e.Category.String())
	dst = appendString(append(dst, `,"basis":`...), e.Basis.String())
	dst = appendString(append(dst, `,"jurisdiction":`...), e.Jurisdiction)
	dst = strconv.AppendInt(append(dst, `,"since":`...), e.Since.Unix(), 10)
	dst = strconv.AppendInt(append(dst, `,"review_by":`...), e.ReviewBy.Unix(), 10)
	dst = appendString(append(dst, `,"assessor_1":`...), e.Assessors[0])
	dst = appendString(append(dst, `,"assessor_2":`...), e.Assessors[1])
	if e.Reason != "" {
		dst = appendString(append(dst, `,"reason":`...), e.Reason)
	}
	return append(dst, "}\n"...)
}

func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			b, err := json.Marshal(s)
			if err != nil {
				panic("publish: a string has no JSON form: " + err.Error())
			}
			return append(dst, b...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// rowReader reads lines of entries.jsonl. Words that come again and again are kept once.
type rowReader struct {
	words map[string]string
}

func newRowReader() *rowReader { return &rowReader{words: map[string]string{}} }

// read reads a line as appendRow wrote it and falls back to encoding/json for any other form of the same object.
func (r *rowReader) read(line []byte) (list.Entry, error) {
	if e, ok := r.fast(line); ok {
		return e, nil
	}
	var slow row
	if err := decodeJSON(line, &slow); err != nil {
		return list.Entry{}, err
	}
	return slow.entry()
}

// maxWords bounds the kept words: jurisdictions and assessors are few.
const maxWords = 4096

func (r *rowReader) word(b []byte) string {
	if s, ok := r.words[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(r.words) < maxWords {
		r.words[s] = s
	}
	return s
}

func (r *rowReader) fast(line []byte) (e list.Entry, ok bool) {
	if bytes.IndexByte(line, '\\') >= 0 || !utf8.Valid(line) { // encoding/json replaces what is not UTF-8
		return e, false
	}
	in := scanner{rest: line}
	if id := in.text(`{"id":`); len(id) == 2*len(e.ID) {
		if _, err := hex.Decode(e.ID[:], id); err != nil {
			return e, false
		}
	} else {
		return e, false
	}
	kind, err1 := canon.ParseKind(r.word(in.text(`,"kind":`)))
	e.Kind, e.Expression = kind, string(in.text(`,"expression":`))
	category, err2 := match.ParseCategory(r.word(in.text(`,"category":`)))
	basis, err3 := match.ParseBasis(r.word(in.text(`,"basis":`)))
	e.Category, e.Basis, e.Jurisdiction = category, basis, r.word(in.text(`,"jurisdiction":`))
	e.Since, e.ReviewBy = in.time(`,"since":`), in.time(`,"review_by":`)
	e.Assessors = [2]string{r.word(in.text(`,"assessor_1":`)), r.word(in.text(`,"assessor_2":`))}
	if bytes.HasPrefix(in.rest, []byte(`,"reason":`)) {
		e.Reason = r.word(in.text(`,"reason":`))
	}
	return e, err1 == nil && err2 == nil && err3 == nil && !in.bad && string(in.rest) == "}"
}

// scanner takes members off a line.
type scanner struct {
	rest []byte
	bad  bool
}

func (s *scanner) skip(prefix string) bool {
	if s.bad || len(s.rest) < len(prefix) || string(s.rest[:len(prefix)]) != prefix {
		s.bad = true
		return false
	}
	s.rest = s.rest[len(prefix):]
	return true
}

// text takes a member whose value is a string without escapes.
func (s *scanner) text(name string) []byte {
	if !s.skip(name) || !s.skip(`"`) {
		return nil
	}
	end := bytes.IndexByte(s.rest, '"')
	if end < 0 {
		s.bad = true
		return nil
	}
	b := s.rest[:end]
	s.rest = s.rest[end+1:]
	return b
}

// time takes a member whose value is Unix seconds.
func (s *scanner) time(name string) time.Time {
	if !s.skip(name) {
		return time.Time{}
	}
	n, digits := int64(0), 0
	for digits < len(s.rest) && s.rest[digits] >= '0' && s.rest[digits] <= '9' && digits < 12 {
		n = 10*n + int64(s.rest[digits]-'0')
		digits++
	}
	if digits == 0 {
		s.bad = true
	}
	s.rest = s.rest[digits:]
	return time.Unix(n, 0).UTC()
}
