package publish

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/resolver/canon"
)

// An address that was withdrawn, or removed because listing it was wrong, may be imported again: it may serve the same content again.
// It never comes back without a word: import, diff and sign say so.

// takenOut is how an address left the working set last.
type takenOut struct {
	how    string // withdrawn or removed
	reason string
}

func (t takenOut) String() string { return t.how + " before: " + t.reason }

// againstListing are the reasons for a removal that speak against listing the address again. A withdrawal always does.
var againstListing = []string{"error", "appeal", "court"}

// PutBack is a row of an import that was taken out before.
type PutBack struct {
	Line   int    `json:"line"`
	How    string `json:"how"` // withdrawn or removed
	Reason string `json:"reason"`
}

// maxPutBack bounds the lines that an import lists; more are counted.
const maxPutBack = 1000

func (i *Imported) putBack(line int, b takenOut) {
	i.PutBackCount++
	i.PutBack = append(i.PutBack, PutBack{Line: line, How: b.how, Reason: b.reason})
}

// sortPutBack leaves the first lines, in order.
func (i *Imported) sortPutBack() {
	slices.SortFunc(i.PutBack, func(a, b PutBack) int { return a.Line - b.Line })
	i.PutBack = i.PutBack[:min(len(i.PutBack), maxPutBack)]
}

// Write puts it in plain words.
func (i *Imported) Write(w io.Writer) error {
	if i.DryRun {
		fmt.Fprint(w, "nothing is changed; it would be: ")
	}
	_, err := fmt.Fprintf(w, "%d %s: %d added, %d updated%s, %d unchanged; %d %s in all\n", i.Rows, plural(i.Rows, "row", "rows"), i.Added, i.Updated,
		plural(i.Updated, " (it keeps its id)", " (they keep their id)"), i.Unchanged, i.Entries, plural(i.Entries, "entry", "entries"))
	if err == nil && i.HeldBack > 0 {
		_, err = fmt.Fprintf(w, "%d %s of entries that are held back, and %s effect when they come back (holdback --list)\n", i.HeldBack, plural(i.HeldBack, "row is", "rows are"), plural(i.HeldBack, "takes", "take"))
	}
	if err != nil || i.PutBackCount == 0 {
		return err
	}
	var lines []string
	for _, b := range i.PutBack[:min(len(i.PutBack), maxNamed)] {
		lines = append(lines, fmt.Sprintf("line %d (%s, %s)", b.Line, b.How, b.Reason))
	}
	if more := i.PutBackCount - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	_, err = fmt.Fprintf(w, "%d %s taken out before: %s\n  assess %s again; what is not to come back is taken out with remove --reason REASON\n", i.PutBackCount,
		plural(i.PutBackCount, "row was", "rows were"), strings.Join(lines, ", "), plural(i.PutBackCount, "it", "each"))
	return err
}

// takenOut gives what was withdrawn, or removed for a reason against listing, each with the last such line of removals.jsonl.
func (s *session) takenOut() (map[entryKey]takenOut, error) {
	out := map[entryKey]takenOut{}
	return out, s.eachRemoval(speaksAgainst, func(l removalLine) error {
		kind, err := canon.ParseKind(l.Kind)
		if err != nil {
			return err
		}
		switch k := (entryKey{kind, l.Expr}); {
		case l.Withdrawal > 0:
			out[k] = takenOut{"withdrawn", l.Removed}
		case slices.Contains(againstListing, l.Removed):
			out[k] = takenOut{"removed", l.Removed}
		}
		return nil
	})
}

// speaksAgainst reports whether a line of removals.jsonl can be one that takenOut looks for: decoding each of a long log takes long.
func speaksAgainst(line []byte) bool {
	return bytes.Contains(line, []byte(`"withdrawal"`)) ||
		slices.ContainsFunc(againstListing, func(r string) bool { return bytes.Contains(line, []byte(`"`+r+`"`)) })
}
