package witness

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Policy says which logs are trusted and which witnesses must have cosigned a checkpoint before it counts
// (c2sp.org/tlog-policy). The zero Policy names no log and asks for no witness.
type Policy struct {
	Logs      []PolicyLog
	Witnesses []Witness
	text      string
	groups    []group
	quorum    *member // nil: none
}

// PolicyLog is a log that a policy names. The URL means what its reader wants; it may be empty.
type PolicyLog struct {
	Key Key
	URL string
}

// Witness is a witness that a policy names. Name is a word of that policy, used nowhere else; URL is the prefix
// to which "/add-checkpoint" is added, and may be empty.
type Witness struct {
	Name string
	Key  Key
	URL  string
}

// group counts as having seen a checkpoint when need of its members have.
type group struct {
	name    string
	need    int
	members []member
}

// member is a witness or an earlier group, by its place in the policy.
type member struct {
	group bool
	at    int
}

// ParsePolicy reads a policy strictly: what the specification does not allow is an error that names the line.
// Errors: ErrFormat, ErrTooLarge.
func ParsePolicy(text string) (Policy, error) {
	if len(text) > MaxPolicy {
		return Policy{}, fmt.Errorf("witness policy of %d bytes, at most %d: %w", len(text), MaxPolicy, ErrTooLarge)
	}
	p := policyParser{names: make(map[string]member), used: make(map[string]string)}
	p.policy.text = text
	for at := 1; text != ""; at++ {
		line, rest, ok := strings.Cut(text, "\n")
		if !ok {
			return Policy{}, fmt.Errorf("witness policy line %d: no newline at its end (is something cut off?): %w", at, ErrFormat)
		}
		if err := p.line(line); err != nil {
			return Policy{}, fmt.Errorf("witness policy line %d: %w", at, err)
		}
		text = rest
	}
	if !p.done {
		return Policy{}, fmt.Errorf("witness policy: no quorum line (\"quorum none\" asks for no witness): %w", ErrFormat)
	}
	return p.policy, nil
}

// ParseOptionalPolicy is ParsePolicy, and takes the empty text as the zero Policy.
func ParseOptionalPolicy(text string) (Policy, error) {
	if text == "" {
		return Policy{}, nil
	}
	return ParsePolicy(text)
}

// String is the text the policy was read from.
func (p Policy) String() string { return p.text }

// NeedsWitness reports whether the quorum asks for any cosignature.
func (p Policy) NeedsWitness() bool { return p.quorum != nil }

type policyParser struct {
	policy Policy
	names  map[string]member
	used   map[string]string // members of groups, to the group that has them
	done   bool              // the quorum line was there
}

func (p *policyParser) line(line string) error {
	for i := 0; i < len(line); i++ {
		if c := line[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return fmt.Errorf("control character 0x%02x: %w", c, ErrFormat)
		}
	}
	f := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(f) == 0 || strings.HasPrefix(f[0], "#") {
		return nil
	}
	switch f[0] {
	case "log":
		return p.log(f[1:])
	case "witness":
		return p.witness(f[1:])
	case "group":
		return p.group(f[1:])
	case "quorum":
		return p.quorum(f[1:])
	}
	return fmt.Errorf("%q is none of log, witness, group, quorum: %w", clip(f[0]), ErrFormat)
}

func (p *policyParser) log(f []string) error {
	if len(f) < 1 || len(f) > 2 {
		return fmt.Errorf("want: log VKEY [URL]: %w", ErrFormat)
	}
	if len(p.policy.Logs) == maxItems {
		return fmt.Errorf("more than %d logs: %w", maxItems, ErrTooLarge)
	}
	k, err := ParseLogKey(f[0])
	if err != nil {
		return err
	}
	for _, l := range p.policy.Logs {
		if l.Key.pub == k.pub {
			return fmt.Errorf("the key of log %q is there twice: %w", clip(k.Name), ErrFormat)
		}
	}
	p.policy.Logs = append(p.policy.Logs, PolicyLog{Key: k, URL: optional(f, 1)})
	return nil
}

func (p *policyParser) witness(f []string) error {
	if len(f) < 2 || len(f) > 3 {
		return fmt.Errorf("want: witness NAME VKEY [URL]: %w", ErrFormat)
	}
	if len(p.policy.Witnesses) == maxItems {
		return fmt.Errorf("more than %d witnesses: %w", maxItems, ErrTooLarge)
	}
	if err := p.define(f[0], member{at: len(p.policy.Witnesses)}); err != nil {
		return err
	}
	k, err := ParseWitnessKey(f[1])
	if err != nil {
		return err
	}
	for _, w := range p.policy.Witnesses {
		if w.Key.pub == k.pub || w.Key.Name == k.Name && w.Key.v.KeyHash() == k.v.KeyHash() {
			return fmt.Errorf("witness %s has the key of witness %s: %w", clip(f[0]), clip(w.Name), ErrFormat)
		}
	}
	p.policy.Witnesses = append(p.policy.Witnesses, Witness{Name: f[0], Key: k, URL: optional(f, 2)})
	return nil
}

func (p *policyParser) group(f []string) error {
	if len(f) < 3 {
		return fmt.Errorf("want: group NAME all|any|NUMBER MEMBER...: %w", ErrFormat)
	}
	if len(p.policy.groups) == maxItems {
		return fmt.Errorf("more than %d groups: %w", maxItems, ErrTooLarge)
	}
	g := group{name: f[0]}
	for _, name := range f[2:] {
		m, ok := p.names[name]
		if !ok {
			return fmt.Errorf("group %s has member %q, which no line above defines: %w", clip(g.name), clip(name), ErrFormat)
		}
		if other, ok := p.used[name]; ok {
			return fmt.Errorf("%s is a member of group %s already: %w", clip(name), clip(other), ErrFormat)
		}
		p.used[name] = g.name
		g.members = append(g.members, m)
	}
	switch f[1] {
	case "any":
		g.need = 1
	case "all":
		g.need = len(g.members)
	default:
		n, err := strconv.Atoi(f[1])
		if err != nil || strconv.Itoa(n) != f[1] || n < 1 || n > len(g.members) {
			return fmt.Errorf("group %s asks for %q of %d members: want all, any or 1 to %d: %w", clip(g.name), clip(f[1]), len(g.members), len(g.members), ErrFormat)
		}
		g.need = n
	}
	if err := p.define(g.name, member{group: true, at: len(p.policy.groups)}); err != nil {
		return err
	}
	p.policy.groups = append(p.policy.groups, g)
	return nil
}

func (p *policyParser) quorum(f []string) error {
	if len(f) != 1 {
		return fmt.Errorf("want: quorum NAME: %w", ErrFormat)
	}
	if p.done {
		return fmt.Errorf("a second quorum line: %w", ErrFormat)
	}
	p.done = true
	if f[0] == "none" {
		return nil
	}
	m, ok := p.names[f[0]]
	if !ok {
		return fmt.Errorf("quorum %q, which no line above defines: %w", clip(f[0]), ErrFormat)
	}
	p.policy.quorum = &m
	return nil
}

// define takes a name of the one space that witnesses and groups share.
func (p *policyParser) define(name string, m member) error {
	if name == "none" {
		return fmt.Errorf("the name \"none\" is taken: %w", ErrFormat)
	}
	if _, ok := p.names[name]; ok {
		return fmt.Errorf("%s is defined twice: %w", clip(name), ErrFormat)
	}
	p.names[name] = m
	return nil
}

func optional(f []string, at int) string {
	if at < len(f) {
		return f[at]
	}
	return ""
}

// Asked are the witnesses that the quorum can count: those that belong to it, in the policy's order.
func (p Policy) Asked() []Witness {
	var at []int
	var walk func(m member)
	walk = func(m member) {
		if !m.group {
			at = append(at, m.at)
			return
		}
		for _, m := range p.groups[m.at].members {
			walk(m)
		}
	}
	if p.quorum != nil {
		walk(*p.quorum)
	}
	slices.Sort(at)
	out := make([]Witness, len(at))
	for i, n := range at {
		out[i] = p.Witnesses[n]
	}
	return out
}
