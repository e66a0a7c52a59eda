package canon

import (
	"crypto/sha256"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// ruleVersion changes with every change of rules in this package that changes any canonical text.
const ruleVersion = "cordon-canon/1"

var ruleSet = ruleVersion + " unicode/" + idna.UnicodeVersion + " psl/" + pslRevision(publicsuffix.List.String())

// RuleSet names the rules and the tables they use: this package's version, the Unicode version of the IDNA tables and
// the revision of the public suffix list.
func RuleSet() string { return ruleSet }

// ID returns the SHA-256 of RuleSet. Lists carry it, and a node refuses a list made under another one: two rule sets
// spell the same page differently, and then a digest silently stops matching.
func ID() [32]byte { return sha256.Sum256([]byte(ruleSet)) }

// pslRevision takes the git revision out of the list's self description, and the whole description, spaces joined,
// should its wording ever change: a different ID is safe, an empty one is not.
func pslRevision(description string) string {
	if _, rest, ok := strings.Cut(description, "git revision "); ok {
		if rev, _, ok := strings.Cut(rest, " "); ok && rev != "" {
			return rev
		}
	}
	return strings.ReplaceAll(description, " ", "_")
}

// PublicSuffix reports whether host itself is a public suffix: a name under which strangers register names, so that a
// domain entry for it would cover them all. Both parts of the public suffix list count, registries' and hosting
// companies'; so does a single label the list does not know. An address, or a text that is no host, is no suffix.
func PublicSuffix(host string) (isSuffix bool) {
	name, err := Host(host)
	if err != nil || isAddress(name) {
		return false
	}
	suffix, _ := publicsuffix.PublicSuffix(name)
	return suffix == name
}
