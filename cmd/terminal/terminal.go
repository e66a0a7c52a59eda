// Package terminal keeps text that others wrote from steering a person's terminal.
//
// In goes a writer for people, out comes one that writes the same bytes, but for what is not to be seen: escape sequences, controls, marks that
// turn the order of letters, and bytes that are no UTF-8 appear as what they are (\u001b). Names of hotlines, words of other operators' nodes and
// entries of logs pass through it on their way to a screen, whoever forgot to look at them. Lines and tabs stay: a writer of lines answers for them itself.
package terminal

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Safe is w for text that may have a stranger's words in it. What it writes instead is good inside a JSON string too. It is used as
// concurrently as w may be, if each Write ends with a whole character.
func Safe(w io.Writer) *Writer { return &Writer{to: w} }

// Writer is what Safe makes.
type Writer struct{ to io.Writer }

// Unwrap is the writer behind it, for who draws on a terminal on purpose.
func (w *Writer) Unwrap() io.Writer { return w.to }

// Write writes b, made visible, with one Write of the writer behind it.
func (w *Writer) Write(b []byte) (int, error) {
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if !shown(r, size) {
			if _, err := w.to.Write(visible(b, i)); err != nil {
				return 0, err
			}
			return len(b), nil
		}
		i += size
	}
	return w.to.Write(b)
}

// shown: what is written as it is.
func shown(r rune, size int) bool {
	return r == '\n' || r == '\t' || unicode.IsPrint(r) && (r != utf8.RuneError || size > 1)
}

// visible is b with all that is not shown spelled out; the first i bytes are.
func visible(b []byte, i int) []byte {
	out := append(make([]byte, 0, len(b)+64), b[:i]...)
	for i < len(b) {
		r, size := utf8.DecodeRune(b[i:])
		switch {
		case shown(r, size):
			out = append(out, b[i:i+size]...)
		case r == utf8.RuneError && size == 1:
			out = append(out, string(utf8.RuneError)...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		i += size
	}
	return out
}
