package match

import (
	"bytes"

	"github.com/cordon-project/cordon/resolver/canon"
)

// Page tests a canonical page expression, "host/path?query" (canon.Expression with KindURL makes it). It is listed by a
// url record of exactly this text or by a prefix record of its path up to any "/" boundary, the query ignored, when
// that record is neither removed nor past its review date. Whether the host as a whole is listed is Name's question.
//
// Expressions longer than MaxExpression are never listed; of a path the first canon.MaxDepth boundaries are tested, which
// is as deep as a prefix entry may go, so the work for the longest URL is bounded (about half a millisecond). It does
// not keep expr, and allocates only for expressions above 1 KB.
func (s *Set) Page(expr []byte, now uint32) Verdict {
	var v Verdict
	host := bytes.IndexByte(expr, '/')
	if host < 1 || len(expr) > MaxExpression || s.passes(now) {
		return v
	}
	path := expr
	if q := bytes.IndexByte(expr, '?'); q >= 0 {
		path = expr[:q]
	}
	if len(path) <= host {
		return v // a "?" before the first "/": not canonical
	}
	var ends [canon.MaxDepth + 1]int
	n := boundaries(&ends, path, host)
	wholeIsPrefix := ends[n-1] == len(expr) // no query, no "/" at the end: one text serves both kinds
	if wholeIsPrefix {
		n--
	}
	var stack [1024]byte
	buf := append(append(stack[:0], expr...), 0) // own copy: the class byte is written behind each candidate in turn
	for i := range s.members {
		m := &s.members[i]
		m.confirmPage(&v, buf, len(expr), now, true, wholeIsPrefix)
		for _, end := range ends[:n] {
			m.confirmPage(&v, buf, end, now, false, true)
		}
	}
	return v
}

// boundaries fills ends with the length of each prefix candidate of path and returns how many there are, at least one:
// "host/", then the path up to (without) each further "/", then the whole path when it does not end in one.
func boundaries(ends *[canon.MaxDepth + 1]int, path []byte, host int) int {
	ends[0] = host + 1
	n := 1
	for end := host + 2; end <= len(path) && n < len(ends); end++ {
		if (end == len(path) || path[end] == '/') && path[end-1] != '/' {
			ends[n] = end
			n++
		}
	}
	return n
}

// confirmPage asks one list about one candidate: the first end bytes of buf, which has a byte to spare.
func (m *member) confirmPage(v *Verdict, buf []byte, end int, now uint32, url, prefix bool) {
	spared := buf[end]
	buf[end] = byte(canon.ClassPage)
	hit := m.bloom.mayContain(m.keys.gate(buf[:end+1]))
	buf[end] = spared
	if !hit {
		return
	}
	x := m.edge
	d := m.keys.Digest(m.list, canon.ClassPage, buf[:end])
	for i := x.find(&d); x.is(i, &d); i++ {
		meta := x.meta(i)
		if (meta.Kind == canon.KindURL && url || meta.Kind == canon.KindPrefix && prefix) && m.live(i, meta, now) {
			v.add(meta, &d)
		}
	}
}
