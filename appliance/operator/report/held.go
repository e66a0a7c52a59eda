package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/brake"
)

// Held says in words what is held back, why, and what can be done. most bounds the entry ids of a brake; 0 means all.
func Held(w io.Writer, held []api.Held, most int) {
	if len(held) == 0 {
		fmt.Fprintln(w, "Nothing is held back.")
		return
	}
	for i, h := range held {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s version %d is held back since %s (%s). What was in force before stays in force.\n", h.List, h.Seq, clock(h.Since), cmp.Or(reasons[h.Brake], h.Brake))
		if h.Approved {
			fmt.Fprintln(w, "Two officers have approved it; it is being tried again.")
		}
		if h.Judgement == nil {
			fmt.Fprintf(w, "More cannot be said: %s.\n", h.Problem)
			continue
		}
		writeJudgement(w, h.Judgement, most)
		writeApproval(w, h)
	}
}

// Simulated says in words what versions would change.
func Simulated(w io.Writer, all []api.Simulated, most int) {
	if len(all) == 0 {
		fmt.Fprintln(w, "No hotline publishes a list.")
	}
	for i, s := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		switch {
		case s.InForce:
			fmt.Fprintf(w, "%s version %d is in force, and its hotline publishes nothing newer.\n", s.List, s.Seq)
		case s.Judgement == nil:
			fmt.Fprintf(w, "%s version %d cannot be checked: %s.\n", s.List, s.Seq, s.Problem)
		default:
			switch j := s.Judgement; {
			case j.Result == audit.ResultOK:
				fmt.Fprintf(w, "%s version %d would come into force.\n", s.List, s.Seq)
			case j.Overrule:
				fmt.Fprintf(w, "%s version %d would be held back until two officers approve it.\n", s.List, s.Seq)
			default:
				fmt.Fprintf(w, "%s version %d would be refused (%s): %s.\n", s.List, s.Seq, j.Result, cmp.Or(reasons[j.Result], "ask the hotline"))
			}
			writeJudgement(w, s.Judgement, most)
		}
	}
}

func writeJudgement(w io.Writer, j *cluster.Judgement, most int) {
	if d := j.Difference; d != nil {
		before := fmt.Sprintf("Compared with version %d, which is in force, it", j.Before)
		if j.Before == 0 {
			before = "Nothing of this list is in force. It"
		}
		fmt.Fprintf(w, "%s stops %s more and frees %s.\n", before, tally(&d.Stops), tally(&d.Frees))
	}
	for _, n := range j.Notes {
		fmt.Fprintf(w, "Note: %s.\n", n)
	}
	for _, h := range j.Held {
		fmt.Fprintf(w, "  %s: %s\n", h.Brake, h.Text)
		if len(h.Kinds) > 0 {
			fmt.Fprintf(w, "    by kind: %s\n", counts(h.Kinds))
		}
		for i, e := range h.Entries {
			if most > 0 && i == most {
				fmt.Fprintf(w, "    ... and %d more (--all, --json)\n", h.Count-most)
				break
			}
			category := ""
			if e.Category != "" {
				category = " (" + string(e.Category) + ")"
			}
			fmt.Fprintf(w, "    entry %s%s\n", e.ID, category)
		}
		if h.Count > cluster.MaxHeldEntries && (most == 0 || most > len(h.Entries)) {
			fmt.Fprintf(w, "    ... and %d more, too many to be approved one by one\n", h.Count-len(h.Entries))
		}
		fmt.Fprintf(w, "    what to do: %s\n", h.Do)
	}
	if j.Approved > 0 {
		fmt.Fprintf(w, "Officers have approved %d of its entries; they are not among these.\n", j.Approved)
	}
}

// writeApproval writes the command that would let the version pass.
func writeApproval(w io.Writer, h api.Held) {
	var line []string
	entries := false
	for _, b := range h.Judgement.Held {
		switch b.Brake.AtOperator() {
		case brake.Nobody:
			fmt.Fprintf(w, "Nobody can overrule %s: the hotline must publish another version.\n", b.Brake)
			return
		case brake.Entries:
			entries = true
		}
		line = append(line, "--brake "+string(b.Brake))
	}
	if entries {
		line = append(line, "--entry ID ... (each entry that may pass)")
	}
	fmt.Fprintf(w, "To let it pass, two officers sign: cordon approve --list %s %s --reason WHY --officer DIR --officer DIR\n", h.List, strings.Join(line, " "))
}

// tally says how many entries there are, and of what sort.
func tally(t *brake.Tally) string {
	if t.Entries == 0 {
		return "0 entries"
	}
	entries := "entries"
	if t.Entries == 1 {
		entries = "entry"
	}
	return fmt.Sprintf("%d %s (%s; %s; %s; %d of them whole sites)", t.Entries, entries, counts(t.Kinds), counts(t.Bases), counts(t.Jurisdictions), t.Broad)
}

func counts(m map[string]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(out, ", ")
}
