package trust

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Strict JSON. encoding/json, which go-tuf uses, folds the case of keys, takes the last of duplicate keys and ignores what it does
// not know: two readers of the same signed bytes could see two documents. So everything is read by this parser first, and only
// what it has accepted reaches go-tuf.
//
// Errors here and in what reads the values say where and of what kind a fault is, and quote nothing: all of it runs before a
// signature has been verified, and the detail of a refusal is logged in public for ever.

const (
	maxDepth = 12       // TUF needs 7: signed, delegations, roles, role, keyids
	maxNodes = 16 << 10 // a full metadata file of 48 KiB has about 4,000 values
)

type kind uint8

const (
	kindObject kind = iota + 1
	kindArray
	kindString
	kindInt
	kindBool
)

func (k kind) String() string {
	return [...]string{"nothing", "an object", "an array", "a string", "a number", "true or false"}[k]
}

// value is one parsed JSON value. There is no null and no fraction: nothing we read has them.
type value struct {
	kind  kind
	str   string   // of a string
	num   int64    // of a number
	bool  bool     // of true or false
	keys  []string // of an object, beside items
	items []*value // of an object or array
	raw   []byte   // the bytes the value was read from
}

// parser reads one document. canonical demands the one form that a value has: no white space, keys in ascending order (so none
// twice), strings of printable ASCII that need no escape in any encoder, digits without signs or leading zeros. In that form the
// bytes are at once the document, its OLPC canonical JSON (what TUF signs) and what go-tuf writes.
type parser struct {
	b         []byte
	pos       int
	nodes     int
	canonical bool
}

// parseCanonical reads a document that must be in canonical form and an object.
func parseCanonical(b []byte) (*value, error) { return parse(b, true) }

// parseStrict reads a document with free white space and key order, still without duplicate keys, null, fractions or trailing data.
func parseStrict(b []byte) (*value, error) { return parse(b, false) }

func parse(b []byte, canonical bool) (*value, error) {
	p := &parser{b: b, canonical: canonical}
	p.space()
	v, err := p.value(0)
	if err != nil {
		return nil, fmt.Errorf("%w: JSON at byte %d: %w", ErrFormat, p.pos, err)
	}
	p.space()
	switch {
	case p.pos != len(b):
		return nil, fmt.Errorf("%w: JSON has data after its end at byte %d", ErrFormat, p.pos)
	case v.kind != kindObject:
		return nil, fmt.Errorf("%w: JSON is %s, want an object", ErrFormat, v.kind)
	}
	return v, nil
}

type syntaxError string

func (e syntaxError) Error() string { return string(e) }

func (p *parser) space() {
	for !p.canonical && p.pos < len(p.b) && strings.IndexByte(" \t\r\n", p.b[p.pos]) >= 0 {
		p.pos++
	}
}

// take consumes c if it comes next.
func (p *parser) take(c byte) bool {
	if p.pos < len(p.b) && p.b[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *parser) value(depth int) (*value, error) {
	if p.nodes++; p.nodes > maxNodes {
		return nil, syntaxError("too many values")
	}
	if depth > maxDepth {
		return nil, syntaxError("nested too deeply")
	}
	if p.pos == len(p.b) {
		return nil, syntaxError("ends early")
	}
	start := p.pos
	v := &value{}
	var err error
	switch c := p.b[p.pos]; {
	case c == '{':
		v.kind = kindObject
		err = p.object(v, depth)
	case c == '[':
		v.kind = kindArray
		err = p.array(v, depth)
	case c == '"':
		v.kind = kindString
		v.str, err = p.string()
	case c >= '0' && c <= '9':
		v.kind = kindInt
		v.num, err = p.int()
	case strings.HasPrefix(string(p.b[p.pos:min(len(p.b), p.pos+4)]), "true"):
		v.kind, v.bool = kindBool, true
		p.pos += len("true")
	case strings.HasPrefix(string(p.b[p.pos:min(len(p.b), p.pos+5)]), "false"):
		v.kind = kindBool
		p.pos += len("false")
	default:
		err = syntaxError("not a value this format has")
	}
	if err != nil {
		return nil, err
	}
	v.raw = p.b[start:p.pos]
	return v, nil
}

func (p *parser) object(v *value, depth int) error {
	p.pos++ // the brace
	p.space()
	if p.take('}') {
		return nil
	}
	seen := map[string]bool{}
	for {
		p.space()
		if p.pos == len(p.b) || p.b[p.pos] != '"' {
			return syntaxError("want a key")
		}
		key, err := p.string()
		switch {
		case err != nil:
			return err
		case seen[key]:
			return syntaxError("duplicate key")
		case p.canonical && len(v.keys) > 0 && key < v.keys[len(v.keys)-1]:
			return syntaxError("key is out of order")
		}
		seen[key] = true
		p.space()
		if !p.take(':') {
			return syntaxError("want a colon")
		}
		p.space()
		item, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		v.keys, v.items = append(v.keys, key), append(v.items, item)
		p.space()
		if p.take('}') {
			return nil
		}
		if !p.take(',') {
			return syntaxError("want a comma")
		}
	}
}

func (p *parser) array(v *value, depth int) error {
	p.pos++ // the bracket
	p.space()
	if p.take(']') {
		return nil
	}
	for {
		p.space()
		item, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		v.items = append(v.items, item)
		p.space()
		if p.take(']') {
			return nil
		}
		if !p.take(',') {
			return syntaxError("want a comma")
		}
	}
}

// string reads a string. Canonical ones are printable ASCII without the characters that some encoder escapes.
func (p *parser) string() (string, error) {
	start := p.pos
	for p.pos++; p.pos < len(p.b); p.pos++ {
		c := p.b[p.pos]
		switch {
		case c == '"':
			p.pos++
			if p.canonical {
				return string(p.b[start+1 : p.pos-1]), nil
			}
			return unquote(p.b[start:p.pos])
		case c < 0x20:
			return "", syntaxError("control character in a string")
		case p.canonical && !plain(c):
			return "", syntaxError("character in a string that canonical JSON does not write as itself")
		case c == '\\':
			p.pos++ // what follows, a quote included, belongs to the escape
		}
	}
	return "", syntaxError("string without end")
}

// plain reports a character that every JSON encoder writes as itself: encoding/json escapes <, > and &.
func plain(c byte) bool {
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
}

func unquote(token []byte) (string, error) {
	if !utf8.Valid(token) {
		return "", syntaxError("string is not UTF-8")
	}
	var s string
	if err := json.Unmarshal(token, &s); err != nil {
		return "", syntaxError("bad escape in a string")
	}
	for _, r := range s {
		// A lone surrogate escape becomes U+FFFD: two different documents would read as one.
		if r == unicode.ReplacementChar || unicode.IsControl(r) {
			return "", syntaxError("character in a string that no text has")
		}
	}
	return s, nil
}

// int reads digits. More than fits, a fraction or an exponent is an error.
func (p *parser) int() (int64, error) {
	start := p.pos
	for p.pos < len(p.b) && p.b[p.pos] >= '0' && p.b[p.pos] <= '9' {
		p.pos++
	}
	digits := string(p.b[start:p.pos])
	if len(digits) > 1 && digits[0] == '0' {
		return 0, syntaxError("number with a leading zero")
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > maxNumber {
		return 0, syntaxError("number too large")
	}
	return n, nil
}

// maxNumber is the largest whole number every JSON reader holds exactly (2^53-1).
const maxNumber = 1<<53 - 1
