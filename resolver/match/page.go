package match

import (
	"bytes"

	"github.com/cordon-project/cordon/resolver/canon"
)

// Page tests a canonical page expression, "host/path?query" (canon.Expression with KindURL makes it). It is listed by a
// url record of exactly this text or by a prefix record of its path up to any "/" boundary, the query ignored, when
// that record is neither removed nor past its review date. Whether the host as a whole is listed is Name's question.
//
// Expressions longer than MaxExpression are never listed; of a path only the first MaxPrefixDepth boundaries within
// MaxPrefixLen bytes are tested, which is as deep as a prefix entry may go. It does not keep expr, and allocates only
// for expressions above 1 KB.
func (s *Set) Page(expr []byte, now uint32) Verdict {
	var v Verdict
	host := bytes.IndexByte(expr, '/')
	if host < 1 || len(expr) > MaxExpression || s.bypass {
		return v
	}
	path := expr
	if q := bytes.IndexByte(expr, '?'); q >= 0 {
		path = expr[:q]
	}
	if len(path) <= host {
		return v // a "?" before the first "/": not canonical
	}
	var stack [1024]byte
	buf := append(stack[:0], expr...) // own copy: the class byte is written behind each candidate in turn
	buf = append(buf, 0)
	for i := range s.members {
		s.members[i].page(&v, buf, len(expr), now, kinds{url: true, prefix: len(path) == len(expr) && wholePathIsBoundary(path, host)})
		prefixes(path, host, func(end int) {
			if end != len(expr) {
				s.members[i].page(&v, buf, end, now, kinds{prefix: true})
			}
		})
	}
	return v
}

type kinds struct{ url, prefix bool }

// wholePathIsBoundary reports whether the whole path is itself a prefix candidate: "host/" or not ending in "/".
func wholePathIsBoundary(path []byte, host int) bool {
	within := false
	prefixes(path, host, func(end int) { within = within || end == len(path) })
	return within
}

// prefixes calls f with the length of each prefix candidate of path: "host/", then the path up to (without) each
// further "/", then the whole path when it does not end in one.
func prefixes(path []byte, host int, f func(end int)) {
	depth := 1
	f(host + 1)
	for end := host + 2; end <= len(path) && end <= MaxPrefixLen && depth < MaxPrefixDepth; end++ {
		if (end == len(path) || path[end] == '/') && path[end-1] != '/' {
			f(end)
			depth++
		}
	}
}

// page asks one list about one candidate: the first end bytes of buf. buf has a byte to spare.
func (m *member) page(v *Verdict, buf []byte, end int, now uint32, want kinds) {
	x := m.index
	spared := buf[end]
	buf[end] = byte(canon.ClassPage)
	hit := mayContain(x.bloom, m.keys.gate(buf[:end+1]))
	buf[end] = spared
	if !hit {
		return
	}
	d := m.keys.Digest(m.list, canon.ClassPage, buf[:end])
	for i := x.find(&d); x.is(i, &d); i++ {
		meta := x.meta(i)
		if meta.Kind == canon.KindURL && want.url || meta.Kind == canon.KindPrefix && want.prefix {
			if m.live(i, meta, now) {
				v.add(meta)
			}
		}
	}
}
