// Package order is what an operator's officers sign: the few things an operator may decide about lists, none of which adds a name. All
// remove or let pass, but for Pin, which says whose lists may come into force at all, and which auditors do not take from an operator alone. In go the decision and the keys of two people; out comes a statement that every replica and
// every auditor verifies for themselves. cluster/audit/LEAF.md gives the bytes.
//
// An order is only as good as its place: whether its number is new and whether it fits what is in force is decided by who replays the log.
package order

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/cordon-project/cordon/cluster/audit/strict"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

const (
	// Threshold is how many officers must sign: a constant, so that no configuration lets one person decide alone.
	Threshold = 2
	// MaxOfficers bounds the officers of a cluster.
	MaxOfficers = 16
	// MaxSize bounds a signed order: with what a leaf adds it fits into one.
	MaxSize = 56 << 10
	// MaxEntries is how many entries one order may name: 17 bytes each.
	MaxEntries = 3000
	// MaxSuppressed is how many entries one order may suppress.
	MaxSuppressed = 200

	// MaxSuppression, MaxBypass and MaxLife are the longest times between issue and expiry: of a suppression, of the kill switch (what they
	// do ends with them), of all others (until when they may be accepted).
	MaxSuppression = 30 * 24 * time.Hour
	MaxBypass      = 24 * time.Hour
	MaxLife        = 7 * 24 * time.Hour

	// maxSkew is how far an officer's clock may be ahead of the cluster's.
	maxSkew = 10 * time.Minute

	version   = 1
	maxBrakes = 16
	maxWord   = 128
	maxTime   = 1<<32 - 1 // removals hold times in 32 bits
	tag       = "cordon/order/v1\n"
)

// Kind names what an order does; the set is closed. Numbers rise in each kind.
type Kind string

// The kinds.
const (
	KindSuppress Kind = "suppress"
	KindPolicy   Kind = "policy"
	KindApprove  Kind = "approve"
	KindReturn   Kind = "return"
	KindBypass   Kind = "bypass"

	KindCertificate Kind = "certificate"
	KindPin         Kind = "pin"
	KindExempt      Kind = "exempt"
)

// Kinds are all of them, in the order of the alphabet.
var Kinds = []Kind{KindApprove, KindBypass, KindCertificate, KindExempt, KindPin, KindPolicy, KindReturn, KindSuppress}

// Order is one decision. Expires is until when it may be accepted, not inclusive; a suppression, a bypass and an exemption also end with it.
type Order struct {
	Cluster string // audit.Cluster.ID
	Number  uint64 // from 1, higher than that of the order of this kind before it
	Issued  int64  // unix seconds
	Expires int64
	Reason  string // content_gone error appeal court law_enforcement duplicate other(text), as in a withdrawal
	Body    Body
}

// Body is one of the types below, by value.
type Body interface {
	Kind() Kind
	check() error
}

// Suppress takes entries of one list out of force until the order expires; with Lift it puts back what an earlier one took out.
type Suppress struct {
	List    match.ListID    `cbor:"list"`
	Epoch   uint32          `cbor:"epoch"`   // of the version that the officers looked at; the suppression outlives it
	Entries []match.EntryID `cbor:"entries"` // ascending, none twice
	Lift    bool            `cbor:"lift"`
}

// Policy says against which never-block list control nodes must check: by its hash, without a name.
type Policy struct {
	NeverBlock [32]byte `cbor:"never_block"`
	Count      uint64   `cbor:"count"` // names on it
}

// Approve lets a held version through: these brakes only, for these entries only, as checked against this never-block list.
type Approve struct {
	List       match.ListID    `cbor:"list"`
	Seq        uint64          `cbor:"seq"`
	Edge       [32]byte        `cbor:"edge"`    // SHA-256 of its edge list
	Entries    []match.EntryID `cbor:"entries"` // exempted, ascending, none twice; empty for brakes that are not about entries
	Brakes     []string        `cbor:"brakes"`  // ascending, none twice
	NeverBlock [32]byte        `cbor:"never_block"`
}

// Return puts an earlier version of a list in force. What later versions left out stays out: Entries names all of it.
type Return struct {
	List     match.ListID    `cbor:"list"`
	Seq      uint64          `cbor:"seq"`       // to go back to
	Edge     [32]byte        `cbor:"edge"`      // SHA-256 of its edge list
	High     uint64          `cbor:"high"`      // newest version that was ever in force
	HighEdge [32]byte        `cbor:"high_edge"` // SHA-256 of its edge list
	Entries  []match.EntryID `cbor:"entries"`   // in Seq and not in High, ascending, none twice
}

// Bypass lets everything pass until the order expires; with Lift it ends that.
type Bypass struct {
	Lift bool `cbor:"lift"`
}

// Kind implements Body.
func (Suppress) Kind() Kind { return KindSuppress }

// Kind implements Body.
func (Policy) Kind() Kind { return KindPolicy }

// Kind implements Body.
func (Approve) Kind() Kind { return KindApprove }

// Kind implements Body.
func (Return) Kind() Kind { return KindReturn }

// Kind implements Body.
func (Bypass) Kind() Kind { return KindBypass }

// wire is an order as it is signed.
type wire struct {
	V       int             `cbor:"v"` // 1
	Cluster string          `cbor:"cluster"`
	Kind    Kind            `cbor:"k"`
	Number  uint64          `cbor:"number"`
	Issued  int64           `cbor:"issued"`
	Expires int64           `cbor:"expires"`
	Reason  string          `cbor:"reason"`
	B       cbor.RawMessage `cbor:"b"`
}

// Life is the longest time between issue and expiry of a kind.
func Life(k Kind) time.Duration {
	switch k {
	case KindSuppress:
		return MaxSuppression
	case KindBypass:
		return MaxBypass
	case KindExempt:
		return MaxExemption
	}
	return MaxLife
}

func (o Order) check() error {
	if o.Body == nil {
		return bad("says nothing")
	}
	longest := Life(o.Body.Kind())
	switch {
	case len(o.Cluster) != 32:
		return bad("names no cluster")
	case o.Number == 0:
		return bad("number is 0")
	case o.Issued <= 0 || o.Expires > maxTime || o.Expires <= o.Issued || o.Expires-o.Issued > int64(longest/time.Second):
		return bad(fmt.Sprintf("does not expire within %d hours of when it was issued", int(longest.Hours())))
	}
	if err := trust.CheckReason(o.Reason); err != nil {
		return err
	}
	return o.Body.check()
}

func (s Suppress) check() error {
	if err := checkList(s.List); err != nil {
		return err
	}
	if len(s.Entries) == 0 {
		return bad("of no entry")
	}
	return checkEntries(s.Entries, MaxSuppressed)
}

func (p Policy) check() error {
	if p.NeverBlock == ([32]byte{}) {
		return bad("names no never-block list")
	}
	return nil
}

func (a Approve) check() error {
	if err := checkList(a.List); err != nil {
		return err
	}
	if a.Seq == 0 || len(a.Brakes) == 0 || len(a.Brakes) > maxBrakes {
		return bad("approves no version, or lifts no brake")
	}
	for i, b := range a.Brakes {
		if b == "" || len(b) > maxWord || i > 0 && a.Brakes[i-1] >= b {
			return bad("brakes are not ascending words")
		}
		for _, c := range []byte(b) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
				return bad("brakes are not ascending words")
			}
		}
	}
	return checkEntries(a.Entries, MaxEntries)
}

func (r Return) check() error {
	if err := checkList(r.List); err != nil {
		return err
	}
	if r.Seq == 0 || r.Seq > r.High {
		return bad("returns to no earlier version")
	}
	return checkEntries(r.Entries, MaxEntries)
}

func (Bypass) check() error { return nil }

func checkList(l match.ListID) error {
	if _, err := match.ParseListID(string(l)); err != nil {
		return bad("names no list")
	}
	return nil
}

func checkEntries(e []match.EntryID, most int) error {
	if len(e) > most {
		return fmt.Errorf("%w: order about %d entries, at most %d", trust.ErrTooLarge, len(e), most)
	}
	for i := 1; i < len(e); i++ {
		if compareEntries(e[i-1], e[i]) >= 0 {
			return bad("entries are not ascending, or one is there twice")
		}
	}
	return nil
}

// SortEntries puts entry ids into the order that orders have them in, each once. It alters e and returns it.
func SortEntries(e []match.EntryID) []match.EntryID {
	slices.SortFunc(e, compareEntries)
	return slices.Compact(e)
}

func compareEntries(a, b match.EntryID) int { return bytes.Compare(a[:], b[:]) }

func bad(what string) error { return fmt.Errorf("%w: order %s", trust.ErrFormat, what) }

var decMode = strict.Decoding(strict.Options(4096, 64))

func (o Order) encode() ([]byte, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	b, err := strict.Encoding.Marshal(o.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", trust.ErrFormat, err)
	}
	return strict.Encoding.Marshal(wire{
		V: version, Cluster: o.Cluster, Kind: o.Body.Kind(), Number: o.Number, Issued: o.Issued, Expires: o.Expires, Reason: o.Reason, B: b,
	})
}

// decodeOrder reads encode's bytes and refuses every other spelling.
func decodeOrder(b []byte) (Order, error) {
	var w wire
	if err := decMode.Unmarshal(b, &w); err != nil {
		return Order{}, fmt.Errorf("%w: %v", trust.ErrFormat, err)
	}
	if w.V != version {
		return Order{}, bad(fmt.Sprintf("is of version %d", w.V))
	}
	o := Order{Cluster: w.Cluster, Number: w.Number, Issued: w.Issued, Expires: w.Expires, Reason: w.Reason}
	var err error
	switch w.Kind {
	case KindSuppress:
		o.Body, err = read[Suppress](w.B)
	case KindPolicy:
		o.Body, err = read[Policy](w.B)
	case KindApprove:
		o.Body, err = read[Approve](w.B)
	case KindReturn:
		o.Body, err = read[Return](w.B)
	case KindBypass:
		o.Body, err = read[Bypass](w.B)
	case KindCertificate:
		o.Body, err = read[Certificate](w.B)
	case KindPin:
		o.Body, err = read[Pin](w.B)
	case KindExempt:
		o.Body, err = read[Exempt](w.B)
	default:
		err = bad("is of a kind that does not exist")
	}
	if err != nil {
		return Order{}, err
	}
	again, err := o.encode()
	if err != nil {
		return Order{}, err
	}
	if !bytes.Equal(again, b) {
		return Order{}, bad("is not in its one encoding")
	}
	return o, nil
}

func read[B Body](raw cbor.RawMessage) (Body, error) {
	var b B
	if err := decMode.Unmarshal(raw, &b); err != nil {
		return nil, fmt.Errorf("%w: %v", trust.ErrFormat, err)
	}
	return b, nil
}
