// Package lookup answers with proof whether a name is listed, with an operator's help.
//
// A control node computes the name's digests, which it can because it has the lists' keys, and sends with them what an edge is sent (the
// manifest: checkpoint, what is in force, the hotlines' signatures) and, of each list in force, the whole blocks that the digests belong to,
// under the head hash that the hotline's officers signed. Whoever has the trust file verifies all of it but one thing: that the digests are those
// of the name. So the operator learns the name, and could lie: any digest that is in no list says "not listed", that of another listed name says
// "listed". A private lookup, which asks the hotline, has neither fault.
package lookup

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/audit/strict"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// MaxAnswer bounds an encoded answer: the manifest, and a block table of 36 bytes for 64 records of a list of any size.
const MaxAnswer = 64 << 20

// Errors of Verify beside those of the packages that it asks.
var (
	// ErrAnswer: the answer is not one to this question, or not in its one form.
	ErrAnswer = errors.New("not an answer to this question")
	// ErrStranger: a list is in force of a hotline that the trust file does not name.
	ErrStranger = errors.New("a hotline that the trust file does not name")
)

// Answer is what a control node sends.
type Answer struct {
	V        int    `cbor:"v"` // 1
	Manifest []byte `cbor:"manifest"`
	Lists    []List `cbor:"lists"` // in the order of what is in force
}

// List is what one list in force has for a name.
type List struct {
	List    match.ListID `cbor:"list"`
	Digests [][]byte     `cbor:"digests"` // of each suffix of the name, the whole name first, as the node computed them
	Proof   match.Proof  `cbor:"proof"`
}

var decMode = strict.Decoding(strict.Options(1<<12, 64))

// Encode returns the answer as it travels.
func (a Answer) Encode() ([]byte, error) {
	a.V = 1
	return strict.Encoding.Marshal(a)
}

// Decode reads Encode's bytes and refuses every other spelling. It verifies nothing.
func Decode(b []byte) (Answer, error) {
	var a Answer
	if len(b) > MaxAnswer {
		return a, fmt.Errorf("decode answer of %d bytes, at most %d: %w", len(b), MaxAnswer, audit.ErrTooLarge)
	}
	if err := decMode.Unmarshal(b, &a); err != nil {
		return a, fmt.Errorf("decode answer: %w: %v", ErrAnswer, err)
	}
	again, err := strict.Encoding.Marshal(a)
	if err != nil || !bytes.Equal(again, b) || a.V != 1 || len(a.Lists) > audit.MaxLists {
		return a, fmt.Errorf("decode answer: not its one encoding: %w", ErrAnswer)
	}
	return a, nil
}

// Name is a name in canonical form. The error does not repeat what was given.
func Name(raw string) (string, error) {
	name, err := canon.Host(strings.TrimSuffix(strings.TrimSpace(raw), "."))
	if err != nil || name == "" || len(name) > 253 {
		return "", errors.New("that is not a host name")
	}
	return name, nil
}

// Suffixes are the name and each name above it, longest first: what a lookup tests.
func Suffixes(name string) [][]byte {
	var out [][]byte
	for rest := []byte(name); len(rest) > 0; _, rest, _ = bytes.Cut(rest, []byte(".")) {
		out = append(out, rest)
	}
	return out
}

// Of is what one list has for a canonical name: digest is the list's keyed hash of a name. It copies what it takes of the edge list.
func Of(e *match.Edge, name string, digest func(name []byte) match.Digest) List {
	out := List{List: e.Version().List, Digests: [][]byte{}}
	var digests []match.Digest
	for _, suffix := range Suffixes(name) {
		d := digest(suffix)
		digests = append(digests, d)
		out.Digests = append(out.Digests, d[:])
	}
	p := e.Prove(digests)
	out.Proof = match.Proof{Fields: bytes.Clone(p.Fields), Starts: bytes.Clone(p.Starts), Hashes: bytes.Clone(p.Hashes), Blocks: []match.ProofBlock{}}
	for _, b := range p.Blocks {
		out.Proof.Blocks = append(out.Proof.Blocks, match.ProofBlock{
			N: b.N, Digests: bytes.Clone(b.Digests), Gates: bytes.Clone(b.Gates), IDs: bytes.Clone(b.IDs), Metas: bytes.Clone(b.Metas),
		})
	}
	return out
}

// Result is what an answer proves, provided that its digests are those of the name.
type Result struct {
	Listed  bool     `json:"listed"`  // at least one entry stops the name now
	Bypass  bool     `json:"bypass"`  // and everything passes, by order of the operator's officers
	Entries []Entry  `json:"entries"` // that are about the name, those that do not stop it now included
	Lists   []Placed `json:"lists"`   // that were looked into

	Size  uint64    `json:"size"` // of the cosigned log
	Fresh time.Time `json:"fresh"`
	By    []string  `json:"signed_by"`
}

// Entry is an entry that is about the name.
type Entry struct {
	List         match.ListID `json:"list"`
	Seq          uint64       `json:"seq"`
	Leaf         uint64       `json:"leaf"`     // that brought the version into force
	InForce      time.Time    `json:"in_force"` // of the version: no later than this is the entry on the list here
	Entry        string       `json:"entry"`
	Kind         string       `json:"kind"`
	Labels       int          `json:"labels"` // of the listed name: fewer than the name's when a domain above is listed
	Basis        string       `json:"basis"`
	Jurisdiction string       `json:"jurisdiction"`
	Since        time.Time    `json:"since"` // when the hotline listed it, as it signed
	ReviewBy     time.Time    `json:"review_by"`
	Canary       bool         `json:"canary,omitempty"`
	Stops        bool         `json:"stops"`
	Why          string       `json:"why"` // it stops the name, or why it does not
}

// Placed is where a list was looked into.
type Placed struct {
	List    match.ListID `json:"list"`
	Seq     uint64       `json:"seq"`
	Records int          `json:"records"`
	Places  []int        `json:"places"` // of each suffix's digest among the list's records: where it is, or would be
}

// Verify holds an answer to a trust file. name is in canonical form. It believes nothing but that the digests are the name's.
func Verify(a Answer, tf audit.TrustFile, name string, now time.Time) (*Result, error) {
	m, err := audit.DecodeManifest(a.Manifest)
	if err != nil {
		return nil, err
	}
	o, err := tf.Quorum().OpenManifest(m, tf.Cluster.Anchors())
	if err != nil {
		return nil, err
	}
	if err := pinned(m, tf); err != nil {
		return nil, err
	}
	if len(a.Lists) != len(o.Lists) {
		return nil, fmt.Errorf("answer speaks of %d lists, in force are %d: %w", len(a.Lists), len(o.Lists), ErrAnswer)
	}
	r := &Result{Bypass: o.InForce.Bypass != 0 && now.Unix() <= o.InForce.Bypass, Entries: []Entry{}, Lists: []Placed{}, Size: o.Checkpoint.Size, Fresh: o.Fresh, By: o.SignedBy}
	suffixes := Suffixes(name)
	for i, l := range o.Lists {
		if err := r.list(a.Lists[i], l, m.Lists[i].Leaf, o.InForce, suffixes, now); err != nil {
			return nil, fmt.Errorf("list %s sequence %d: %w", l.List, l.Seq, err)
		}
	}
	for _, e := range r.Entries {
		r.Listed = r.Listed || e.Stops
	}
	return r, nil
}

// pinned wants each hotline that the operator's officers have added to be one that the trust file names, with the same root.
func pinned(m audit.Manifest, tf audit.TrustFile) error {
	for _, p := range m.Pins {
		leaf, err := audit.DecodeLeaf(p.Leaf)
		if err != nil {
			return err
		}
		body, err := leaf.Body()
		if err != nil {
			return err
		}
		ordered, _ := body.(audit.Ordered)
		pin, ok := ordered.Order.Body.(order.Pin)
		if !ok {
			return fmt.Errorf("leaf %d adds no hotline: %w", leaf.N, ErrAnswer)
		}
		i := slices.IndexFunc(tf.Hotlines, func(h audit.HotlineAnchor) bool { return h.ID == pin.Hotline })
		if i < 0 || sha256.Sum256(tf.Hotlines[i].Root) != pin.Root {
			return fmt.Errorf("hotline %s, added by the operator: %w", pin.Hotline, ErrStranger)
		}
	}
	return nil
}

func (r *Result) list(a List, l audit.OpenedList, raw []byte, f audit.InForce, suffixes [][]byte, now time.Time) error {
	leaf, err := audit.DecodeLeaf(raw)
	if err != nil {
		return err
	}
	if a.List != l.List || len(a.Digests) != len(suffixes) {
		return fmt.Errorf("answer is of list %q with %d digests for %d names: %w", string(a.List), len(a.Digests), len(suffixes), ErrAnswer)
	}
	p, err := a.Proof.Open(l.Target.EdgeHead)
	if err != nil {
		return err
	}
	if p.List != l.List || p.Seq != l.Seq || p.Epoch != l.Epoch {
		return fmt.Errorf("proof of list %s sequence %d: %w", p.List, p.Seq, ErrAnswer)
	}
	filter, err := l.Filter.Match()
	if err != nil {
		return err
	}
	placed := Placed{List: l.List, Seq: l.Seq, Records: p.Len, Places: []int{}}
	seen := map[match.Digest]bool{}
	for i, raw := range a.Digests {
		if len(raw) != len(match.Digest{}) || seen[match.Digest(raw)] {
			return fmt.Errorf("digest %d is no digest, or that of another name too: %w", i, ErrAnswer)
		}
		d := match.Digest(raw)
		seen[d] = true
		found, place, ok := p.Records(d)
		if !ok {
			return fmt.Errorf("nothing proves what is or is not at digest %d: %w", i, ErrAnswer)
		}
		placed.Places = append(placed.Places, place)
		for _, x := range found {
			if e, ok := entry(x, l, leaf, f, filter, len(suffixes)-i, i == 0, now); ok {
				r.Entries = append(r.Entries, e)
			}
		}
	}
	r.Lists = append(r.Lists, placed)
	return nil
}

// entry says what a record means for the name; false for one that is about another name, or for a decoy.
func entry(x match.Record, l audit.OpenedList, leaf audit.Leaf, f audit.InForce, filter match.Filter, labels int, whole bool, now time.Time) (Entry, bool) {
	if x.Flags == match.FlagDecoy || !whole && x.Kind != canon.KindDomain {
		return Entry{}, false
	}
	at := func(t uint32) time.Time { return time.Unix(int64(t), 0).UTC() }
	e := Entry{
		List: l.List, Seq: l.Seq, Leaf: leaf.N, InForce: time.Unix(leaf.T, 0).UTC(), Entry: x.EntryID.String(), Kind: x.Kind.String(), Labels: labels, Basis: x.Basis.String(),
		Jurisdiction: string(x.Jurisdiction[:]), Since: at(x.Since), ReviewBy: at(x.ReviewBy), Canary: x.Flags == match.FlagCanary,
	}
	e.Stops, e.Why = Stops(x, l.List, f, filter, now)
	return e, true
}

// Stops reports whether a record of a list in force stops a name now (bypass apart), and says in words that it does, or why not.
func Stops(x match.Record, l match.ListID, f audit.InForce, filter match.Filter, now time.Time) (bool, string) {
	var out *match.Removal
	for _, r := range f.Overlay() {
		if r.List == l && r.Entry == x.EntryID && r.Holds(uint32(now.Unix())) {
			out = &r
			break
		}
	}
	switch {
	case !filter.Allows(x.Meta):
		return false, "the hotline's charter does not allow it"
	case int64(x.ReviewBy) < now.Unix():
		return false, "its review date is over"
	case out != nil && out.Kind == match.RemovalSuppress:
		return false, "suppressed by the operator's officers until " + time.Unix(int64(out.Until), 0).UTC().Format(time.RFC3339)
	case out != nil && out.Kind == match.RemovalReturn:
		return false, "left out by a later version of the list"
	case out != nil:
		return false, "withdrawn by the hotline"
	case x.Kind == canon.KindSteer:
		return false, "single pages of this host are listed, and DNS does not stop a host for its pages"
	}
	return true, "it stops the name"
}
