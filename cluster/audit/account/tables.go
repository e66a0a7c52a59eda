package account

import (
	"fmt"
	"strings"

	"github.com/cordon-project/cordon/cluster/audit/period"
)

func table(caption string, head []string, rows [][]string) Table { return Table{caption, head, rows} }

func tally(caption, what string, c []period.Count) Table {
	var rows [][]string
	for _, x := range c {
		rows = append(rows, []string{x.Word, fmt.Sprint(x.N)})
	}
	return table(caption, []string{what, "number"}, rows)
}

func (w writer) leaves() Table { return tally("Records of the period", "kind", w.f.Leaves) }

func (w writer) alarms() Table { return tally("Alarms", "what", w.f.Alarms) }

func (w writer) removals() Table {
	return tally("Entries withdrawn, by reason", "reason", w.f.Withdrawals.Reasons)
}

func (w writer) refusals() Table {
	var rows [][]string
	for _, r := range w.f.Refusals {
		rows = append(rows, []string{string(r.List), string(r.Hotline), r.Stage, r.Reason, fmt.Sprint(r.N), r.Last.String()})
	}
	return table("Refused", []string{"list", "hotline", "at", "reason", "times", "last"}, rows)
}

func (w writer) nodes() Table {
	n := w.f.Nodes
	rows := [][]string{{"control nodes", fmt.Sprint(len(n.Control))}, {"edges enrolled", fmt.Sprint(len(n.Edges))}, {"edges that reported", fmt.Sprint(w.f.Receipts.Edges)}, {"came or went", fmt.Sprint(len(n.Changes))}}
	return table("Servers, at the end of the period", []string{"what", "number"}, rows)
}

func (w writer) charters() Table {
	var rows [][]string
	for _, c := range w.f.Charters {
		rows = append(rows, []string{string(c.Hotline), strings.Join(c.Bases, ", "), strings.Join(c.Jurisdictions, ", "), strings.Join(c.Kinds, ", "), c.Since.String(), c.Charter.String()})
	}
	return table("Charters", []string{"hotline", "legal bases", "jurisdictions", "kinds", "first version under it", "SHA-256"}, rows)
}

func (w writer) kinds() Table {
	var rows [][]string
	for _, l := range w.f.Lists {
		if l.After != nil {
			rows = append(rows, []string{string(l.List), counts(l.After.Kinds), counts(l.After.Bases)})
		}
	}
	return table("Entries at the end of the period", []string{"list", "by kind", "by legal basis"}, rows)
}

// maxRows bounds a table for people; the JSON has all.
const maxRows = 400

func (w writer) versionTable() Table {
	var rows [][]string
	left := 0
	for _, l := range w.f.Lists {
		for _, v := range l.Versions {
			if len(rows) >= maxRows {
				left++
				continue
			}
			rows = append(rows, []string{string(l.List), fmt.Sprint(v.Seq), v.At.String(), fmt.Sprint(v.Leaf), counts(v.Kinds), counts(v.Bases), fmt.Sprint(v.Added), fmt.Sprint(v.Removed), v.Edge.String()[:16]})
		}
	}
	caption := "List versions of the period"
	if left > 0 {
		caption += fmt.Sprintf(" (%d more are in the JSON)", left)
	}
	return table(caption, []string{"list", "version", "in force since", "leaf", "by kind", "by legal basis", "added", "left out", "edge list"}, rows)
}

func (w writer) reviewTable() Table {
	var rows [][]string
	for _, r := range w.d.Review {
		rows = append(rows, []string{string(r.List), fmt.Sprint(r.Seq), fmt.Sprint(r.Entries), fmt.Sprint(r.Past), fmt.Sprint(r.Soon), r.Oldest.String()})
	}
	return table("Review dates, in the lists in force", []string{"list", "version", "entries", "past", "due in 30 days", "oldest living entry"}, rows)
}
