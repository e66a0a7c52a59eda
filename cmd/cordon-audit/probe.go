package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/probe"
)

// checkState is the check that binds what a resolver says to the log.
const checkState = "state"

// lateAfter is how long an edge may serve an older state that it has honestly reported: changes reach connected edges in seconds.
const lateAfter = time.Hour

func probeCommand() *cobra.Command {
	var f flags
	var at string
	var canaries, unlisted, pages []string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "probe --resolver ADDR[:PORT] --trust FILE BUNDLE|https://NODE:PORT",
		Short: "Ask a resolver, as a subscriber would, whether it does what the log says",
		Long: `probe verifies the bundle, takes the hotlines' canary names out of the signed metadata, and asks the resolver for them, for names
that cannot be listed, and for names below canaries, over UDP and TCP, with and without EDNS and DNSSEC. It prints a line for each check, and
says which state of the log the resolver serves (NSID). Canaries are harmless names that hotlines listed for this; no other listed name is
asked for. Nobody but the resolver, and the stop pages that you name with --page, is contacted.`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			conf, err := probeConfig(at, canaries, unlisted, pages, wait)
			if err != nil {
				return err
			}
			k := known{bases: map[[32]byte]bases{}, names: map[[32]byte][]string{}}
			r, err := f.verify(c.Context(), args[0], audit.Options{Now: time.Now(), Watch: k.watch()})
			if err != nil {
				return err
			}
			if r.Served() == nil { // what is in force is not known
				if err := r.WriteText(c.ErrOrStderr()); err != nil {
					return unwritten("output", err)
				}
				return errFail
			}
			conf.Canaries = append(conf.Canaries, k.canaries(r.Served())...)
			found, err := probe.Run(c.Context(), conf)
			if err != nil {
				return &fault{codeUsage, err, "give the resolver as 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53, and plain host names"}
			}
			return judged(r, found, at).write(c.OutOrStdout(), f.json)
		},
	}
	f.add(c)
	c.Flags().StringVar(&at, "resolver", "", "the resolver's address, port 53 unless said (required)")
	c.Flags().StringArrayVar(&canaries, "canary", nil, "a further canary, beside those that hotlines signed; may be given again")
	c.Flags().StringArrayVar(&unlisted, "unlisted", nil, "a name that is not listed and must not be stopped; may be given again")
	c.Flags().StringArrayVar(&pages, "page", nil, "a stop page's address, port 80 unless said, to be looked at over HTTP; may be given again")
	c.Flags().DurationVar(&wait, "wait", 3*time.Second, "for one answer")
	if err := c.MarkFlagRequired("resolver"); err != nil {
		panic(fmt.Sprintf("cordon-audit: %v", err))
	}
	return c
}

// probeConfig reads addresses and names that a person typed.
func probeConfig(at string, canaries, unlisted, pages []string, wait time.Duration) (probe.Config, error) {
	c := probe.Config{Timeout: wait}
	if wait <= 0 || wait > time.Minute {
		return c, errors.New("--wait is more than nothing and at most 1m")
	}
	var err error
	if c.Resolver, err = address(at, 53); err != nil {
		return c, fmt.Errorf("--resolver: %w", err)
	}
	for _, p := range pages {
		a, err := address(p, 80)
		if err != nil {
			return c, fmt.Errorf("--page: %w", err)
		}
		c.Pages = append(c.Pages, a)
	}
	for _, n := range canaries {
		name, err := hostName(n)
		if err != nil {
			return c, fmt.Errorf("--canary: %w", err)
		}
		c.Canaries = append(c.Canaries, probe.Canary{Name: name})
	}
	for _, n := range unlisted {
		name, err := hostName(n)
		if err != nil {
			return c, fmt.Errorf("--unlisted: %w", err)
		}
		c.Unlisted = append(c.Unlisted, name)
	}
	return c, nil
}

func address(s string, port uint16) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a, port), nil
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil || a.Port() == 0 {
		return a, fmt.Errorf("%q is not an address, with or without a port", s)
	}
	return a, nil
}

// hostName is a name in its canonical form; what was typed is not repeated, as it may be somebody's secret.
func hostName(s string) (string, error) {
	name, err := canon.Host(strings.TrimSuffix(strings.TrimSpace(s), "."))
	if err != nil || name == "" {
		return "", errors.New("it is not a host name")
	}
	return name, nil
}

// known is what the verification saw of canaries.
type known struct {
	names map[[32]byte][]string // by edge list
	bases map[[32]byte]bases
}

// bases are the legal bases of a list's canary entries.
type bases struct{ law, voluntary bool }

func (k *known) watch() *audit.Watch {
	return &audit.Watch{
		Signed: func(_ audit.Leaf, p audit.Publish, t trust.ListTarget) { k.names[p.Edge] = t.Canaries },
		EdgeList: func(file [32]byte, e *list.Edge) {
			var b bases
			for i := range e.Len() {
				if r := e.Record(i); r.Flags == match.FlagCanary {
					b.law = b.law || r.Basis.Binding()
					b.voluntary = b.voluntary || !r.Basis.Binding()
				}
			}
			k.bases[file] = b
		},
	}
}

// canaries are those of the lists in force.
func (k *known) canaries(s *audit.Served) []probe.Canary {
	var out []probe.Canary
	for _, l := range s.Lists {
		for _, n := range k.names[l.Edge] {
			if !slices.ContainsFunc(out, func(c probe.Canary) bool { return c.Name == n }) {
				out = append(out, probe.Canary{Name: n, Law: k.bases[l.Edge].law, Voluntary: k.bases[l.Edge].voluntary})
			}
		}
	}
	return out
}

// probed is what a probe found, held to the log.
type probed struct {
	Pass     bool          `json:"pass"`
	Resolver string        `json:"resolver"`
	At       time.Time     `json:"at"`
	Cluster  string        `json:"cluster"`
	Size     uint64        `json:"size"`  // of the verified log
	Root     string        `json:"root"`  // hex
	State    string        `json:"state"` // that the resolver named, hex; "" for none or several
	Meaning  string        `json:"meaning"`
	Asked    int           `json:"asked"`
	Stops    []netip.Addr  `json:"stop_addresses"`
	Checks   []probe.Check `json:"checks"`
}

// judged adds the checks that need the log.
func judged(r *audit.Report, found *probe.Result, at string) *probed {
	p := &probed{Pass: r.Pass, Resolver: at, At: found.Began.UTC().Truncate(time.Second), Cluster: r.Cluster, Asked: found.Asked, Stops: found.Stops, Checks: found.Checks}
	if p.Stops == nil {
		p.Stops = []netip.Addr{}
	}
	if r.Checkpoint != nil {
		p.Size, p.Root = r.Checkpoint.Size, r.Checkpoint.Root
	}
	log := probe.Check{Name: "log", Pass: r.Pass, Detail: "the bundle passes every check"}
	if !r.Pass {
		log.Detail = "the bundle does not pass: what the resolver is held to is not to be trusted; run cordon-audit verify"
	}
	state := probe.Check{Name: checkState}
	switch {
	case len(found.States) != 1 || len(found.States[0]) != probe.StateSize:
		state.Skipped, state.Detail = true, "not checked: the resolver names no single state"
		p.Meaning = "nothing binds this resolver to the log: it stops canaries as Cordon does, and does not say which state it serves"
		switch {
		case !found.Answered:
			p.Meaning = "nobody answers at " + at
		case !found.Blocks:
			p.Meaning = "this is not a Cordon resolver, or it has no list in force: no canary is stopped, and it names no state"
		}
	default:
		p.State = hex.EncodeToString(found.States[0])
		p.Meaning, state.Pass = meaning(r, match.StateID(found.States[0]), found.Began)
		state.Detail = p.Meaning
	}
	if !state.Pass && !state.Skipped {
		state.Causes = []string{state.Detail}
	}
	p.Checks = append([]probe.Check{log}, append(p.Checks, state)...)
	for _, c := range p.Checks {
		p.Pass = p.Pass && (c.Pass || c.Skipped)
	}
	p.Pass = p.Pass && found.Blocks
	return p
}

// meaning says in words what a state is in the log's terms, and whether that is all right.
func meaning(r *audit.Report, state match.StateID, now time.Time) (string, bool) {
	id := state.String()[:16]
	since := func(size uint64) string {
		leaves := r.Leaves()
		if size == 0 || size > uint64(len(leaves)) {
			return "the beginning"
		}
		l := leaves[size-1]
		return fmt.Sprintf("leaf %d (%s)", l.N, time.Unix(l.T, 0).UTC().Format(time.RFC3339))
	}
	moments, unknown := r.Moments(), 0
	for i := len(moments) - 1; i >= 0; i-- {
		m := moments[i]
		switch {
		case !m.Known:
			unknown++
		case m.State != state:
		case m.To == 0 && m.Bypass:
			return fmt.Sprintf("this resolver serves state %s, which is what the log says should be served since %s: EVERYTHING PASSES, by order of the operator's officers", id, since(m.From)), true
		case m.To == 0:
			return fmt.Sprintf("this resolver serves state %s, which is what the log says should be served since %s", id, since(m.From)), true
		default:
			text := fmt.Sprintf("this resolver serves an old state, %s, which was right from %s until %s", id, since(m.From), since(m.To))
			leaves := r.Leaves()
			late := m.To > uint64(len(leaves)) || now.Sub(time.Unix(leaves[m.To-1].T, 0)) > lateAfter
			if edges := whoSaid(r, state); len(edges) == 0 {
				return text + "; no edge's last receipt says so", false
			} else if late {
				return text + "; edge " + strings.Join(edges, ", ") + " says so itself, and has been behind for more than " + lateAfter.String(), false
			} else {
				return text + "; edge " + strings.Join(edges, ", ") + " says so itself and has yet to follow", true
			}
		}
	}
	if edges := whoSaid(r, state); len(edges) > 0 { // withdrawals taken from the hotline, beyond the log
		return fmt.Sprintf("this resolver serves state %s, which edge %s has signed for", id, strings.Join(edges, ", ")), true
	}
	text := fmt.Sprintf("this resolver serves another index: state %s was never right in this log of %d leaves", id, len(r.Leaves()))
	if unknown > 0 {
		text += fmt.Sprintf(" (of %d earlier states the lists are not in the bundle)", unknown)
	}
	return text + "; if the log has grown since the bundle was made, ask again with a new one", false
}

// whoSaid are the edges whose last receipt names the state.
func whoSaid(r *audit.Report, state match.StateID) []string {
	var names []string
	for _, e := range r.Served().Edges {
		if !e.At.IsZero() && e.State == state {
			names = append(names, e.Edge)
		}
	}
	return names
}

func (p *probed) write(w io.Writer, asJSON bool) error {
	var err error
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		err = enc.Encode(p)
	} else {
		err = p.text(w)
	}
	if err == nil && !p.Pass {
		return errFail
	}
	return unwritten("output", err)
}

func (p *probed) text(w io.Writer) error {
	var b strings.Builder
	failed := 0
	for _, c := range p.Checks {
		word := "FAIL"
		switch {
		case c.Pass:
			word = "PASS"
		case c.Skipped:
			word = "----"
		default:
			failed++
		}
		fmt.Fprintf(&b, "%s  %-9s %s\n", word, c.Name, audit.Escape(c.Detail))
		for i, cause := range c.Causes {
			if i > 0 {
				fmt.Fprintf(&b, "%16s%s\n", "", audit.Escape(cause))
			}
		}
	}
	if p.Pass {
		fmt.Fprintf(&b, "\nPASS  %s\n", audit.Escape(p.Meaning))
	} else {
		fmt.Fprintf(&b, "\nFAIL  %d of %d checks failed; %s\n", failed, len(p.Checks), audit.Escape(p.Meaning))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
