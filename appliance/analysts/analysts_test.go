package analysts

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func prefixesOf(all ...string) (out []netip.Prefix) {
	for _, p := range all {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func TestTheFileOfAnalystsHasOneForm(t *testing.T) {
	in := prefixesOf("2001:db8:1::/56", "192.0.2.8/29", "192.0.2.0/29", "2001:db8::1/128", "198.51.100.7/32")
	b, err := Write(in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(b)
	if want := prefixesOf("192.0.2.0/29", "192.0.2.8/29", "198.51.100.7/32", "2001:db8::1/128", "2001:db8:1::/56"); err != nil || !slices.Equal(got, want) {
		t.Errorf("read %v, %v, want %v", got, err, want)
	}
	if again, err := Write(in); err != nil || bytes.Equal(again, b) {
		t.Errorf("the same prefixes make the same file: %v", err)
	}
	text := string(b)
	head := text[:strings.Index(text, "192.")]
	for name, bad := range map[string]string{
		"nothing": "", "no prefix": head, "no head": text[1:], "another version": strings.Replace(text, "/v1", "/v2", 1), "a short salt": strings.Replace(text, "salt ", "salt", 1),
		"a salt in capitals": head[:24] + strings.ToUpper(head[24:]) + "192.0.2.0/29\n", "no end of line": strings.TrimSuffix(text, "\n"), "a line too much": text + "\n",
		"out of order": head + "192.0.2.8/29\n192.0.2.0/29\n", "twice": head + "192.0.2.0/29\n192.0.2.0/29\n", "IPv6 first": head + "2001:db8::/64\n192.0.2.0/29\n",
		"bits behind": head + "192.0.2.1/29\n", "a network": head + "192.0.0.0/23\n", "everybody": head + "0.0.0.0/0\n", "an IPv6 network": head + "2001:db8::/47\n",
		"another spelling": head + "2001:DB8::/64\n", "mapped": head + "::ffff:192.0.2.0/120\n", "an address": head + "192.0.2.1\n",
	} {
		if _, err := Read([]byte(bad)); err == nil {
			t.Errorf("%s is accepted: %q", name, bad)
		}
	}
	var many []netip.Prefix
	for i := range 65 {
		many = append(many, netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32))
	}
	if _, err := Write(many[:64]); err != nil {
		t.Errorf("64 prefixes: %v", err)
	}
	if _, err := Write(many); err == nil {
		t.Error("65 prefixes are accepted")
	}
}
