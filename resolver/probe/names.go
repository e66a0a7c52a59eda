package probe

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// why says in a few words what an exchange ended with.
func why(err error) string {
	var op *net.OpError
	var late net.Error
	switch {
	case errors.Is(err, errAnswer):
		return errAnswer.Error()
	case errors.As(err, &late) && late.Timeout(): // while it was being connected to, too
		return "no answer in time"
	case errors.As(err, &op):
		return op.Err.Error()
	}
	return err.Error()
}

// reachable asks for something harmless over both transports.
func (p *prober) reachable() bool {
	reached := false
	for _, h := range []how{{edns: true}, {tcp: true, edns: true}} {
		a, err := p.ask(fresh()+".test", dnsmessage.TypeA, h)
		if err != nil {
			p.fail(CheckAnswers, "over %s: %s", h, why(err))
			continue
		}
		reached = true
		p.state(a)
	}
	p.pass(CheckAnswers, "%s answers over UDP and TCP", p.c.Resolver)
	return reached
}

// state keeps the NSID of an answer that was asked for it.
func (p *prober) state(a *answer) {
	if a.nsid == nil {
		if a.opt {
			p.unnamed++
		}
		return
	}
	if !slices.ContainsFunc(p.r.States, func(s []byte) bool { return bytes.Equal(s, a.nsid) }) && len(p.r.States) < maxNames {
		p.r.States = append(p.r.States, a.nsid)
	}
}

// typeName is for people.
func typeName(t dnsmessage.Type) string {
	if t == typeHTTPS {
		return "HTTPS"
	}
	return strings.TrimPrefix(t.String(), "Type")
}

// canaries asks what a listed name must get.
func (p *prober) canaries() {
	if len(p.c.Canaries) == 0 {
		for _, name := range []string{CheckCanary, CheckTTL, CheckReason, CheckTypes, CheckDNSSEC, CheckExact} {
			p.skip(name, "no canary is known")
		}
		return
	}
	for _, c := range p.c.Canaries {
		for _, t := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
			for _, h := range []how{{}, {edns: true}, {tcp: true}, {tcp: true, edns: true}} {
				p.canary(c, c.Name, t, h)
			}
			p.canary(c, strings.ToUpper(c.Name), t, how{edns: true}) // RFC 4343: case means nothing
		}
	}
	p.pass(CheckCanary, "%d stopped: %s", len(p.c.Canaries), p.stops())
	if !p.r.Blocks {
		for _, name := range []string{CheckTTL, CheckReason, CheckTypes, CheckDNSSEC, CheckExact} {
			p.skip(name, "no canary is stopped")
		}
		return
	}
	for _, c := range p.c.Canaries {
		p.types(c)
		p.dnssec(c, dnsmessage.TypeA)
		p.dnssec(c, dnsmessage.TypeAAAA)
		p.exact(c)
	}
	p.pass(CheckTTL, "all between %d and %d seconds", minTTL, maxTTL)
	p.pass(CheckReason, "each says which legal basis; an OPT record exactly where one was asked with")
	p.pass(CheckTypes, "HTTPS has no data, MX and TXT are left alone")
	p.pass(CheckDNSSEC, "with DO: stopped, unsigned, not called authentic")
	p.pass(CheckExact, "a name below each canary is not stopped")
}

func (p *prober) stops() string {
	if len(p.r.Stops) == 0 {
		return "no data"
	}
	var s []string
	for _, a := range p.r.Stops {
		s = append(s, a.String())
	}
	return "they lead to " + strings.Join(s, ", ")
}

// canary asks once for an address of a canary.
func (p *prober) canary(c Canary, name string, t dnsmessage.Type, h how) {
	what := fmt.Sprintf("%s %s over %s", name, typeName(t), h)
	a, err := p.ask(name, t, h)
	if err != nil {
		p.fail(CheckCanary, "%s: %s", what, why(err))
		return
	}
	if h.edns {
		p.state(a)
	}
	p.stopped(c, what, a, h)
	switch {
	case a.rcode != 0:
		p.fail(CheckCanary, "%s: %s, and a listed name gets an address or no data", what, rcodeName(a.rcode))
		return
	case a.others > 0 || len(a.addrs) > 1:
		p.fail(CheckCanary, "%s: %d records, and a listed name gets one address or none", what, a.others+len(a.addrs))
		return
	}
	for _, at := range a.addrs {
		if !slices.Contains(p.r.Stops, at) && len(p.r.Stops) < maxNames {
			p.r.Stops = append(p.r.Stops, at)
		}
	}
	if len(a.ttls) == 0 {
		p.fail(CheckTTL, "%s: nothing says how long it may be kept", what)
	}
	for _, ttl := range a.ttls {
		if ttl < minTTL || ttl > maxTTL {
			p.fail(CheckTTL, "%s: %d seconds", what, ttl)
		}
	}
}

// stopped looks at what says that a name is listed.
func (p *prober) stopped(c Canary, what string, a *answer, h how) {
	if a.opt != h.edns {
		p.fail(CheckReason, "%s: %s", what, map[bool]string{true: "an OPT record nobody asked with", false: "the OPT record is missing"}[a.opt])
	}
	if !h.edns {
		return
	}
	code := a.filtered()
	law, voluntary := c.Law || !c.Voluntary, c.Voluntary || !c.Law
	switch {
	case code == 0:
		p.fail(CheckCanary, "%s: not stopped: %s without the reason of a list", what, rcodeName(a.rcode))
	case code == edeFiltered || code == edeProhibited:
		p.fail(CheckReason, "%s: Extended DNS Error %d, which no list of Cordon gives", what, code)
	case code == edeCensored && !law:
		p.fail(CheckReason, "%s: Extended DNS Error 16 (a law or order), and its hotline's charter has none", what)
	case code == edeBlocked && !voluntary:
		p.fail(CheckReason, "%s: Extended DNS Error 15 (voluntary), and its hotline's charter knows only laws and orders", what)
	default:
		p.r.Blocks = true
	}
	if len(a.ede) > 1 {
		p.fail(CheckReason, "%s: %d Extended DNS Errors", what, len(a.ede))
	}
}

func (p *prober) dnssec(c Canary, t dnsmessage.Type) {
	h := how{edns: true, do: true}
	what := fmt.Sprintf("%s %s over %s", c.Name, typeName(t), h)
	a, err := p.ask(c.Name, t, h)
	switch {
	case err != nil:
		p.fail(CheckDNSSEC, "%s: %s", what, why(err))
	case a.ad:
		p.fail(CheckDNSSEC, "%s: called authentic (AD)", what)
	case a.signed:
		p.fail(CheckDNSSEC, "%s: a signature for an answer that nobody can sign", what)
	case a.rcode != 0 || a.filtered() == 0:
		p.fail(CheckDNSSEC, "%s: not stopped: %s", what, rcodeName(a.rcode))
	}
}

func (p *prober) types(c Canary) {
	for _, t := range []dnsmessage.Type{typeHTTPS, dnsmessage.TypeMX, dnsmessage.TypeTXT} {
		h := how{edns: true}
		what := fmt.Sprintf("%s %s", c.Name, typeName(t))
		a, err := p.ask(c.Name, t, h)
		switch {
		case err != nil:
			p.fail(CheckTypes, "%s: %s", what, why(err))
		case t == typeHTTPS && (a.rcode != 0 || len(a.addrs)+a.others > 0 || a.filtered() == 0):
			p.fail(CheckTypes, "%s: %s with %d records, and it has no data, with the reason", what, rcodeName(a.rcode), len(a.addrs)+a.others)
		case t != typeHTTPS && a.filtered() != 0:
			p.fail(CheckTypes, "%s: stopped (Extended DNS Error %d), and mail must go on", what, a.filtered())
		}
	}
}

// exact asks below the canary: a host entry covers one name.
func (p *prober) exact(c Canary) {
	if len(c.Name) > 253-40 {
		return
	}
	p.open(CheckExact, fresh()+"."+c.Name, how{edns: true})
}

// unlisted asks for names that no list can have.
func (p *prober) unlisted() {
	names := []string{fresh() + ".test", fresh() + ".invalid", fresh() + "." + fresh() + ".example"}
	names = append(names, p.c.Unlisted...)
	for _, name := range names {
		for _, h := range []how{{edns: true}, {tcp: true, edns: true}, {edns: true, do: true}} {
			p.open(CheckUnlisted, name, h)
		}
	}
	p.pass(CheckUnlisted, "%d names that cannot be listed are not stopped", len(names))
}

// open asks for a name that must not be stopped, whatever else the world says of it.
func (p *prober) open(check, name string, h how) {
	for _, t := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA, typeHTTPS} {
		what := fmt.Sprintf("%s %s over %s", name, typeName(t), h)
		a, err := p.ask(name, t, h)
		if err != nil {
			p.fail(check, "%s: %s", what, why(err))
			continue
		}
		p.state(a)
		stop := slices.IndexFunc(a.addrs, func(at netip.Addr) bool { return slices.Contains(p.r.Stops, at) })
		switch {
		case a.filtered() != 0:
			p.fail(check, "%s: stopped with Extended DNS Error %d", what, a.filtered())
		case stop >= 0:
			p.fail(check, "%s: it leads to the stop address %s", what, a.addrs[stop])
		}
	}
}

func (p *prober) nsid() {
	switch {
	case len(p.r.States) == 0:
		p.skip(CheckNSID, "the resolver names no state (NSID is off, or it is not Cordon's)")
	case len(p.r.States) > 1:
		p.fail(CheckNSID, "it named %d states: several servers behind one address, or a list that changed meanwhile; ask again", len(p.r.States))
	case len(p.r.States[0]) != StateSize:
		p.fail(CheckNSID, "it names %d bytes, and a state id has %d", len(p.r.States[0]), StateSize)
	case p.unnamed > 0:
		p.fail(CheckNSID, "%d answers name no state, and others do: several servers behind one address, and one does not say what it serves", p.unnamed)
	default:
		p.pass(CheckNSID, "state %s each time", hex.EncodeToString(p.r.States[0])[:16])
	}
}
