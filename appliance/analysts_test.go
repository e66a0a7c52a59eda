package appliance

import (
	"bytes"
	"crypto/sha256"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/resolver"
)

func prefixesOf(all ...string) (out []netip.Prefix) {
	for _, p := range all {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func TestTheFileOfAnalystsHasOneForm(t *testing.T) {
	in := prefixesOf("2001:db8:1::/56", "192.0.2.8/29", "192.0.2.0/29", "2001:db8::1/128", "198.51.100.7/32")
	b, err := WriteAnalysts(in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAnalysts(b)
	if want := prefixesOf("192.0.2.0/29", "192.0.2.8/29", "198.51.100.7/32", "2001:db8::1/128", "2001:db8:1::/56"); err != nil || !slices.Equal(got, want) {
		t.Errorf("read %v, %v, want %v", got, err, want)
	}
	if again, err := WriteAnalysts(in); err != nil || bytes.Equal(again, b) {
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
		if _, err := readAnalysts([]byte(bad)); err == nil {
			t.Errorf("%s is accepted: %q", name, bad)
		}
	}
	var many []netip.Prefix
	for i := range 65 {
		many = append(many, netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32))
	}
	if _, err := WriteAnalysts(many[:64]); err != nil {
		t.Errorf("64 prefixes: %v", err)
	}
	if _, err := WriteAnalysts(many); err == nil {
		t.Error("65 prefixes are accepted")
	}
}

// TestAnEdgeExemptsTheFileThatTheOfficersSignedAndNoOther, whenever it comes.
func TestAnEdgeExemptsTheFileThatTheOfficersSignedAndNoOther(t *testing.T) {
	signed, err := WriteAnalysts(prefixesOf("192.0.2.0/29"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := WriteAnalysts(prefixesOf("192.0.2.0/29"))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	var now *resolver.Exemption
	clock := int64(3_999_999_999)
	a := &analysts{path: filepath.Join(t.TempDir(), "analysts.txt"), exempt: func(x *resolver.Exemption) { now = x }, clock: func() time.Time { return time.Unix(clock, 0) }, log: slog.New(slog.NewTextHandler(&log, nil))}
	order := &audit.Exemption{Hash: sha256.Sum256(signed), Count: 1, Until: 4_000_000_000, Number: 3}
	step := func(what string, in *audit.Exemption, file []byte, want uint64) {
		t.Helper()
		if file != nil {
			if err := os.WriteFile(a.path, file, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		a.follow(t.Context(), in)
		if a.number() != want || (now != nil) != (want != 0) {
			t.Errorf("%s: order %d is in effect with %+v, want order %d", what, a.number(), now, want)
		}
		if now != nil && (now.Until != uint32(in.Until) || len(now.Prefixes) != 1 || now.Prefixes[0].String() != "192.0.2.0/29") {
			t.Errorf("%s: %+v", what, now)
		}
	}
	step("nothing", nil, nil, 0)
	step("no file", order, nil, 0)
	step("no file, still", order, nil, 0)
	if n := strings.Count(log.String(), "analysts are not exempt here"); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, log.String())
	}
	step("another file with the same prefixes", order, other, 0)
	step("the file", order, signed, 3)
	step("the same again", order, nil, 3)
	if clock = order.Until + 1; a.number() != 0 {
		t.Error("it is said to be in effect when its time is over")
	}
	clock = order.Until
	next := *order
	next.Hash, next.Number = sha256.Sum256(other), 4
	step("another order, the file is the old one", &next, nil, 0)
	step("its file", &next, other, 4)
	step("ended", nil, nil, 0)
	wide := []byte(strings.Replace(string(signed), "192.0.2.0/29", "0.0.0.0/0", 1))
	open := *order
	open.Hash, open.Number = sha256.Sum256(wide), 5
	step("officers who would exempt everybody", &open, wide, 0)
	if strings.Contains(log.String(), "192.0.2.") {
		t.Errorf("the log has a prefix:\n%s", log.String())
	}
	if (&analysts{log: a.log, exempt: a.exempt}).number() != 0 {
		t.Error("an edge without a file exempts somebody")
	}
}
