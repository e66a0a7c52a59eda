package resolver

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/cordon-project/cordon/resolver/wire"
)

// Own is what the resolver says of itself: discovery of its encrypted transports (DDR, RFC 9462) and RESINFO (RFC 9606).
// The zero value says nothing. Questions below resolver.arpa never leave in either case: they mean this resolver.
type Own struct {
	Name     string    // as in its certificate; needed for everything else
	Services []Service // the one clients should prefer first
	InfoURL  string    // a page for people about this resolver, https
	QNAMEMin bool      // queries are minimised on their way to authoritative servers (RFC 9156)
}

// Service is one encrypted transport.
type Service struct {
	Via   wire.Transport // TLS, HTTPS or QUIC
	Port  uint16
	Path  string       // of HTTPS
	HTTP3 bool         // HTTPS has it
	Hints []netip.Addr // where it is; none: where Name leads
}

const (
	arpa       = "resolver.arpa"
	discovery  = "_dns."
	ownTTL     = 300 // a transport that is taken away is forgotten in minutes
	maxInfoURL = 255 - len("infourl=")
)

const typeRESINFO uint16 = 261

// SvcParamKeys of RFC 9460 and RFC 9461.
const (
	paramALPN, paramPort, paramIPv4Hint, paramIPv6Hint, paramDoHPath = 1, 3, 4, 6, 7
)

// own is Own as whole answers.
type own struct {
	answers map[ownKey][]byte
}

type ownKey struct {
	name string // dotted, lower case, no trailing dot
	typ  uint16
}

// ownErrors are the Extended DNS Errors that this resolver makes itself; with those about validation that it passes on
// (dnssecError) they are what RESINFO says.
var ownErrors = []uint16{wire.EDEStale, wire.EDEStaleNXDomain, wire.EDENotReady, wire.EDEBlocked, wire.EDECensored, wire.EDENoReachableAuthority, wire.EDENetworkError}

func newOwn(o Own) (own, error) {
	made := own{answers: map[ownKey][]byte{}}
	name := strings.ToLower(strings.TrimSuffix(o.Name, "."))
	if name == "" {
		if len(o.Services) > 0 || o.InfoURL != "" {
			return own{}, errors.New("the resolver has no name")
		}
		return made, nil
	}
	target, ok := appendName(nil, name)
	if !ok || len(discovery)+len(target) > wire.MaxName {
		return own{}, fmt.Errorf("%q cannot be the resolver's name", o.Name)
	}
	if len(o.InfoURL) > maxInfoURL {
		return own{}, fmt.Errorf("the info URL is longer than %d characters", maxInfoURL)
	}
	var services [][]byte
	for i, s := range o.Services {
		data, err := s.data(uint16(i+1), target)
		if err != nil {
			return own{}, err
		}
		services = append(services, data)
	}
	info := [][]byte{o.info()}
	for _, n := range []string{name, arpa} {
		if len(services) > 0 {
			made.answers[ownKey{discovery + n, wire.TypeSVCB}] = ownAnswer(discovery+n, wire.TypeSVCB, services)
		}
		made.answers[ownKey{n, typeRESINFO}] = ownAnswer(n, typeRESINFO, info)
	}
	return made, nil
}

// data is one SVCB record's data (RFC 9460 2.2, RFC 9461).
func (s Service) data(priority uint16, target []byte) ([]byte, error) {
	b := binary.BigEndian.AppendUint16(nil, priority)
	b = append(b, target...)
	param := func(key uint16, value []byte) {
		b = binary.BigEndian.AppendUint16(b, key)
		b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
		b = append(b, value...)
	}
	var protocols []string
	switch {
	case s.Via == wire.TLS:
		protocols = []string{"dot"}
	case s.Via == wire.QUIC:
		protocols = []string{"doq"}
	case s.Via == wire.HTTPS && s.HTTP3:
		protocols = []string{"h2", "h3"}
	case s.Via == wire.HTTPS:
		protocols = []string{"h2"}
	default:
		return nil, errors.New("a transport that is not encrypted cannot be discovered")
	}
	var alpn []byte
	for _, p := range protocols {
		alpn = append(append(alpn, byte(len(p))), p...)
	}
	param(paramALPN, alpn)
	param(paramPort, binary.BigEndian.AppendUint16(nil, s.Port))
	var v4, v6 []byte
	for _, a := range s.Hints {
		if a = a.Unmap(); a.Is4() {
			v4 = append(v4, a.AsSlice()...)
		} else {
			v6 = append(v6, a.AsSlice()...)
		}
	}
	if v4 != nil {
		param(paramIPv4Hint, v4)
	}
	if v6 != nil {
		param(paramIPv6Hint, v6)
	}
	if s.Via == wire.HTTPS {
		param(paramDoHPath, []byte(s.Path+"{?dns}"))
	}
	return b, nil
}

// info is the data of RESINFO: character strings like those of TXT.
func (o Own) info() []byte {
	var b []byte
	add := func(s string) { b = append(append(b, byte(len(s))), s...) }
	if o.QNAMEMin {
		add("qnamemin")
	}
	add("exterr=" + ranges(func(code uint16) bool {
		for _, c := range ownErrors {
			if c == code {
				return true
			}
		}
		return dnssecError(code)
	}))
	if o.InfoURL != "" {
		add("infourl=" + o.InfoURL)
	}
	return b
}

// ranges writes the codes below 256 that are in as RFC 9606 5 does: 1-2,5-12,14.
func ranges(in func(uint16) bool) string {
	var parts []string
	for c := uint16(0); c < 256; c++ {
		if !in(c) {
			continue
		}
		first := c
		for in(c + 1) {
			c++
		}
		if part := fmt.Sprint(first); first == c {
			parts = append(parts, part)
		} else {
			parts = append(parts, fmt.Sprintf("%s-%d", part, c))
		}
	}
	return strings.Join(parts, ",")
}

// ownAnswer is a message as AppendAnswer takes it.
func ownAnswer(name string, typ uint16, data [][]byte) []byte {
	b := make([]byte, wire.HeaderLen, 512)
	b[5], b[7] = 1, byte(len(data)) // one question, these answers
	b, _ = appendName(b, name)
	b = binary.BigEndian.AppendUint16(b, typ)
	b = binary.BigEndian.AppendUint16(b, wire.ClassIN)
	for _, d := range data {
		b = append(b, 0xc0, wire.HeaderLen) // the name of the question
		b = binary.BigEndian.AppendUint16(b, typ)
		b = binary.BigEndian.AppendUint16(b, wire.ClassIN)
		b = binary.BigEndian.AppendUint32(b, ownTTL)
		b = binary.BigEndian.AppendUint16(b, uint16(len(d)))
		b = append(b, d...)
	}
	return b
}

// appendName writes a dotted name in wire form.
func appendName(b []byte, name string) ([]byte, bool) {
	start := len(b)
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return b, false
		}
		b = append(append(b, byte(len(label))), label...)
	}
	b = append(b, 0)
	return b, len(b)-start <= wire.MaxName
}

// about answers questions about this resolver itself, and those below resolver.arpa, which has no other names. It is
// asked when the cache has nothing, so it costs answers from there nothing.
func (r *Resolver) about(w *scratch, dst, query []byte, stream bool) ([]byte, bool) {
	name, typ := w.q.Name(), w.q.Type
	if typ == wire.TypeSVCB || typ == typeRESINFO {
		if msg := r.own.answers[ownKey{string(name), typ}]; msg != nil {
			return w.q.AppendAnswer(dst, query, msg, nil, 0, stream, &w.opt), true
		}
	}
	below, ok := bytes.CutSuffix(name, []byte(arpa))
	switch {
	case !ok || len(below) > 0 && below[len(below)-1] != '.':
		return dst, false
	case len(below) == 0 && typ == wire.TypeDS:
		return dst, false // a record of the zone above
	}
	base := len(dst)
	dst = w.q.AppendNoData(dst, query, ownTTL, &w.opt)
	if len(below) > 0 && string(below) != discovery {
		dst[base+3] |= wire.RcodeNXDomain
	}
	return dst, true
}
