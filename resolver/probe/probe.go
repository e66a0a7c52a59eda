// Package probe asks a resolver from a subscriber's place whether it keeps what the signals table of Cordon promises.
//
// In go one resolver's address, names that hotlines signed as harmless canaries, names that cannot be listed, and, where known, the stop page's
// address; out come checks with PASS, FAIL or "not made", and the state id that the resolver names (NSID, RFC 5001), which an auditor
// compares with the log. It contacts only the addresses it is given, asks a bounded number of questions one after another, and believes
// nothing that comes back. It reads messages with another codec than Cordon's own, so that both are never wrong in the same way.
package probe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// The checks, in the order they are made.
const (
	CheckAnswers  = "answers"  // it answers over UDP and TCP
	CheckCanary   = "canary"   // each canary is stopped: stop address or NODATA, never NXDOMAIN
	CheckTTL      = "ttl"      // 10 to 60 seconds
	CheckReason   = "reason"   // Extended DNS Error 15 or 16 as the legal basis says, never 17 or 18; an OPT record exactly when asked with one
	CheckTypes    = "types"    // HTTPS has no data; MX and TXT are not touched
	CheckDNSSEC   = "dnssec"   // asked with DO: stopped all the same, nothing signed, nothing called authentic
	CheckExact    = "exact"    // a name below a canary is not stopped: the entry is of one host
	CheckUnlisted = "unlisted" // names that cannot be listed are not stopped
	CheckNSID     = "nsid"     // it names one state, the same each time
	CheckPage     = "page"     // the stop page says what happened, repeats nothing, is not kept
)

var order = []string{CheckAnswers, CheckCanary, CheckTTL, CheckReason, CheckTypes, CheckDNSSEC, CheckExact, CheckUnlisted, CheckNSID, CheckPage}

const (
	maxNames = 64 // of each sort
	minTTL   = 10
	maxTTL   = 60

	// StateSize is the length of a state id, which is what NSID carries.
	StateSize = 32

	edeBlocked, edeCensored, edeFiltered, edeProhibited = 15, 16, 17, 18
)

// Canary is a harmless name that a hotline listed for tests like this one.
type Canary struct {
	Name string
	// Law and Voluntary say which legal bases its entry can have; neither means that nobody knows.
	Law, Voluntary bool
}

// Config says whom to ask what.
type Config struct {
	Resolver netip.AddrPort
	Canaries []Canary
	Unlisted []string         // names that are not listed; fresh ones under .test and .invalid are asked beside them
	Pages    []netip.AddrPort // stop pages over HTTP; may be none
	Timeout  time.Duration    // of one question; 0 for 3 seconds
}

// Check is one line of what was found. Text in it has no control characters of the answers.
type Check struct {
	Name    string   `json:"name"`
	Pass    bool     `json:"pass"`
	Skipped bool     `json:"skipped,omitempty"` // not made; not a pass
	Detail  string   `json:"detail"`            // what was found true, or the first cause
	Causes  []string `json:"causes,omitempty"`
}

// Result is what the resolver showed.
type Result struct {
	Checks   []Check
	Answered bool         // it answered at all
	Blocks   bool         // at least one canary was stopped with Cordon's reason
	States   [][]byte     // different values of NSID, in the order they came
	Stops    []netip.Addr // addresses that canaries lead to
	Asked    int          // questions
	Began    time.Time
	Took     time.Duration
}

// ErrConfig: what was to be asked cannot be asked.
var ErrConfig = errors.New("cannot be probed")

// Run asks. It returns an error only for a bad Config or when ctx ends; whatever the resolver does is in the checks.
func Run(ctx context.Context, c Config) (*Result, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Timeout == 0 {
		c.Timeout = 3 * time.Second
	}
	p := &prober{c: c, ctx: ctx, r: &Result{Began: time.Now()}}
	if p.r.Answered = p.reachable(); p.r.Answered {
		p.canaries()
		p.unlisted()
		p.nsid()
	} else {
		for _, name := range []string{CheckCanary, CheckTTL, CheckReason, CheckTypes, CheckDNSSEC, CheckExact, CheckUnlisted, CheckNSID} {
			p.skip(name, "it does not answer")
		}
	}
	p.pages()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	slices.SortFunc(p.r.Checks, func(a, b Check) int { return slices.Index(order, a.Name) - slices.Index(order, b.Name) })
	p.r.Took = time.Since(p.r.Began)
	return p.r, nil
}

func (c *Config) check() error {
	if !c.Resolver.IsValid() || c.Resolver.Port() == 0 {
		return fmt.Errorf("resolver without an address and a port: %w", ErrConfig)
	}
	if len(c.Canaries) > maxNames || len(c.Unlisted) > maxNames || len(c.Pages) > maxNames {
		return fmt.Errorf("more than %d names or pages: %w", maxNames, ErrConfig)
	}
	names := slices.Clone(c.Unlisted)
	for _, n := range c.Canaries {
		names = append(names, n.Name)
	}
	for _, n := range names {
		if _, err := question(n, dnsmessage.TypeA); err != nil {
			return err
		}
	}
	return nil
}

// question holds a name to letters, digits, hyphens and underscores in labels of at most 63, at most 253 in all.
func question(name string, t dnsmessage.Type) (dnsmessage.Question, error) {
	name = strings.TrimSuffix(name, ".")
	bad := fmt.Errorf("%d bytes that are no host name in ASCII: %w", len(name), ErrConfig)
	if name == "" || len(name) > 253 {
		return dnsmessage.Question{}, bad
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return dnsmessage.Question{}, bad
		}
	}
	n, err := dnsmessage.NewName(name + ".")
	if err != nil {
		return dnsmessage.Question{}, bad
	}
	return dnsmessage.Question{Name: n, Type: t, Class: dnsmessage.ClassINET}, nil
}

type prober struct {
	c   Config
	ctx context.Context
	r   *Result

	unnamed int // answers with an OPT record and no NSID
}

func (p *prober) check(name string) *Check {
	for i := range p.r.Checks {
		if p.r.Checks[i].Name == name {
			return &p.r.Checks[i]
		}
	}
	p.r.Checks = append(p.r.Checks, Check{Name: name})
	return &p.r.Checks[len(p.r.Checks)-1]
}

const maxCauses = 10

func (p *prober) fail(name, format string, args ...any) {
	c, cause := p.check(name), fmt.Sprintf(format, args...)
	c.Pass, c.Skipped = false, false
	switch {
	case slices.Contains(c.Causes, cause):
	case len(c.Causes) < maxCauses:
		c.Causes = append(c.Causes, cause)
	case len(c.Causes) == maxCauses:
		c.Causes = append(c.Causes, "and more")
	}
	c.Detail = c.Causes[0]
}

func (p *prober) pass(name, format string, args ...any) {
	if c := p.check(name); len(c.Causes) == 0 {
		c.Pass, c.Detail = true, fmt.Sprintf(format, args...)
	}
}

func (p *prober) skip(name, format string, args ...any) {
	if c := p.check(name); len(c.Causes) == 0 {
		c.Pass, c.Skipped, c.Detail = false, true, "not checked: "+fmt.Sprintf(format, args...)
	}
}

// fresh is a label that nobody can have listed, or asked, before.
func fresh() string { return "p" + strings.ToLower(rand.Text()) }
