// Package account writes for people what a verified log shows of a period: one HTML page that needs nothing else, and the same as JSON.
//
// In go a verification's report, the facts of the period, and what the newest lists say of their entries' review dates; out comes a document
// in the terms that courts and legislators ask in: Directive 2011/93/EU, Article 25(2), and the European Court of Human Rights in Kharitonov v.
// Russia. Each heading says what the log shows and what it cannot show. What failed in the verification stands first. Text of the input is
// escaped; the page has no script, no link that loads anything, and prints. A scope certificate comes as such a page too.
package account

import (
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/figures"
	"github.com/cordon-project/cordon/cluster/audit/period"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Document is the account of a period. It holds no name of a list's entry: none is in a log.
type Document struct {
	V          int                     `json:"v"` // 1
	Pass       bool                    `json:"pass"`
	Cluster    string                  `json:"cluster"`
	ClusterID  string                  `json:"cluster_id"`
	Checkpoint *audit.ReportCheckpoint `json:"checkpoint"` // null when there is none to be trusted
	Checks     []audit.Check           `json:"checks"`
	Notes      []string                `json:"notes"`
	Facts      *period.Facts           `json:"facts"` // null when the log is not the cluster's
	Review     []Review                `json:"review"`
	Figures    *figures.Sum            `json:"figures,omitempty"` // published by the operator, where they were given
	Parts      []Part                  `json:"parts"`
}

// Part answers one text: a law's article, or a judgment.
type Part struct {
	Title  string    `json:"title"`
	Source string    `json:"source"` // what it cites
	Heads  []Heading `json:"headings"`
}

// Heading is one of the questions that the text asks.
type Heading struct {
	Title  string   `json:"title"`
	Shows  []string `json:"shows"`
	Cannot []string `json:"cannot"`
	Tables []Table  `json:"-"` // for the page; their numbers are in Facts
}

// Table is one for the page.
type Table struct {
	Caption string
	Head    []string
	Rows    [][]string
}

// Review is what a list in force says of its entries' review dates.
type Review struct {
	List    match.ListID `json:"list"`
	Seq     uint64       `json:"seq"`
	Entries uint64       `json:"entries"`
	Past    uint64       `json:"past"`   // dead: their date is over, so edges pass them
	Soon    uint64       `json:"soon"`   // within 30 days
	Oldest  period.Time  `json:"oldest"` // since when the oldest living entry is listed
}

// soon is how far ahead a review is called due.
const soon = 30 * 24 * time.Hour

// ReviewOf counts an edge list's entries by review date, at a time. Steer records and decoys are no entries.
func ReviewOf(e *list.Edge, at time.Time) Review {
	r := Review{List: e.Version().List, Seq: e.Version().Seq}
	now, next := at.Unix(), at.Add(soon).Unix()
	for i := range e.Len() {
		m := e.Meta(i)
		if m.Kind == canon.KindSteer {
			continue
		}
		r.Entries++
		switch by := int64(m.ReviewBy); {
		case by < now:
			r.Past++
			continue
		case by < next:
			r.Soon++
		}
		if since := period.Time(m.Since); r.Oldest == 0 || since < r.Oldest {
			r.Oldest = since
		}
	}
	return r
}

// New writes the account of a report. facts may be nil: then it says only what failed. review is in the order of lists.
func New(c audit.Cluster, r *audit.Report, facts *period.Facts, review []Review) *Document {
	d := &Document{
		V: 1, Pass: r.Pass, Cluster: c.Name, ClusterID: c.ID(), Checkpoint: r.Checkpoint, Checks: r.Checks, Notes: r.Notes, Facts: facts, Review: review, Parts: []Part{},
	}
	if d.Notes == nil {
		d.Notes = []string{}
	}
	if d.Review == nil {
		d.Review = []Review{}
	}
	if facts != nil {
		w := writer{d: d, f: facts}
		d.Parts = []Part{w.directive(), w.court()}
	}
	return d
}

// Failed are the checks that did not pass, those that could not be made among them.
func (d *Document) Failed() []audit.Check {
	var out []audit.Check
	for _, c := range d.Checks {
		if !c.Pass {
			out = append(out, c)
		}
	}
	return out
}
