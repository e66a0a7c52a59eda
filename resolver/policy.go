package resolver

import (
	"bytes"
	"net/netip"

	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/wire"
)

// What a listed name gets, by the type asked (the signals table of the product):
//
//	A          stop address of the basis, or NODATA when none is configured
//	AAAA       stop address of the basis, or NODATA when none is configured; behind a NAT64 that of IPv4, translated
//	HTTPS SVCB NODATA: they carry addresses and keys of the listed site; also with port and scheme in front (_8443._https.NAME)
//	ANY        NODATA: it would carry any of the above (in the spirit of RFC 8482), with port and scheme in front as well
//	others     what the upstream says: MX, TXT, NS, SOA, SRV, CNAME, DNAME, DS, ...
//
// Never NXDOMAIN: below the name, and for its mail, the world goes on. So a `host` entry leaves the mail of its name
// alone entirely, unless the name is its own exchanger. A `domain` entry leaves the MX records alone too, but an
// exchanger below the listed domain has a listed name: its A and AAAA get the stop address, and mail that must go
// there does not arrive. Exchangers elsewhere are not affected. A hotline that wants the mail to live lists hosts.
//
// Basis law or order: EDE 16 (Censored) and the law's stop address. Voluntary: EDE 15 (Blocked) and its own. The answer
// is unsigned and has AD clear, with DO and CD too: a validating client sees a bogus answer, which blocks as well, and is
// told why by the EDE, with a text when it asks for that and the operator wants it (structured.go). No RRSIG is ever made up. Canary entries are entries.
//
// A chain: a question that is not listed itself but whose reply leads to a listed name gets the signal it would have
// got had it asked that name, under its own name. Counted as leading: each owner name of the answer section, each CNAME
// target, each SVCB and HTTPS TargetName, and the name a DNAME redirects the question to. Not the bare owner or target
// of a DNAME: the question does not lead there but below, and a `host` entry covers exactly one name (P2). Names in the
// authority section are the zone's, not the chain's. The types that pass for a listed name pass for a chain too:
// asking where an alias points is not asking for the site.
//
// Queries with RD clear are treated as if it were set; classes other than IN, zone transfers and the other meta types are
// refused or not implemented.
type action uint8

const (
	pass    action = iota
	address        // stop address or NODATA
	noData
)

func actionOf(t uint16) action {
	switch t {
	case wire.TypeA, wire.TypeAAAA:
		return address
	case wire.TypeHTTPS, wire.TypeSVCB, wire.TypeANY:
		return noData
	}
	return pass
}

// signal writes the answer for a listed name. Hot path: no allocation.
func (r *Resolver) signal(w *scratch, in *view, dst, query []byte, v match.Verdict) []byte {
	w.counts.listed(v, &in.slots)
	if !v.Canary {
		r.config.Guard.Met(w.ticket, v.Entry)
	}
	var stop netip.Addr
	s := &r.config.Stop
	w.opt.EDE = wire.EDEBlocked
	law := v.Basis.Binding()
	if law {
		w.opt.EDE = wire.EDECensored
	}
	switch {
	case w.q.Type == wire.TypeA && law:
		stop = s.LawIPv4
	case w.q.Type == wire.TypeA:
		stop = s.VoluntaryIPv4
	case w.q.Type == wire.TypeAAAA && law:
		stop = s.LawIPv6
	case w.q.Type == wire.TypeAAAA:
		stop = s.VoluntaryIPv6
	}
	if w.q.NAT64 && !stop.IsValid() {
		if stop = s.VoluntaryNAT64; law {
			stop = s.LawNAT64
		}
	}
	out := r.stop(w, dst, query, stop)
	if r.structured == nil || !r.structured.asked(&w.q, query) {
		return out
	}
	if w.opt.Text = r.structured.fitting(law, min(w.q.Limit(w.stream), maxStructured)-(len(out)-len(dst))); w.opt.Text == nil {
		return out
	}
	return r.stop(w, dst, query, stop)
}

// stop writes an address, or that there is none.
func (r *Resolver) stop(w *scratch, dst, query []byte, at netip.Addr) []byte {
	if !at.IsValid() {
		return w.q.AppendNoData(dst, query, r.ttl, &w.opt)
	}
	return w.q.AppendAddress(dst, query, at, r.ttl, &w.opt)
}

// asked is the verdict on the asked name.
func (w *scratch) asked(v *view, now uint32) match.Verdict {
	if w.first == nil {
		return w.verdict(v, w.q.Name(), now)
	}
	if got := w.first.Verdict(now); got.Listed {
		return got
	}
	return w.service(v, w.q.Name(), now)
}

// verdict is what the set says about a name that was asked or is led to.
func (w *scratch) verdict(v *view, name []byte, now uint32) match.Verdict {
	if got := v.set.Name(name, now); got.Listed {
		return got
	}
	return w.service(v, name, now)
}

// service is the verdict on the host of a name that says port and scheme in front of it (_8443._https.HOST, RFC 9460 9.1), for the types that
// tell about a service: it is still that host. Other names, and other types, pass.
func (w *scratch) service(v *view, name []byte, now uint32) match.Verdict {
	if len(name) == 0 || name[0] != '_' || actionOf(w.q.Type) != noData {
		return match.Verdict{}
	}
	for len(name) > 0 && name[0] == '_' {
		_, name, _ = bytes.Cut(name, dot)
	}
	return v.set.Name(name, now)
}

// Bounds of what is tested of one reply. Real chains end below 20 names (resolvers give up at 8 to 16 aliases, and the records of one owner count
// once) of 3 to 12 labels, and each label costs a hash of all behind it: 30 TargetNames of 120 labels were 0.27 ms a question, for whoever has a
// domain to put them in.
const (
	maxNames  = 64
	maxLabels = 512
)

// chain looks for a listed name the reply leads to; ok is false for a reply with more names or labels than are tested, which must not
// be passed on, as not all of it was tested. The asked name itself was tested before. Of several listed names one with
// a law or order behind it decides. Hot path after a swap: no allocation.
func (w *scratch) chain(v *view, msg []byte, now uint32) (found match.Verdict, ok bool) {
	if w.reader.Reset(msg) != nil {
		return found, false
	}
	w.names, w.labels = 0, 0
	w.current.Set(w.q.Name())
	w.last.Set(w.q.Name())
	for {
		more, err := w.reader.Next(&w.rec)
		if err != nil {
			return found, false
		}
		if !more || w.rec.Section != wire.Answer {
			return found, !w.enough()
		}
		if w.reader.Owner(&w.rec, &w.owner) != nil {
			return found, false
		}
		switch w.rec.Type {
		case wire.TypeDNAME:
			if w.reader.Target(&w.rec, &w.target) != nil {
				return found, false
			}
			if w.current.Redirect(w.current.Bytes(), w.owner.Bytes(), w.target.Bytes()) {
				w.test(v, &found, &w.current, now)
			}
		case wire.TypeCNAME, wire.TypeSVCB, wire.TypeHTTPS:
			w.test(v, &found, &w.owner, now)
			if w.reader.Target(&w.rec, &w.target) != nil {
				return found, false
			}
			w.test(v, &found, &w.target, now)
			if w.rec.Type == wire.TypeCNAME && w.current.Equal(w.owner.Bytes()) {
				w.current.Set(w.target.Bytes())
			}
		default:
			if w.reader.Covered(&w.rec) != wire.TypeDNAME {
				w.test(v, &found, &w.owner, now)
			}
		}
	}
}

// test adds the verdict on one name of a chain. The root (a TargetName of ".", meaning the owner) is never listed, and a
// name that was just tested is not tested again.
func (w *scratch) test(v *view, found *match.Verdict, name *wire.NameBuf, now uint32) {
	if name.Root() || w.last.Equal(name.Bytes()) {
		return
	}
	w.last.Set(name.Bytes())
	w.names++
	w.labels += 1 + bytes.Count(name.Bytes(), dot)
	if w.enough() || found.Listed && found.Basis.Binding() {
		return
	}
	if got := w.verdict(v, name.Bytes(), now); got.Listed && (!found.Listed || got.Basis.Binding()) {
		*found = got
	}
}

// enough reports that a reply has more to be tested than any real one.
func (w *scratch) enough() bool { return w.names > maxNames || w.labels > maxLabels }

var dot = []byte{'.'}
