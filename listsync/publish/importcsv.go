package publish

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Header is the first line of an import, exactly.
const Header = "expression,kind,category,basis,jurisdiction,review_by,assessor_1,assessor_2,reason"

// Bounds of an import.
const (
	maxRow       = 16 << 10 // bytes in a line: the longest expression is 8 KiB
	maxAssessor  = 64
	maxReason    = 500
	maxRowErrors = 100_000 // bad rows that are listed; more are counted
)

// column is a field of the header, counted from 1 as in a spreadsheet.
type column int

const (
	colExpression column = 1 + iota
	colKind
	colCategory
	colBasis
	colJurisdiction
	colReviewBy
	colAssessor1
	colAssessor2
	colReason
)

var columns = strings.Split(Header, ",")

// RowError is one thing wrong with one row of an import. It never repeats the expression.
type RowError struct {
	Line    int    `json:"line"`
	Column  string `json:"column,omitempty"`  // empty when the whole row is wrong
	Pointer string `json:"pointer,omitempty"` // of a JSON import: /3/kind is the kind of the fourth entry
	Reason  string `json:"reason"`

	entry int // of a JSON import, from 1
}

func (r RowError) String() string {
	place := fmt.Sprintf("line %d", r.Line)
	switch {
	case r.entry > 0 && r.Column != "":
		place += fmt.Sprintf(", entry %d (%s)", r.entry, r.Column)
	case r.entry > 0:
		place += fmt.Sprintf(", entry %d", r.entry)
	case r.Column != "":
		place += fmt.Sprintf(", column %d (%s)", slices.Index(columns, r.Column)+1, r.Column)
	}
	return place + ": " + r.Reason
}

// RowErrors lists everything wrong with an import.
type RowErrors struct {
	Rows []RowError `json:"rows"`
	More int        `json:"more,omitempty"` // further ones that are not listed

	rows int // that were set aside
}

func (r *RowErrors) Error() string {
	var b strings.Builder
	for i, e := range r.Rows {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.String())
	}
	if r.More > 0 {
		fmt.Fprintf(&b, "\nand %d more", r.More)
	}
	return b.String()
}

// Is makes every RowErrors an ErrRows.
func (r *RowErrors) Is(target error) bool { return target == ErrRows }

func (r *RowErrors) add(row *rawRow, col column, format string, a ...any) {
	if len(r.Rows) >= maxRowErrors {
		r.More++
		return
	}
	e := RowError{Line: row.line, Reason: fmt.Sprintf(format, a...), entry: row.entry}
	if col > 0 {
		e.Column = columns[col-1]
	}
	if e.entry > 0 {
		e.Pointer = fmt.Sprintf("/%d", e.entry-1)
		if col > 0 {
			e.Pointer += "/" + e.Column
		}
	}
	r.Rows = append(r.Rows, e)
}

// rules are what rows are checked against.
type rules struct {
	filter match.Filter // what the charter allows
	canary string       // host of the canary: an import cannot claim it
	now    time.Time

	errors   string // file for the bad rows, or empty
	takeGood bool   // the good rows are wanted although others are bad
	run      int    // bytes of a sorter's run; 0 means runSize
}

// row checks one line and says everything that is wrong with it at once.
func (ru *rules) row(raw *rawRow, e *list.Entry, bad *RowErrors) bool {
	before := len(bad.Rows) + bad.More
	field := func(c column) string { return strings.TrimSpace(raw.fields[c-1]) }
	word := func(c column) string { return strings.ToLower(field(c)) } // of a closed set: a spreadsheet begins it with a capital

	kind, err := canon.ParseKind(word(colKind))
	if err != nil {
		bad.add(raw, colKind, "not one of url, prefix, host, domain")
	} else if !slices.Contains(ru.filter.Kinds, kind) {
		bad.add(raw, colKind, "the charter does not allow %s entries", kind)
	}
	e.Kind = kind
	if err == nil {
		e.Expression, err = canon.Expression(kind, raw.fields[colExpression-1])
		if err != nil {
			bad.add(raw, colExpression, "not a %s: %s", kind, canonReason(err))
		} else if reason := ru.refuse(kind, e.Expression); reason != "" {
			bad.add(raw, colExpression, "%s", reason)
		}
	}
	if e.Category, err = match.ParseCategory(word(colCategory)); err != nil {
		bad.add(raw, colCategory, "not one of %s", categories())
	}
	if e.Basis, err = match.ParseBasis(word(colBasis)); err != nil {
		bad.add(raw, colBasis, "not one of law, order, voluntary")
	} else if !slices.Contains(ru.filter.Bases, e.Basis) {
		bad.add(raw, colBasis, "the charter does not allow entries by %s", e.Basis)
	}
	if e.Jurisdiction = strings.ToUpper(field(colJurisdiction)); !slices.Contains(ru.filter.Jurisdictions, e.Jurisdiction) {
		bad.add(raw, colJurisdiction, "not a jurisdiction of the charter (%s)", strings.Join(ru.filter.Jurisdictions, ", "))
	}
	if e.ReviewBy, err = parseReview(field(colReviewBy), ru.now); err != nil {
		bad.add(raw, colReviewBy, "%s", err)
	}
	e.Since = ru.now
	e.Assessors = [2]string{field(colAssessor1), field(colAssessor2)}
	if i, why := twoPeople(e.Assessors); why != "" {
		bad.add(raw, colAssessor1+column(i), "%s", why)
	}
	e.Reason = field(colReason)
	if len(e.Reason) > maxReason {
		bad.add(raw, colReason, "longer than %d bytes", maxReason)
	}
	if e.Reason == "" && (e.Kind == canon.KindHost || e.Kind == canon.KindDomain) {
		bad.add(raw, colReason, "a %s entry blocks a whole site and needs a written reason", e.Kind)
	}
	return len(bad.Rows)+bad.More == before
}

// refuse says why an expression can never be an entry of kind, or "".
func (ru *rules) refuse(kind canon.Kind, expr string) string {
	host := canon.HostOf(expr)
	switch {
	case kind == canon.KindDomain && canon.PublicSuffix(host):
		return "a public suffix: strangers register names below it, and a domain entry would block them all"
	case kind == canon.KindHost && isAddress(host):
		return "an IP address: no question asks for one by name; use url or prefix"
	case kind == canon.KindHost && host == ru.canary, kind == canon.KindDomain && below(ru.canary, host):
		return "covers this hotline's canary, which is on the list already"
	}
	return ""
}

// below reports whether host is name or lies below it.
func below(host, name string) bool {
	rest, ok := strings.CutSuffix(host, name)
	return ok && (rest == "" || strings.HasSuffix(rest, "."))
}

// isAddress reports a canonical host that is an IPv4 or IPv6 address.
func isAddress(host string) bool {
	if strings.HasPrefix(host, "[") {
		return true
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// categories are the words of the closed set.
func categories() string {
	var words []string
	for c := match.Category(1); c.Valid(); c++ {
		words = append(words, c.String())
	}
	return strings.Join(words, ", ")
}

// parseReview reads a day (its first second, UTC) or a full RFC 3339 time, and wants it within 180 days from now.
func parseReview(s string, now time.Time) (time.Time, error) {
	t, err := parseDay(s)
	switch {
	case err != nil:
		return time.Time{}, err
	case !t.After(now):
		return time.Time{}, errors.New("not in the future; an entry needs a day by which it is assessed again")
	case t.Sub(now) > maxReview:
		return time.Time{}, fmt.Errorf("later than %s; an entry is assessed again within 180 days", now.Add(maxReview).Format(time.DateOnly))
	}
	return t, nil
}

// parseDay reads a day (its first second, UTC) or a full RFC 3339 time.
func parseDay(s string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		if t, err = time.Parse(time.RFC3339, s); err != nil {
			return time.Time{}, errors.New("not a day such as 2030-01-31 (year, month, day: other orders can be read in two ways)")
		}
	}
	return t.UTC().Truncate(time.Second), nil
}
