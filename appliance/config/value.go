package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v4"

	"github.com/cordon-project/cordon/resolver/canon"
)

// A parseFunc reads one scalar. It returns what is wrong and what to do, or "".
type parseFunc[T any] func(n *yaml.Node) (T, string)

// read takes one value of a section; without it, or when it is wrong, the result is otherwise.
func read[T any](s *section, key string, otherwise T, parse parseFunc[T]) T {
	n := s.take(key)
	if n == nil {
		return otherwise
	}
	v, wrong := parse(n)
	if wrong != "" {
		s.f.bad(n.Line, "%s: %s", s.path+key, wrong)
		return otherwise
	}
	return v
}

// must is read for a key that has no default; todo is an example of its value.
func must[T any](s *section, key, todo string, parse parseFunc[T]) T {
	s.missing(key, todo)
	var zero T
	return read(s, key, zero, parse)
}

// each reads a list of values, without those that are wrong. No value may stand twice.
func each[T comparable](s *section, key string, most int, parse parseFunc[T]) []T {
	var out []T
	for _, n := range s.list(key, most) {
		v, wrong := parse(n)
		switch {
		case wrong != "":
			s.f.bad(n.Line, "%s: %s", s.path+key, wrong)
		case slices.Contains(out, v):
			s.f.bad(n.Line, "%s: %v is in the list twice; keep one", s.path+key, v)
		default:
			out = append(out, v)
		}
	}
	return out
}

// some is each for a list that must have an item.
func some[T comparable](s *section, key, todo string, most int, parse parseFunc[T]) []T {
	s.need(key, todo)
	return each(s, key, most, parse)
}

// scalar is the text of a node that must be text.
func scalar(n *yaml.Node) (string, string) {
	if n.Kind != yaml.ScalarNode {
		return "", fmt.Sprintf("this is %s; write one value", kind(n))
	}
	if n.Tag != "!!str" {
		return "", fmt.Sprintf("%s is %s to YAML; put it in quotes if it is meant as text", shorten(n.Value), kind(n))
	}
	if n.Value == "" {
		return "", "it is empty; write a value or remove the line"
	}
	if strings.ContainsFunc(n.Value, unicode.IsControl) {
		return "", "it holds a control character; remove it"
	}
	return n.Value, ""
}

// written is the text of a node as it stands in the file, for values that can be no number and no true: 9153 where an address
// stands wants an address, not quotes.
func written(n *yaml.Node) (string, string) {
	if n.Kind == yaml.ScalarNode && n.Tag != "!!str" && n.Tag != "!!null" {
		return n.Value, ""
	}
	return scalar(n)
}

var nodeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// ValidNodeName reports whether s can name a node: it stands in certificates, signatures and folder names.
func ValidNodeName(s string) bool { return nodeName.MatchString(s) }

func node(n *yaml.Node) (string, string) {
	s, wrong := scalar(n)
	if wrong == "" && !ValidNodeName(s) {
		wrong = fmt.Sprintf("%q cannot name a node; use small letters, digits and hyphens inside, at most 63", shorten(s))
	}
	return s, wrong
}

var hotlineID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)

func hotline(n *yaml.Node) (string, string) {
	s, wrong := scalar(n)
	if wrong == "" && !hotlineID.MatchString(s) {
		wrong = fmt.Sprintf("%q cannot be a hotline; copy its id from cluster.json", shorten(s))
	}
	return s, wrong
}

func boolean(n *yaml.Node) (bool, string) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!bool" && strings.EqualFold(n.Value, "true"):
		return true, ""
	case n.Kind == yaml.ScalarNode && n.Tag == "!!bool" && strings.EqualFold(n.Value, "false"):
		return false, ""
	case n.Kind != yaml.ScalarNode:
		return false, fmt.Sprintf("this is %s; write true or false", kind(n))
	}
	return false, fmt.Sprintf("%s is neither true nor false; write one of them, without quotes", shorten(n.Value))
}

func number(low, high int) parseFunc[int] {
	return func(n *yaml.Node) (int, string) {
		v, err := strconv.Atoi(n.Value)
		switch {
		case n.Kind != yaml.ScalarNode:
			return 0, fmt.Sprintf("this is %s; write a whole number from %d to %d", kind(n), low, high)
		case n.Tag != "!!int":
			return 0, fmt.Sprintf("%s is not a whole number; write one from %d to %d, without unit, point or quotes", shorten(n.Value), low, high)
		case err != nil || strconv.Itoa(v) != n.Value || v < low || v > high:
			return 0, fmt.Sprintf("%s is not in range; write a whole number from %d to %d", shorten(n.Value), low, high)
		}
		return v, ""
	}
}

func duration(low, high time.Duration) parseFunc[time.Duration] {
	return func(n *yaml.Node) (time.Duration, string) {
		if n.Kind == yaml.ScalarNode && n.Tag == "!!int" {
			return 0, fmt.Sprintf("%s has no unit; write %ss if you mean seconds", shorten(n.Value), shorten(n.Value))
		}
		s, wrong := written(n)
		if wrong != "" {
			return 0, wrong
		}
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, fmt.Sprintf("%q is not a duration; write a number with a unit: 30s, 5m, 1h", shorten(s))
		}
		if d < low || d > high {
			return 0, fmt.Sprintf("%s is out of range; write %s to %s", shorten(s), short(low), short(high))
		}
		if d%time.Second != 0 {
			return 0, fmt.Sprintf("%s is not in whole seconds; round it", shorten(s))
		}
		return d, ""
	}
}

// short writes a duration without empty units: 5m, not 5m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// addrPort reads an address to listen on or to dial. any allows 0.0.0.0 and [::], which only listening can mean.
func addrPort(any bool) parseFunc[netip.AddrPort] {
	return func(n *yaml.Node) (netip.AddrPort, string) {
		if n.Kind != yaml.ScalarNode { // what YAML makes of [2001:db8::1]:53
			return netip.AddrPort{}, fmt.Sprintf("this is %s; write an IP address with a port, an IPv6 one in quotes: \"[2001:db8::1]:53\"", kind(n))
		}
		s, wrong := written(n)
		if wrong != "" {
			return netip.AddrPort{}, wrong
		}
		a, err := netip.ParseAddrPort(s)
		switch {
		case err != nil:
			return a, fmt.Sprintf("%q is not an IP address with a port; write 192.0.2.1:53 or \"[2001:db8::1]:53\" (names are not looked up)", shorten(s))
		case a.Port() == 0:
			return a, fmt.Sprintf("%s has port 0; write a port from 1 to 65535", s)
		case a.Addr().Is4In6():
			return a, fmt.Sprintf("%s is an IPv4 address in IPv6 form; write %s", s, netip.AddrPortFrom(a.Addr().Unmap(), a.Port()))
		case a.Addr().IsMulticast() || a.Addr() == broadcast:
			return a, fmt.Sprintf("%s is for many machines at once; write the address of one", s)
		case !any && a.Addr().IsUnspecified():
			return a, fmt.Sprintf("%s is no address others can reach; write this machine's own", s)
		}
		return a, ""
	}
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// addr reads a stop address. four and six say which families may stand here.
func addr(four, six bool) parseFunc[netip.Addr] {
	return func(n *yaml.Node) (netip.Addr, string) {
		s, wrong := written(n)
		if wrong != "" {
			return netip.Addr{}, wrong
		}
		a, err := netip.ParseAddr(s)
		switch {
		case err != nil:
			return a, fmt.Sprintf("%q is not an IP address; write one like 192.0.2.80 or 2001:db8::80, without a port", shorten(s))
		case a.Zone() != "" || a.Is4In6():
			return a, fmt.Sprintf("%s cannot stand in a DNS answer; write it without a zone and in its own family", s)
		case a.Is4() && !four:
			return a, fmt.Sprintf("%s is an IPv4 address; write an IPv6 address here", s)
		case a.Is6() && !six:
			return a, fmt.Sprintf("%s is an IPv6 address; write an IPv4 address here", s)
		case a.IsUnspecified() || a.IsMulticast() || a == broadcast:
			return a, fmt.Sprintf("%s is not the address of one machine; write the stop page's own", s)
		}
		return a, ""
	}
}

// link reads a URL of one of the schemes.
func link(example string, schemes ...string) parseFunc[string] {
	return func(n *yaml.Node) (string, string) {
		s, wrong := scalar(n)
		if wrong != "" {
			return "", wrong
		}
		if !goodLink(s, schemes) {
			return "", fmt.Sprintf("%q does not fit; write a URL like %s", shorten(s), example)
		}
		return s, ""
	}
}

var (
	mailbox   = regexp.MustCompile(`^[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+$`)
	telephone = regexp.MustCompile(`^\+?[0-9][0-9.()-]{1,30}$`)
)

func goodLink(s string, schemes []string) bool {
	u, err := url.Parse(s)
	if err != nil || len(s) > 255 || !slices.Contains(schemes, u.Scheme) || strings.ContainsAny(s, " \"<>\\") {
		return false
	}
	switch u.Scheme {
	case "mailto":
		return mailbox.MatchString(strings.TrimPrefix(s, "mailto:"))
	case "tel":
		return telephone.MatchString(strings.TrimPrefix(s, "tel:"))
	case "file":
		return u.Host == "" && strings.HasPrefix(u.Path, "/")
	}
	return u.Hostname() != "" && u.User == nil
}

// api reads the URL of a control node: nothing but https, address and port, so that the certificate can be checked
// without asking any DNS.
func api(n *yaml.Node) (string, string) {
	s, wrong := scalar(n)
	if wrong != "" {
		return "", wrong
	}
	rest, ok := strings.CutPrefix(s, "https://")
	if a, err := netip.ParseAddrPort(rest); !ok || err != nil || a.Port() == 0 || a.Addr().IsUnspecified() {
		return "", fmt.Sprintf("%q does not fit; write https://ADDRESS:PORT, for example https://192.0.2.10:7443", shorten(s))
	}
	return s, ""
}

// sentence reads a short text for people.
func sentence(most int) parseFunc[string] {
	return func(n *yaml.Node) (string, string) {
		s, wrong := scalar(n)
		if wrong == "" && len([]rune(s)) > most {
			wrong = fmt.Sprintf("the text has %d characters; write at most %d", len([]rune(s)), most)
		}
		return s, wrong
	}
}

var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

func level(n *yaml.Node) (slog.Level, string) {
	if l, ok := levels[n.Value]; ok && n.Kind == yaml.ScalarNode {
		return l, ""
	}
	what := kind(n)
	if n.Kind == yaml.ScalarNode {
		what = shorten(n.Value)
	}
	return 0, fmt.Sprintf("%s is not a level; write debug, info, warn or error", what)
}

var languages = []string{"en", "fr", "es", "ar", "ru", "zh"}

func language(n *yaml.Node) (string, string) {
	if n.Kind != yaml.ScalarNode || !slices.Contains(languages, n.Value) {
		return "", fmt.Sprintf("this is not a language of the page; write some of %s", strings.Join(languages, ", "))
	}
	return n.Value, ""
}

// domain reads a name and gives it the form that lists are compared in.
func domain(n *yaml.Node) (string, string) {
	s, wrong := scalar(n)
	if wrong != "" {
		return "", wrong
	}
	name, err := canon.Expression(canon.KindDomain, s)
	if err != nil {
		var why *canon.Error
		errors.As(err, &why)
		return "", fmt.Sprintf("%q is not a domain name (%s); write one like isp.example", shorten(s), why.Reason)
	}
	return name, ""
}
