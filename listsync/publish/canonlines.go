package publish

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cordon-project/cordon/resolver/canon"
)

// maxCanonLine bounds a line of Canon's input.
const maxCanonLine = 8 << 10

// Canon reads URLs or names, one a line, and writes one line for each, in order and as it goes: the canonical URL, or "!" and why
// there is none ("!empty", "!too long", or the reason of canon). With expressions it writes what a question for it is compared with,
// as "kind text" pairs parted by tabs. It keeps one line in memory.
func Canon(r io.Reader, w io.Writer, expressions bool) error {
	in := newLineReader(r, maxCanonLine)
	out := bufio.NewWriterSize(w, 64<<10)
	for {
		line, err := in.next()
		switch {
		case errors.Is(err, io.EOF):
			return out.Flush()
		case errors.Is(err, errLineTooLong):
			out.WriteString("!too long\n")
			continue
		case err != nil:
			out.Flush()
			return fault(CodeFailure, err, "", "cannot read line %d of the input", in.line+1)
		}
		out.WriteString(canonLine(string(line), expressions))
		out.WriteByte('\n')
		if in.r.Buffered() == 0 { // someone may be waiting at the other end of a pipe
			if err := out.Flush(); err != nil {
				return fault(CodeFailure, err, "", "cannot write the output")
			}
		}
	}
}

func canonLine(line string, expressions bool) string {
	if line == "" {
		return "!empty"
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
