// Package period says what a cluster's log shows of a span of time: which charters and list versions, how many entries, what was added,
// taken out, refused and held back, what officers ordered, and how long it took until edges did so.
//
// In go the log's leaves from the first one on, verified by whoever calls, and a span; out come Facts: numbers, hashes, ids and times, a
// pure function of the leaves before the span's end. So whoever has the log computes the same, byte for byte in JSON, and later leaves
// change nothing. It verifies no signature and reads no list.
package period

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
)

// ErrSpan: the span is empty, or does not lie on whole seconds within the times a leaf can have.
var ErrSpan = errors.New("not a span of time")

// Facts is what the log says of From until before To. Sets are in ascending order, what happened is in the log's; arrays are never null.
type Facts struct {
	V     int    `json:"v"` // 1
	From  Time   `json:"from"`
	To    Time   `json:"to"`    // not inclusive
	Begin uint64 `json:"begin"` // leaves before the span
	End   uint64 `json:"end"`   // leaves before its end: only these count
	Last  Time   `json:"last"`  // of the last of them

	Leaves      []Count     `json:"leaves"` // of the span, by kind
	Charters    []Charter   `json:"charters"`
	Hotlines    []Hotline   `json:"hotlines"`
	Lists       []List      `json:"lists"`
	Refusals    []Refusal   `json:"refusals"`
	Holds       Holds       `json:"holds"`
	Withdrawals Withdrawals `json:"withdrawals"`
	Suppress    Suppress    `json:"suppressions"`
	Bypass      Bypass      `json:"bypasses"`
	Exemptions  []Exemption `json:"exemptions,omitempty"` // left out while there were none
	Returns     []Return    `json:"returns"`
	Policies    []Policy    `json:"policies"`
	Pins        []Pin       `json:"pins"`
	Appeals     Appeals     `json:"appeals"`
	Openings    Openings    `json:"openings"`
	Nodes       Nodes       `json:"nodes"`
	Receipts    Receipts    `json:"receipts"`
	Alarms      []Count     `json:"alarms"` // leaves, by what is wrong
	Silence     Silence     `json:"silence"`

	ToBlock   Delay `json:"time_to_block"`   // from a version's leaf to each edge's receipt that has it
	ToLog     Delay `json:"time_to_log"`     // from a withdrawal's issue to its leaf
	ToUnblock Delay `json:"time_to_unblock"` // from a withdrawal's issue to each edge's receipt that carries it out
	ToDecide  Delay `json:"time_to_decide"`  // from an appeal's receipt to the decision on it
}

// Count is how often a word was there.
type Count struct {
	Word string `json:"word"`
	N    uint64 `json:"n"`
}

// Silence is the longest time of the span in which nothing at all was logged.
type Silence struct {
	Seconds int64 `json:"seconds"`
	From    Time  `json:"from"`
}

// Of reads a log's leaves in their order, all of them from number 0, and gives what they say of from until before to. Errors: ErrSpan; what
// InForce.Apply returns for leaves that cannot be replayed; audit.ErrFormat for leaves out of order.
func Of(leaves iter.Seq[audit.Leaf], from, to time.Time) (Facts, error) {
	w, err := New(from, to)
	if err != nil {
		return Facts{}, err
	}
	for l := range leaves {
		if err := w.Leaf(l); err != nil {
			return Facts{}, err
		}
	}
	return w.Facts(), nil
}

// Walk takes leaves in one by one. It is not for concurrent use.
type Walk struct {
	f        Facts
	from, to int64
	inForce  audit.InForce
	orders   holds
	lists    lists
	nodes    nodes
	delays   delays
	appeals  appeals
	states   []state // each from where it changed
	last     int64
	next     uint64
}

// New begins a walk. Times are cut to whole seconds.
func New(from, to time.Time) (*Walk, error) {
	w := &Walk{from: from.Unix(), to: to.Unix(), inForce: audit.Genesis()}
	if w.from < 0 || w.to <= w.from || w.to > 1<<36 {
		return nil, fmt.Errorf("period from %s to %s: %w", from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339), ErrSpan)
	}
	w.f = Facts{V: 1, From: Time(w.from), To: Time(w.to)}
	w.lists.begin()
	w.nodes.begin()
	return w, nil
}

// Leaf takes the next leaf in. Those at or after the end of the span are passed over.
func (w *Walk) Leaf(l audit.Leaf) error {
	if l.N != w.next || l.T < w.last {
		return fmt.Errorf("period: leaf %d where %d belongs, or dated before the one in front of it: %w", l.N, w.next, audit.ErrFormat)
	}
	w.next++
	if l.T >= w.to {
		return nil
	}
	body, err := l.Body()
	if err != nil {
		return fmt.Errorf("period: %w", err)
	}
	before := w.inForce
	w.pass(l.T)
	if w.inForce, err = before.Apply(l); err != nil {
		return fmt.Errorf("period: %w", err)
	}
	changes := before.Changes(l)
	in := l.T >= w.from
	if in {
		add(&w.f.Leaves, string(l.K), 1)
	} else {
		w.f.Begin = l.N + 1
	}
	w.f.End, w.last, w.f.Last = l.N+1, l.T, Time(l.T)
	switch b := body.(type) {
	case audit.Publish:
		w.publish(l, b, in)
		w.settle(b)
	case audit.Returned:
		w.returned(l, b, before, in)
	case audit.Trust:
		w.trust(b, in)
	case audit.Reject:
		if in {
			w.reject(b)
		}
	case audit.Hold:
		w.orders.hold(b, l, in)
	case audit.Withdraw:
		w.withdraw(l, b, in)
	case audit.Ordered:
		w.ordered(l, b, in)
	case audit.Admin:
		w.admin(l, b, in)
	case audit.Open:
		if in {
			w.f.Openings.N++
			w.f.Openings.Records += uint64(b.Count)
		}
	case audit.Member:
		w.member(l, b, in)
	case audit.Receipts:
		w.receipts(l, b, in)
	case audit.Alarm:
		if in {
			add(&w.f.Alarms, b.What, 1)
		}
	}
	if changes {
		w.change(l.N + 1)
	}
	return nil
}

// pass lets the time go on to t, with what was in force: everything that lasts is summed here.
func (w *Walk) pass(t int64) {
	from, to := max(w.last, w.from), min(t, w.to)
	if to <= from {
		return
	}
	if w.next > 1 && to-from > w.f.Silence.Seconds { // before the first leaf there is no log
		w.f.Silence = Silence{to - from, Time(from)}
	}
	if until := min(to, w.inForce.Bypass+1); w.inForce.Bypass != 0 && until > from {
		w.f.Bypass.Seconds += until - from
	}
}

// Facts is what the leaves so far say. Whether the log has come to the span's end is for who calls to know, by a checkpoint's time or a
// later leaf: until then they are what would be true if nothing more came.
func (w *Walk) Facts() Facts {
	end := *w
	end.pass(w.to)
	f := end.f
	f.Leaves, f.Alarms = sorted(f.Leaves), sorted(f.Alarms)
	f.Charters, f.Lists, f.Hotlines = w.lists.charters(), w.lists.facts(w.inForce), w.lists.hotlines
	f.Hotlines = orEmpty(slices.Clone(f.Hotlines))
	f.Refusals = orEmpty(slices.Clone(f.Refusals))
	slices.SortFunc(f.Refusals, func(a, b Refusal) int { return strings.Compare(a.key(), b.key()) })
	f.Holds = w.orders.facts()
	f.Withdrawals = w.withdrawals()
	f.Suppress.Reasons, f.Suppress.InForce = sorted(f.Suppress.Reasons), uint64(len(w.inForce.Suppressions))
	f.Bypass.Reasons, f.Bypass.Until = sorted(f.Bypass.Reasons), Time(w.inForce.Bypass)
	f.Returns, f.Policies = orEmpty(f.Returns), orEmpty(f.Policies)
	f.Pins = orEmpty(f.Pins)
	f.Appeals, f.ToDecide = w.appeals.facts(w.to)
	f.Nodes = w.nodes.facts()
	f.Receipts.Edges = w.nodes.reported()
	f.ToBlock, f.ToLog, f.ToUnblock = w.delays.facts()
	return f
}

// Time is unix seconds; in JSON a UTC time of RFC 3339, and "" for 0.
type Time int64

// String is the time as RFC 3339, "" for 0.
func (t Time) String() string {
	if t == 0 {
		return ""
	}
	return time.Unix(int64(t), 0).UTC().Format(time.RFC3339)
}

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText writes, and nothing else.
func (t *Time) UnmarshalText(b []byte) error {
	*t = 0
	if len(b) == 0 {
		return nil
	}
	at, err := time.Parse(time.RFC3339, string(b))
	if *t = Time(at.Unix()); err != nil || t.String() != string(b) {
		return fmt.Errorf("time %q: %w", b[:min(len(b), 40)], audit.ErrFormat)
	}
	return nil
}

// Hash is a SHA-256; in JSON it is hex, and "" when it is zero.
type Hash [32]byte

// String is the hash in hex, "" for none.
func (h Hash) String() string {
	if h == (Hash{}) {
		return ""
	}
	return fmt.Sprintf("%x", h[:])
}

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText writes, and nothing else.
func (h *Hash) UnmarshalText(b []byte) error {
	*h = Hash{}
	if len(b) == 0 {
		return nil
	}
	var raw []byte
	if _, err := fmt.Sscanf(string(b), "%x", &raw); err != nil || len(raw) != 32 || !bytes.Equal(fmt.Appendf(nil, "%x", raw), b) {
		return fmt.Errorf("hash %q: %w", b[:min(len(b), 80)], audit.ErrFormat)
	}
	*h = Hash(raw)
	return nil
}

// add counts a word.
func add(c *[]Count, word string, n uint64) {
	for i := range *c {
		if (*c)[i].Word == word {
			(*c)[i].N += n
			return
		}
	}
	*c = append(*c, Count{word, n})
}

func sorted(c []Count) []Count {
	c = orEmpty(slices.Clone(c))
	slices.SortFunc(c, func(a, b Count) int { return strings.Compare(a.Word, b.Word) })
	return c
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// word is the closed part of a reason: the text of other(...) is free.
func word(reason string) string {
	if strings.HasPrefix(reason, "other(") {
		return "other"
	}
	return reason
}
