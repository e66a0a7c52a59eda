package publish

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cordon-project/cordon/resolver/canon"
)

// tooLong stands for a line that was: no line has a line break in it.
const tooLong = "\n"

// maxCanonLine bounds a line of Canon's input.
const maxCanonLine = 8 << 10

// Canon reads URLs or names, one a line, and writes one line for each, in order and as it goes: the canonical URL, or "!" and why
// there is none ("!empty", "!too long", or the reason of canon). With expressions it writes what a question for it is compared with,
// as "kind text" pairs parted by tabs. It keeps one line in memory.
func Canon(r io.Reader, w io.Writer, expressions bool) error {
	return canonLines(r, w, func(_ int, line string) ([]byte, error) { return []byte(canonLine(line, expressions)), nil })
}

// CanonLine is what CanonJSON writes for one line: the canonical URL, or the expressions, or why there is none.
type CanonLine struct {
	Line        int         `json:"line"`
	URL         string      `json:"url,omitempty"`
	Expressions []CanonExpr `json:"expressions,omitempty"`
	Refused     string      `json:"refused,omitempty"`
}

// CanonExpr is an expression that a question is compared with.
type CanonExpr struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// CanonJSON is Canon with one JSON object a line.
func CanonJSON(r io.Reader, w io.Writer, expressions bool) error {
	return canonLines(r, w, func(n int, line string) ([]byte, error) {
		out := CanonLine{Line: n}
		text := canonLine(line, expressions)
		if refused, ok := strings.CutPrefix(text, "!"); ok {
			out.Refused = refused
		} else if !expressions {
			out.URL = text
		} else {
			for one := range strings.SplitSeq(text, "\t") {
				kind, text, _ := strings.Cut(one, " ")
				out.Expressions = append(out.Expressions, CanonExpr{kind, text})
			}
		}
		return json.Marshal(out)
	})
}

// canonLines gives each line to one, and writes what it answers.
func canonLines(r io.Reader, w io.Writer, one func(n int, line string) ([]byte, error)) error {
	in := newLineReader(r, maxCanonLine)
	out := bufio.NewWriterSize(w, 64<<10)
	for {
		line, err := in.next()
		switch {
		case errors.Is(err, io.EOF):
			return out.Flush()
		case errors.Is(err, errLineTooLong):
			line = []byte(tooLong)
		case err != nil:
			out.Flush()
			return fault(CodeFailure, err, "", "cannot read line %d of the input", in.line+1)
		}
		answer, err := one(in.line, string(line))
		if err != nil {
			return err
		}
		out.Write(answer)
		out.WriteByte('\n')
		if in.r.Buffered() == 0 { // someone may be waiting at the other end of a pipe
			if err := out.Flush(); err != nil {
				return fault(CodeFailure, err, "", "cannot write the output")
			}
		}
	}
}

func canonLine(line string, expressions bool) string {
	switch line {
	case "":
		return "!empty"
	case tooLong:
		return "!too long"
	}
	if !expressions {
		u, err := canon.URL(line)
		if err != nil {
			return "!" + canonReason(err)
		}
		return u
	}
	all, err := canon.Expressions(line)
	if err != nil {
		return "!" + canonReason(err)
	}
	var b strings.Builder
	for i, e := range all {
		if i > 0 {
			b.WriteByte('\t')
		}
		fmt.Fprintf(&b, "%s %s", e.Kind, e.Text)
	}
	return b.String()
}

// canonReason is the stable word of a refusal, on one line.
func canonReason(err error) string {
	if e, ok := errors.AsType[*canon.Error](err); ok {
		return printable(e.Reason)
	}
	return printable(err.Error())
}
