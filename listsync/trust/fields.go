package trust

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// fields walks an object with exactly known keys and keeps the first thing that is wrong, so that readers of formats are a list of
// fields and one check at the end.
type fields struct {
	of   string // what the object is, for messages: our words, never the input's
	v    *value
	used map[string]bool
	err  error
}

// object opens v as an object called of.
func object(of string, v *value) *fields {
	f := &fields{of: of, v: v, used: map[string]bool{}}
	if v.kind != kindObject {
		f.fail("is %s, want an object", v.kind)
	}
	return f
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("%w: %s "+format, append([]any{ErrFormat, f.of}, args...)...)
	}
}

// get takes the field key, which must be there and of kind k. Never nil: an absent field reads as an empty value.
func (f *fields) get(key string, k kind) *value {
	f.used[key] = true
	if f.err != nil {
		return &value{kind: k}
	}
	i := slices.Index(f.v.keys, key)
	if i < 0 {
		f.fail("has no %s", key)
		return &value{kind: k}
	}
	if got := f.v.items[i]; got.kind != k {
		f.fail("%s is %s, want %s", key, got.kind, k)
		return &value{kind: k}
	}
	return f.v.items[i]
}

// has reports whether the field key is there at all.
func (f *fields) has(key string) bool { return f.err == nil && slices.Contains(f.v.keys, key) }

func (f *fields) str(key string) string { return f.get(key, kindString).str }
func (f *fields) bool(key string) bool  { return f.get(key, kindBool).bool }

// int takes a whole number between low and high.
func (f *fields) int(key string, low, high int64) int64 {
	n := f.get(key, kindInt).num
	if f.err == nil && (n < low || n > high) {
		f.fail("%s is not from %d to %d", key, low, high)
	}
	return n
}

// is demands that the string field key has exactly the value want.
func (f *fields) is(key, want string) {
	if got := f.str(key); f.err == nil && got != want {
		f.fail("%s (%d bytes) is not %q", key, len(got), want)
	}
}

// hex takes exactly size bytes in lower-case hexadecimal.
func (f *fields) hex(key string, size int) []byte {
	b, err := lowerHex(f.str(key), size)
	if f.err == nil && err != nil {
		f.fail("%s %w", key, err)
	}
	return b
}

// time takes an instant in the one form YYYY-MM-DDTHH:MM:SSZ.
func (f *fields) time(key string) time.Time {
	s := f.str(key)
	t, err := time.Parse(time.RFC3339, s)
	if f.err == nil && (err != nil || t.UTC().Format("2006-01-02T15:04:05Z") != s) {
		f.fail("%s is not YYYY-MM-DDTHH:MM:SSZ", key)
	}
	return t.UTC()
}

// strings takes an array of min to max strings.
func (f *fields) strings(key string, low, high int) []string {
	v := f.get(key, kindArray)
	if f.err == nil && (len(v.items) < low || len(v.items) > high) {
		f.fail("%s has %d members, want %d to %d", key, len(v.items), low, high)
		return nil
	}
	out := make([]string, 0, len(v.items))
	for _, item := range v.items {
		if item.kind != kindString {
			f.fail("%s holds %s, want strings", key, item.kind)
			return nil
		}
		out = append(out, item.str)
	}
	return out
}

// each calls fn for every field of the object in the field key, at most high of them.
func (f *fields) each(key string, high int, fn func(key string, v *value) error) {
	v := f.get(key, kindObject)
	if f.err == nil && len(v.keys) > high {
		f.err = fmt.Errorf("%w: %s %s has %d members, at most %d", ErrTooLarge, f.of, key, len(v.keys), high)
	}
	for i, k := range v.keys {
		if f.err != nil {
			return
		}
		f.err = fn(k, v.items[i])
	}
}

// end gives the first error; a field nobody asked for is one. Fields that start with extra (if given) may be there unasked.
func (f *fields) end(extra ...string) error {
	if f.err != nil {
		return f.err
	}
	for _, k := range f.v.keys {
		allowed := f.used[k] || slices.ContainsFunc(extra, func(p string) bool { return strings.HasPrefix(k, p) })
		if !allowed {
			f.fail("has an unknown field (%d bytes)", len(k))
		}
	}
	return f.err
}

// lowerHex reads exactly size bytes of lower-case hexadecimal.
func lowerHex(s string, size int) ([]byte, error) {
	b := make([]byte, size)
	if len(s) != 2*size || strings.ToLower(s) != s {
		return b, fmt.Errorf("is not %d lower-case hexadecimal digits", 2*size)
	}
	if _, err := hex.Decode(b, []byte(s)); err != nil {
		return make([]byte, size), fmt.Errorf("is not hexadecimal")
	}
	return b, nil
}

// plainText reports text of 1 to high characters that canonical JSON writes as itself.
func plainText(s string, high int) bool {
	for i := range len(s) {
		if !plain(s[i]) {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= high
}
