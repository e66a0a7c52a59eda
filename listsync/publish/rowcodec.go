package publish

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
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

// read reads a line as appendRow wrote it and falls back to encoding/json for any other form of the same object. The expression is a part
// of line.
func (r *rowReader) read(line string) (list.Entry, error) {
	if e, ok := r.fast(line); ok {
		return e, nil
	}
	var slow row
	if err := decodeJSON([]byte(line), &slow); err != nil {
		return list.Entry{}, err
	}
	return slow.entry()
}

// maxWords bounds the kept words: jurisdictions and assessors are few.
const maxWords = 4096

func (r *rowReader) word(s string) string {
	if w, ok := r.words[s]; ok {
		return w
	}
	w := strings.Clone(s)
	if len(r.words) < maxWords {
		r.words[w] = w
	}
	return w
}

func (r *rowReader) fast(line string) (e list.Entry, ok bool) {
	if strings.IndexByte(line, '\\') >= 0 || !utf8.ValidString(line) { // encoding/json replaces what is not UTF-8
		return e, false
	}
	in := scanner{rest: line}
	id := in.text(`{"id":"`)
	if len(id) != 2*len(e.ID) || !unhex(e.ID[:], id) {
		return e, false
	}
	kind, err1 := canon.ParseKind(in.text(`,"kind":"`))
	e.Kind, e.Expression = kind, in.text(`,"expression":"`)
	category, err2 := match.ParseCategory(in.text(`,"category":"`))
	basis, err3 := match.ParseBasis(in.text(`,"basis":"`))
	e.Category, e.Basis, e.Jurisdiction = category, basis, r.word(in.text(`,"jurisdiction":"`))
	e.Since, e.ReviewBy = in.time(`,"since":`), in.time(`,"review_by":`)
	e.Assessors = [2]string{r.word(in.text(`,"assessor_1":"`)), r.word(in.text(`,"assessor_2":"`))}
	if strings.HasPrefix(in.rest, `,"reason":"`) {
		e.Reason = r.word(in.text(`,"reason":"`))
	}
	return e, err1 == nil && err2 == nil && err3 == nil && !in.bad && in.rest == "}"
}

// unhex reads hexadecimal digits, two for each byte of dst.
func unhex(dst []byte, s string) bool {
	for i := range dst {
		hi, lo := digits[s[2*i]], digits[s[2*i+1]]
		if hi|lo > 0xf {
			return false
		}
		dst[i] = hi<<4 | lo
	}
	return true
}

// digits are the values of hexadecimal digits; 0xff is none.
var digits = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i, c := range "0123456789abcdef" {
		t[c] = byte(i)
	}
	for i, c := range "ABCDEF" {
		t[c] = byte(10 + i)
	}
	return t
}()

// scanner takes members off a line.
type scanner struct {
	rest string
	bad  bool
}

func (s *scanner) skip(prefix string) bool {
	if s.bad || !strings.HasPrefix(s.rest, prefix) {
		s.bad = true
		return false
	}
	s.rest = s.rest[len(prefix):]
	return true
}

// text takes a member whose value is a string without escapes; name ends with the quote before it.
func (s *scanner) text(name string) string {
	if !s.skip(name) {
		return ""
	}
	end := strings.IndexByte(s.rest, '"')
	if end < 0 {
		s.bad = true
		return ""
	}
	text := s.rest[:end]
	s.rest = s.rest[end+1:]
	return text
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
