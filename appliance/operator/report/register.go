package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/cordon-project/cordon/appliance/api"
)

// Appeals prints a line for each appeal.
func Appeals(w io.Writer, all []api.Appeal) {
	for _, a := range all {
		about := ""
		if a.List != "" {
			about = ", about " + string(a.List)
		}
		if a.Entry != "" {
			about += " entry " + a.Entry
		}
		switch {
		case a.Outcome != "":
			fmt.Fprintf(w, "%s  %s at %s by %s (leaf %d)%s\n", a.Ref, a.Outcome, clock(a.At), strings.Join(a.By, " and "), a.Decided, about)
		case a.Overdue:
			fmt.Fprintf(w, "%s  OVERDUE since %s, received %s%s\n", a.Ref, clock(a.Due), clock(a.Received), about)
		default:
			fmt.Fprintf(w, "%s  open, due %s, received %s%s\n", a.Ref, clock(a.Due), clock(a.Received), about)
		}
	}
}

// writeRegister is the part of cordon status about appeals, auditors' lookups and programs.
func writeRegister(w io.Writer, st *api.Status) {
	for _, l := range st.Lookups {
		fmt.Fprintf(w, "\nAuditor %s looked up %d names at this node today, of %d\n", l.Auditor, l.N, l.Most)
	}
	if a := st.Appeals; a.Open > 0 {
		fmt.Fprintf(w, "\nAppeals: %d open, %d of them overdue, the next due %s\n", a.Open, a.Overdue, clock(a.Next))
	}
	if len(st.Programs) == 0 {
		return
	}
	fmt.Fprintln(w, "\nPrograms, as the nodes signed:")
	type kind struct{ program, version, sum string }
	var order []kind
	by := map[kind][]string{}
	for _, p := range st.Programs {
		k := kind{p.Program, p.Version, p.SHA256}
		if by[k] == nil {
			order = append(order, k)
		}
		by[k] = append(by[k], p.Name)
	}
	for _, k := range order {
		names := by[k]
		if len(names) > 8 {
			names = append(names[:8:8], fmt.Sprintf("and %d more", len(by[k])-8))
		}
		fmt.Fprintf(w, "  %s %s %.16s: %s\n", k.program, k.version, k.sum, strings.Join(names, ", "))
	}
}
