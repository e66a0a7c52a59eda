package canon

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// A new library, or a new Go with new Unicode tables, changes what some names become. That is a new rule set: lists made
// under the old one are refused. So the name is written out here, and changing it is a decision, not a side effect.
func TestTheRuleSetIsTheOneThatWasReleased(t *testing.T) {
	const want = "cordon-canon/1 unicode/15.0.0 psl/d6c92f1bbb7433e5db7b8405c25d4035fb8ff376"
	if got := RuleSet(); got != want {
		t.Errorf("RuleSet\n got %q\nwant %q", got, want)
	}
	if got, want := ID(), sha256.Sum256([]byte(want)); got != want {
		t.Errorf("ID\n got %s\nwant %s", hex.EncodeToString(got[:]), hex.EncodeToString(want[:]))
	}
}

func TestAllUnicodeTablesAreOfOneVersion(t *testing.T) {
	if idna.UnicodeVersion != norm.Version || norm.Version != bidi.UnicodeVersion {
		t.Errorf("idna %s, norm %s, bidi %s: RuleSet names only the first", idna.UnicodeVersion, norm.Version, bidi.UnicodeVersion)
	}
}

func TestThePublicSuffixRevisionIsNeverEmpty(t *testing.T) {
	for in, want := range map[string]string{
		"publicsuffix.org's public_suffix_list.dat, git revision abc123 (2026-02-06T07:36:33Z)": "abc123",
		"some other wording": "some_other_wording",
		"git revision ":      "git_revision_",
	} {
		if got := pslRevision(in); got != want {
			t.Errorf("pslRevision(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPublicSuffixesAreKnown(t *testing.T) {
	cases := []struct {
		host string
		want bool
	}{
		{"test", true}, // a single label no list knows
		{"x.test", false},
		{"com", true},
		{"CO.UK.", true},
		{"x.co.uk", false},
		{"github.io", true}, // the private part: pages of strangers below
		{"x.github.io", false},
		{"ck", true},
		{"x.ck", true}, // a wildcard rule, and its exception
		{"www.ck", false},
		{"公司.cn", true},
		{"xn--55qx5d.cn", true},
		{"192.0.2.1", false},
		{"[2001:db8::1]", false},
		{"", false},
		{"*.test", false},
		{strings.Repeat("a", 64), false},
	}
	for _, c := range cases {
		if got := PublicSuffix(c.host); got != c.want {
			t.Errorf("PublicSuffix(%q) = %v, want %v", c.host, got, c.want)
		}
	}
}
