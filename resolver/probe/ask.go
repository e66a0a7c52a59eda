package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	optionNSID = 3
	optionEDE  = 15
	udpSize    = 1232 // what DNS flag day 2020 recommends
	flagDO     = 1 << 15
	tries      = 2 // over UDP: a lost packet is no finding
)

// how a question is asked.
type how struct {
	tcp  bool
	edns bool // with an OPT record that asks for NSID
	do   bool // DNSSEC OK; with edns
}

func (h how) String() string {
	s := "UDP"
	if h.tcp {
		s = "TCP"
	}
	switch {
	case h.do:
		s += " with DO"
	case h.edns:
		s += " with EDNS"
	}
	return s
}

// answer is what came back, as far as checks look at it.
type answer struct {
	rcode  int
	ad     bool
	opt    bool
	ede    []uint16
	nsid   []byte
	addrs  []netip.Addr // of the answer section
	ttls   []uint32     // of answer and authority
	others int          // records of the answer section that are no address
	signed bool         // RRSIG in the answer section
}

// filtered is the code by which a resolver says that it answers for a list, 0 for none.
func (a *answer) filtered() uint16 {
	for _, c := range a.ede {
		if c >= edeBlocked && c <= edeProhibited {
			return c
		}
	}
	return 0
}

func rcodeName(code int) string {
	switch code {
	case 0:
		return "NOERROR"
	case 1:
		return "FORMERR"
	case 2:
		return "SERVFAIL"
	case 3:
		return "NXDOMAIN"
	case 5:
		return "REFUSED"
	}
	return fmt.Sprintf("RCODE %d", code)
}

var errAnswer = errors.New("not a well-formed answer to the question")

// ask sends one question and reads its answer.
func (p *prober) ask(name string, t dnsmessage.Type, h how) (*answer, error) {
	q, err := question(name, t)
	if err != nil {
		return nil, err
	}
	var failed error
	for range tries {
		if err := p.ctx.Err(); err != nil {
			return nil, err
		}
		p.r.Asked++
		id := uint16(rand.Uint32())
		msg, err := build(id, q, h)
		if err != nil {
			return nil, err
		}
		raw, err := p.exchange(msg, h.tcp)
		if err == nil {
			return read(raw, id, q)
		}
		if failed = err; h.tcp {
			break
		}
	}
	return nil, failed
}

func build(id uint16, q dnsmessage.Question, h how) ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: true})
	err := errors.Join(b.StartQuestions(), b.Question(q))
	if h.edns {
		var head dnsmessage.ResourceHeader
		err = errors.Join(err, b.StartAdditionals(), head.SetEDNS0(udpSize, dnsmessage.RCodeSuccess, h.do),
			b.OPTResource(head, dnsmessage.OPTResource{Options: []dnsmessage.Option{{Code: optionNSID}}}))
	}
	msg, ferr := b.Finish()
	if err = errors.Join(err, ferr); err != nil {
		return nil, fmt.Errorf("write question: %w", err)
	}
	return msg, nil
}

// exchange sends msg and gives what comes back with its id: over UDP from a socket that hears the resolver alone.
func (p *prober) exchange(msg []byte, tcp bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(p.ctx, p.c.Timeout)
	defer cancel()
	network := "udp"
	if tcp {
		network = "tcp"
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, p.c.Resolver.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(p.ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if tcp {
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)); err != nil {
			return nil, err
		}
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return nil, err
		}
		raw := make([]byte, binary.BigEndian.Uint16(size[:]))
		_, err := io.ReadFull(conn, raw)
		return raw, err
	}
	if _, err := conn.Write(msg); err != nil {
		return nil, err
	}
	buf := make([]byte, 65536)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if n >= 12 && buf[0] == msg[0] && buf[1] == msg[1] {
			return buf[:n], nil
		}
	}
}

// maxRecords bounds the records that are looked at: real answers have a handful.
const maxRecords = 1024

// read takes an answer apart. It must be one to this question, name and case included.
func read(raw []byte, id uint16, q dnsmessage.Question) (*answer, error) {
	var p dnsmessage.Parser
	h, err := p.Start(raw)
	if err != nil || h.ID != id || !h.Response {
		return nil, errAnswer
	}
	qs, err := p.AllQuestions()
	if err != nil || len(qs) != 1 || qs[0] != q {
		return nil, errAnswer
	}
	a := &answer{rcode: int(h.RCode), ad: h.AuthenticData}
	seen := 0
	for _, section := range []struct {
		next func() (dnsmessage.ResourceHeader, error)
		skip func() error
		kind int
	}{{p.AnswerHeader, p.SkipAnswer, 0}, {p.AuthorityHeader, p.SkipAuthority, 1}, {p.AdditionalHeader, p.SkipAdditional, 2}} {
		for {
			rh, err := section.next()
			if errors.Is(err, dnsmessage.ErrSectionDone) {
				break
			}
			if seen++; err != nil || seen > maxRecords {
				return nil, errAnswer
			}
			if err := a.record(&p, rh, section.kind, section.skip); err != nil {
				return nil, errAnswer
			}
		}
	}
	return a, nil
}

// record takes one record in: section 0 is the answer's, 1 the authority's, 2 the additional one.
func (a *answer) record(p *dnsmessage.Parser, h dnsmessage.ResourceHeader, section int, skip func() error) error {
	if section < 2 {
		a.ttls = append(a.ttls, h.TTL)
	}
	switch {
	case section == 0 && h.Type == dnsmessage.TypeA:
		r, err := p.AResource()
		a.addrs = append(a.addrs, netip.AddrFrom4(r.A))
		return err
	case section == 0 && h.Type == dnsmessage.TypeAAAA:
		r, err := p.AAAAResource()
		a.addrs = append(a.addrs, netip.AddrFrom16(r.AAAA))
		return err
	case section == 2 && h.Type == dnsmessage.TypeOPT:
		if a.opt {
			return errAnswer // RFC 6891 6.1.1: one at most
		}
		a.opt = true
		a.rcode = int(h.ExtendedRCode(dnsmessage.RCode(a.rcode)))
		r, err := p.OPTResource()
		for _, o := range r.Options {
			switch {
			case o.Code == optionNSID && a.nsid == nil:
				a.nsid = slices.Clone(o.Data)
			case o.Code == optionEDE && len(o.Data) >= 2:
				a.ede = append(a.ede, binary.BigEndian.Uint16(o.Data))
			}
		}
		return err
	case section == 0:
		a.others++
		a.signed = a.signed || h.Type == typeRRSIG
	}
	return skip()
}

const (
	typeHTTPS = dnsmessage.Type(65)
	typeRRSIG = dnsmessage.Type(46)
)
