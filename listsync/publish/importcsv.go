package publish

import (
	"errors"
	"fmt"
	"io"
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

// RowError is one thing wrong with one line of an import. It never repeats the expression.
type RowError struct {
	Line   int    `json:"line"`
	Column string `json:"column,omitempty"` // empty when the whole line is wrong
	Reason string `json:"reason"`
}

func (r RowError) String() string {
	if r.Column == "" {
		return fmt.Sprintf("line %d: %s", r.Line, r.Reason)
	}
	return fmt.Sprintf("line %d, column %d (%s): %s", r.Line, slices.Index(columns, r.Column)+1, r.Column, r.Reason)
}

// RowErrors lists everything wrong with an import.
type RowErrors struct {
	Rows []RowError `json:"rows"`
	More int        `json:"more,omitempty"` // further ones that are not listed
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

func (r *RowErrors) add(line int, col column, format string, a ...any) {
	if len(r.Rows) >= maxRowErrors {
		r.More++
		return
	}
	e := RowError{Line: line, Reason: fmt.Sprintf(format, a...)}
	if col > 0 {
		e.Column = columns[col-1]
	}
	r.Rows = append(r.Rows, e)
}

// rules are what rows are checked against.
type rules struct {
	filter match.Filter // what the charter allows
	canary string       // host of the canary: an import cannot claim it
	now    time.Time
}

// readRows reads a whole import, and on which line each row is. Rows come back only when every row is good; entry ids are not given
// yet. The error is a *RowErrors for what an analyst can mend in the file.
func readRows(r io.Reader, ru *rules) ([]list.Entry, map[entryKey]int, error) {
	in := newLineReader(r, maxRow)
	bad := &RowErrors{}
	if err := readHeader(in); err != nil {
		return nil, nil, err
	}
	var rows []list.Entry
	lines := map[entryKey]int{}
	var fields []string
	for {
		raw, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, errLineTooLong) {
			bad.add(in.line, 0, "longer than %d bytes", maxRow)
			continue
		}
		if err != nil {
			return nil, nil, fault(CodeFailure, err, "check the file and the disk it is on; nothing is imported", "cannot read line %d of the import", in.line+1)
		}
		if len(raw) == 0 {
			continue // an empty line, often the last one
		}
		if err := validText(raw); err != nil {
			bad.add(in.line, 0, "%s", err)
			continue
		}
		fields, err = splitRow(fields, string(raw))
		if err != nil {
			bad.add(in.line, 0, "%s", err)
			continue
		}
		if len(fields) != len(columns) {
			bad.add(in.line, 0, "%d columns, want %d; put a field with a comma in quotes", len(fields), len(columns))
			continue
		}
		e, ok := ru.row(in.line, fields, bad)
		if !ok {
			continue
		}
		if first, twice := lines[keyOf(&e)]; twice {
			bad.add(in.line, colExpression, "the same %s entry as line %d", e.Kind, first)
			continue
		}
		if len(rows) >= maxEntries {
			bad.add(in.line, 0, "more than %d entries", maxEntries)
			break
		}
		lines[keyOf(&e)] = in.line
		if len(bad.Rows) == 0 {
			rows = append(rows, e)
		}
	}
	if len(bad.Rows) > 0 {
		return nil, nil, bad
	}
	return rows, lines, nil
}

// readHeader wants the header exactly, apart from the mark some spreadsheets put before UTF-8.
func readHeader(in *lineReader) error {
	do := "make the first line exactly: " + Header
	first, err := in.next()
	switch {
	case errors.Is(err, io.EOF):
		return sentence(CodeInput, ErrRows, do, "the import is empty")
	case err != nil && !errors.Is(err, errLineTooLong):
		return fault(CodeFailure, err, "check the file and the disk it is on; nothing is imported", "cannot read the import")
	}
	head := strings.TrimPrefix(string(first), "\uFEFF")
	switch {
	case head == Header:
		return nil
	case strings.ReplaceAll(head, ";", ",") == Header || strings.ReplaceAll(head, "\t", ",") == Header:
		return sentence(CodeInput, ErrRows, "save the file again with commas between the columns", "line 1 of the import has other marks than commas between its columns")
	}
	return sentence(CodeInput, ErrRows, do, "line 1 of the import is not the header")
}

// row checks one line and says everything that is wrong with it at once.
func (ru *rules) row(line int, f []string, bad *RowErrors) (list.Entry, bool) {
	before := len(bad.Rows) + bad.More
	field := func(c column) string { return strings.TrimSpace(f[c-1]) }
	var e list.Entry

	kind, err := canon.ParseKind(field(colKind))
	if err != nil {
		bad.add(line, colKind, "not one of url, prefix, host, domain")
	} else if !slices.Contains(ru.filter.Kinds, kind) {
		bad.add(line, colKind, "the charter does not allow %s entries", kind)
	}
	e.Kind = kind
	if err == nil {
		e.Expression, err = canon.Expression(kind, f[colExpression-1])
		if err != nil {
			bad.add(line, colExpression, "not a %s: %s", kind, canonReason(err))
		} else if reason := ru.refuse(kind, e.Expression); reason != "" {
			bad.add(line, colExpression, "%s", reason)
		}
	}
	if e.Category, err = match.ParseCategory(field(colCategory)); err != nil {
		bad.add(line, colCategory, "not one of %s", categories())
	}
	if e.Basis, err = match.ParseBasis(field(colBasis)); err != nil {
		bad.add(line, colBasis, "not one of law, order, voluntary")
	} else if !slices.Contains(ru.filter.Bases, e.Basis) {
		bad.add(line, colBasis, "the charter does not allow entries by %s", e.Basis)
	}
	if e.Jurisdiction = field(colJurisdiction); !slices.Contains(ru.filter.Jurisdictions, e.Jurisdiction) {
		bad.add(line, colJurisdiction, "not a jurisdiction of the charter (%s)", strings.Join(ru.filter.Jurisdictions, ", "))
	}
	if e.ReviewBy, err = parseReview(field(colReviewBy), ru.now); err != nil {
		bad.add(line, colReviewBy, "%s", err)
	}
	e.Since = ru.now
	e.Assessors = [2]string{field(colAssessor1), field(colAssessor2)}
	if i, why := twoPeople(e.Assessors); why != "" {
		bad.add(line, colAssessor1+column(i), "%s", why)
	}
	e.Reason = field(colReason)
	if len(e.Reason) > maxReason {
		bad.add(line, colReason, "longer than %d bytes", maxReason)
	}
	if e.Reason == "" && (e.Kind == canon.KindHost || e.Kind == canon.KindDomain) {
		bad.add(line, colReason, "a %s entry blocks a whole site and needs a written reason", e.Kind)
	}
	return e, len(bad.Rows)+bad.More == before
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
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		if t, err = time.Parse(time.RFC3339, s); err != nil {
			return time.Time{}, errors.New("not a day such as 2030-01-31")
		}
	}
	t = t.UTC().Truncate(time.Second)
	switch {
	case !t.After(now):
		return time.Time{}, errors.New("not in the future; an entry needs a day by which it is assessed again")
	case t.Sub(now) > maxReview:
		return time.Time{}, fmt.Errorf("later than %s; an entry is assessed again within 180 days", now.Add(maxReview).Format(time.DateOnly))
	}
	return t, nil
}
