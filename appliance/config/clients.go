package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v4"

	"github.com/cordon-project/cordon/resolver/dns64"
	"github.com/cordon-project/cordon/resolver/guard"
)

// Clients says who is answered and how much one of them may ask: the section clients. DefaultClients is what holds without it.
type Clients struct {
	Allow, Deny []netip.Prefix // allow, deny: who is answered, beside private addresses; the longest prefix decides
	Drop        bool           // others: drop
	Exempt      []netip.Prefix // exempt: who has no limit
	IPv4Bits    int            // ipv4_bits, ipv6_bits: how much of an address is one client
	IPv6Bits    int

	Questions    int // a second and client; 0: without limit, as are the next three
	Answers      int // answers: over UDP, of up to 512 bytes
	LargeAnswers int // large_answers: over UDP, longer ones
	Errors       int // errors: over UDP
	Slip         int // slip: each so many-th answer above a rate says "over TCP"
	ListedADay   int // listed_a_day: different listed entries; 0: without limit
	Connections  int // connections: at once over TCP, and as many encrypted ones, from one IPv4 address or IPv6 /56
}

// DefaultConnectionsPerClient is far more than a household opens; behind a carrier's NAT address live thousands.
const DefaultConnectionsPerClient = 128

// DefaultClients is what an edge does when its file does not say.
func DefaultClients() Clients {
	return Clients{
		IPv4Bits: guard.DefaultIPv4Bits, IPv6Bits: guard.DefaultIPv6Bits, Questions: guard.DefaultQuestions, Answers: guard.DefaultAnswers,
		LargeAnswers: guard.DefaultLarge, Errors: guard.DefaultErrors, Slip: guard.DefaultSlip, ListedADay: guard.DefaultBudget,
		Connections: DefaultConnectionsPerClient,
	}
}

// numbers are the keys that take a number, in the order of the file.
func (c *Clients) numbers() []clientNumber {
	return []clientNumber{
		{"ipv4_bits", &c.IPv4Bits, 8, 32}, {"ipv6_bits", &c.IPv6Bits, 16, 64}, {"questions", &c.Questions, 0, guard.MaxRate},
		{"answers", &c.Answers, 0, guard.MaxRate}, {"large_answers", &c.LargeAnswers, 0, guard.MaxRate}, {"errors", &c.Errors, 0, guard.MaxRate},
		{"slip", &c.Slip, 1, 100}, {"listed_a_day", &c.ListedADay, 0, guard.MaxBudget},
		{"connections", &c.Connections, 1, 1_000_000},
	}
}

type clientNumber struct {
	key       string
	value     *int
	low, high int
}

func (s *section) clients() Clients {
	c := DefaultClients()
	n := s.take("clients")
	if n == nil {
		return c
	}
	in := s.f.section(n, "clients")
	c.Allow = each(in, "allow", guard.MaxPrefixes, prefix)
	c.Deny = each(in, "deny", guard.MaxPrefixes, prefix)
	for _, p := range c.Deny {
		if slices.Contains(c.Allow, p) {
			in.f.bad(in.at("deny"), "clients.deny: %s is in allow, too; keep one", p)
		}
	}
	c.Drop = read(in, "others", false, others)
	c.Exempt = each(in, "exempt", guard.MaxPrefixes, prefix)
	if all := len(c.Allow) + len(c.Deny) + len(c.Exempt); in != nil && all > guard.MaxPrefixes {
		in.f.bad(in.line, "clients: %d prefixes in all; at most %d are allowed", all, guard.MaxPrefixes)
	}
	for _, one := range c.numbers() {
		*one.value = read(in, one.key, *one.value, number(one.low, one.high))
	}
	in.done()
	return c
}

// Prefixes shorter than these hold more than any one network: the largest allocations are an IPv4 /8 and an IPv6 /16.
const (
	widestIPv4 = 8
	widestIPv6 = 16
)

// Warnings are what is allowed in the file and yet hardly meant, one sentence each: the key, what follows, what to do.
func (e *Edge) Warnings() (all []string) {
	for _, p := range e.Clients.Allow {
		widest := widestIPv4
		if p.Addr().Is6() {
			widest = widestIPv6
		}
		if p.Bits() < widest && !p.Addr().IsPrivate() {
			all = append(all, fmt.Sprintf("clients.allow: %s is wider than any network: this is an open resolver, and strangers can have it flood others; "+
				"name your subscribers' prefixes, or let a firewall keep the others away", p))
		}
	}
	served := append(guard.Local(), e.Clients.Allow...)
	for _, p := range e.DNS64Clients {
		if !slices.ContainsFunc(served, p.Overlaps) {
			all = append(all, fmt.Sprintf("dns64_clients: %s lies outside of clients.allow, so nobody there is answered; add it to clients.allow", p))
		}
	}
	return all
}

func others(n *yaml.Node) (bool, string) {
	word, wrong := scalar(n)
	if wrong == "" && word != "refuse" && word != "drop" {
		wrong = fmt.Sprintf("%q is neither refuse (answer REFUSED) nor drop (answer nothing over UDP)", shorten(word))
	}
	return word == "drop", wrong
}

// prefix reads a range of addresses.
func prefix(n *yaml.Node) (netip.Prefix, string) {
	s, wrong := written(n)
	if wrong != "" {
		return netip.Prefix{}, wrong
	}
	p, err := netip.ParsePrefix(s)
	one, notOne := netip.ParseAddr(s)
	switch {
	case notOne == nil && one.Zone() == "":
		return p, fmt.Sprintf("%s is not a prefix; write %s if you mean that address alone", s, netip.PrefixFrom(one, one.BitLen()))
	case err != nil:
		return p, fmt.Sprintf("%q is not a prefix; write one like 192.0.2.0/24 or 2001:db8::/32", shorten(s))
	case p.Addr().Is4In6():
		return p, fmt.Sprintf("%s is IPv4 written as IPv6; write the IPv4 prefix", s)
	case p != p.Masked():
		return p, fmt.Sprintf("%s has bits behind the prefix; write %s if you mean all of it", s, p.Masked())
	}
	return p, ""
}

// later reads the path of a file that may come later.
func (s *section) later(key string) string {
	p := read(s, key, "", scalar)
	if p == "" {
		return ""
	}
	return resolve(s.f.base, p)
}

// translation reads the prefix of a NAT64.
func translation(n *yaml.Node) (netip.Prefix, string) {
	p, wrong := prefix(n)
	if text, _ := written(n); wrong != "" && !p.IsValid() {
		wrong = fmt.Sprintf("%q is not a prefix; write that of your NAT64, such as 64:ff9b::/96", shorten(text))
	} else if wrong == "" {
		if err := dns64.CheckPrefix(p); err != nil {
			return p, err.Error() + "; write the prefix of your NAT64, such as 64:ff9b::/96"
		}
	}
	return p, wrong
}

// network reads what some clients alone get, by where they are.
func (s *section) network(e *Edge) {
	e.DNS64 = read(s, "dns64", netip.Prefix{}, translation)
	e.DNS64Clients = each(s, "dns64_clients", maxNetworks, prefix)
	if len(e.DNS64Clients) > 0 && !s.has("dns64") {
		s.f.bad(s.at("dns64_clients"), "dns64_clients: there is no dns64, so these clients get nothing; add the prefix of their NAT64, such as dns64: 64:ff9b::/96")
	}
	e.ClientSubnets = each(s, "client_subnets", maxNetworks, prefix)
}

// maxNetworks: a prefix costs each question that the list is about a nanosecond or two.
const maxNetworks = 64

// clients writes what is not as by default.
func (w *writer) clients(c Clients) {
	defaults := DefaultClients()
	if reflect.DeepEqual(c, Clients{}) || reflect.DeepEqual(c, defaults) {
		w.set("clients", "")
		return
	}
	w.open("clients")
	for _, l := range []struct {
		key string
		all []netip.Prefix
	}{{"allow", c.Allow}, {"deny", c.Deny}, {"exempt", c.Exempt}} {
		if len(l.all) > 0 {
			w.line("  " + l.key + ":")
			for _, p := range l.all {
				w.line("    - " + quote(p.String()))
			}
		}
	}
	if c.Drop {
		w.line("  others: drop")
	}
	usual := defaults.numbers()
	for i, n := range c.numbers() {
		if *n.value != *usual[i].value {
			w.line("  " + n.key + ": " + strconv.Itoa(*n.value))
		}
	}
}
