package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cordon-project/cordon/cluster/audit/strict"
)

// Visit is what a verification remembers for the next one: --state FILE. Size and root are of the log it saw last. When everything passed, it
// also holds the hashes of all leaves and the history behind the last of them, so that the next visit looks at new leaves only. After a visit at
// which something failed it still holds those of the last one that passed.
//
// Whoever can write the file can make the next visit believe a past that never was: it is the auditor's, and its hash is there against damage, not against him.
type Visit struct {
	V       int    `json:"v"` // 3
	Cluster string `json:"cluster"`
	Size    uint64 `json:"size"`
	Root    string `json:"root"`  // hex
	Fresh   int64  `json:"fresh"` // Unix time of that log's checkpoint: no later leaf is of a time long before; 0: not known

	seen []byte // encoded past; empty when none passed
}

// past is what passed: the log's leaves by their hashes, and what follows from them.
type past struct {
	Trust   [32]byte `cbor:"trust"`  // SHA-256 of the trust file: another one might judge otherwise
	Hashes  []byte   `cbor:"hashes"` // of the leaves, 32 bytes each
	History history  `cbor:"history"`
}

const (
	// MaxVisit bounds a visit's file: a million leaves have 32 MiB of hashes.
	MaxVisit = 256 << 20

	visitVersion = 3
	visitMagic   = "cordon-audit visit 3 "
	visitMagic2  = "cordon-audit visit 2 " // without Fresh, and with another past
	// keptStates is how many of the last changes of what is in force are kept in full: a receipt that names withdrawals beyond the log, and came
	// after so many changes more, can then no longer be recomputed.
	keptStates = 64
)

// pastMode reads a past: its arrays may be as long as a log.
var pastMode = strict.Decoding(strict.Options(MaxLeaves, 4096))

// Encode writes the visit's file: a line with the hash of all that follows, a line of JSON for people, and the past.
func (v *Visit) Encode() []byte {
	line, err := json.Marshal(v)
	if err != nil {
		panic("audit: encode visit: " + err.Error())
	}
	body := slices.Concat(line, []byte("\n"), v.seen)
	sum := sha256.Sum256(body)
	return slices.Concat([]byte(visitMagic+hex.EncodeToString(sum[:])+"\n"), body)
}

// visitLine is a visit's line of JSON, and visitLine2 that of version 2.
type visitLine struct {
	V       int    `json:"v"`
	Cluster string `json:"cluster"`
	Size    uint64 `json:"size"`
	Root    string `json:"root"`
	Fresh   int64  `json:"fresh"`
}

type visitLine2 struct {
	V       int    `json:"v"`
	Cluster string `json:"cluster"`
	Size    uint64 `json:"size"`
	Root    string `json:"root"`
}

// ParseVisit reads Encode's bytes. ErrFormat for anything else, damage included. Of a visit of version 2 it takes cluster, size and root:
// the next one looks at all of the log once.
func ParseVisit(b []byte) (*Visit, error) {
	fail := func(what string) (*Visit, error) {
		return nil, fmt.Errorf("parse state of the last visit: %s: %w", what, ErrFormat)
	}
	if len(b) > MaxVisit {
		return nil, fmt.Errorf("parse state of the last visit: %w", ErrTooLarge)
	}
	rest, ok := bytes.CutPrefix(b, []byte(visitMagic))
	rest2, old := bytes.CutPrefix(b, []byte(visitMagic2))
	if old {
		rest, ok = rest2, true
	}
	if !ok || len(rest) < 65 || rest[64] != '\n' {
		return fail("it does not begin like one")
	}
	sum := sha256.Sum256(rest[65:])
	if hex.EncodeToString(sum[:]) != string(rest[:64]) {
		return fail("it is damaged, its hash is another one")
	}
	line, seen, ok := bytes.Cut(rest[65:], []byte("\n"))
	if !ok {
		return fail("it ends early")
	}
	v, version, err := Visit{}, visitVersion, error(nil)
	if old {
		var said visitLine2
		err = strictJSON(line, 4<<10, "state of the last visit", &said)
		v, version, seen = Visit{V: said.V, Cluster: said.Cluster, Size: said.Size, Root: said.Root}, 2, nil
	} else {
		var said visitLine
		err = strictJSON(line, 4<<10, "state of the last visit", &said)
		v = Visit{V: said.V, Cluster: said.Cluster, Size: said.Size, Root: said.Root, Fresh: said.Fresh}
	}
	if err != nil {
		return nil, err
	}
	if _, err := parseHash(v.Root); err != nil || v.V != version || checkClusterID(v.Cluster) != nil || v.Size > maxSize || v.Fresh < 0 || v.Fresh > maxTime {
		return fail("it says what cannot be")
	}
	v.V = visitVersion
	v.seen = bytes.Clone(seen)
	if len(seen) > 0 {
		if _, err := v.past(); err != nil {
			return nil, err
		}
	}
	return &v, nil
}

// past decodes what passed; nil when there is none. Every call makes its own, to be changed at will.
func (v *Visit) past() (*past, error) {
	if v == nil || len(v.seen) == 0 {
		return nil, nil
	}
	p := new(past)
	fail := func(err error) (*past, error) {
		return nil, fmt.Errorf("parse state of the last visit: %w: %v", ErrFormat, err)
	}
	if err := pastMode.Unmarshal(v.seen, p); err != nil {
		return fail(err)
	}
	if !bytes.Equal(encode(p), v.seen) {
		return fail(fmt.Errorf("not the canonical encoding"))
	}
	h := &p.History
	if uint64(len(p.Hashes)) != 32*h.Size || h.Size > v.Size || len(h.States) == 0 || h.States[len(h.States)-1].Size > h.Size {
		return fail(fmt.Errorf("its parts do not fit"))
	}
	return p, nil
}

// Verified is how many leaves of the log the next visit need not look at again, when it goes by this trust file: a live node may be asked for
// what is new since. 0: the next visit begins at the beginning.
func (v *Visit) Verified(trustFile []byte) uint64 {
	p, err := v.past()
	if p == nil || err != nil || p.Trust != sha256.Sum256(trustFile) {
		return 0
	}
	return p.History.Size
}

// Roots are those of the log that a visit has verified, at every size.
type Roots struct{ tree treeHashes }

// Roots reads the visit's; none when nothing passed.
func (v *Visit) Roots() (*Roots, error) {
	r := new(Roots)
	p, err := v.past()
	if err != nil || p == nil {
		return r, err
	}
	for n := range p.History.Size {
		r.tree.addHash(tlog.Hash(p.Hashes[32*n : 32*n+32]))
	}
	return r, nil
}

// Size is up to where there are roots.
func (r *Roots) Size() uint64 { return r.tree.size() }

// At is the root of the log of this size; false beyond Size.
func (r *Roots) At(size uint64) ([32]byte, bool) {
	if size > r.tree.size() {
		return [32]byte{}, false
	}
	return r.tree.rootAt(size), true
}

// Passed reports whether the visit holds what passed.
func (v *Visit) Passed() bool { return len(v.seen) > 0 }

// Keep gives the visit that a failed verification leaves what an earlier one knew, when it was made without: the next one goes on from there.
func (r *Report) Keep(passed *Visit) {
	if r.visit != nil && !r.visit.Passed() && r.visit.Size >= passed.Size {
		r.visit.seen = passed.seen
	}
}

// Bare is the visit without what passed: the next one begins at the beginning, and still holds the log to size and root.
func (v *Visit) Bare() *Visit {
	bare := *v
	bare.seen = nil
	return &bare
}

// remember is the visit that this verification leaves.
func (v *verifier) remember(pass bool) *Visit {
	at := &Visit{V: visitVersion, Cluster: v.cluster, Size: v.cp.Size, Root: hex.EncodeToString(v.cp.Root[:]), Fresh: v.rcp.Fresh.Unix()}
	if !pass {
		if v.o.Before != nil {
			at.seen = v.o.Before.seen
		}
		return at
	}
	p := past{Trust: v.trustHash, History: v.h, Hashes: make([]byte, 0, 32*v.h.Size)}
	for n := range v.h.Size {
		h := v.tree.leaf(n)
		p.Hashes = append(p.Hashes, h[:]...)
	}
	p.History.States = thin(v.h.States)
	if at.seen = encode(p); len(at.seen) > MaxVisit-(8<<10) {
		at.seen = nil
	}
	return at
}

// thin keeps the state ids of all changes, and what was in force after the last of them.
func thin(states []stateAt) []stateAt {
	out := make([]stateAt, len(states))
	for i, s := range states {
		if i+keptStates < len(states) {
			s.Whole, s.InForce = false, InForce{}
		}
		out[i] = s
	}
	return out
}

// resume begins where the last visit that passed ended, if there was one under this trust file and the log has not become shorter.
func (v *verifier) resume() error {
	if !v.o.Lean || v.o.All || v.o.Before == nil || v.o.Before.Cluster != v.cluster || v.cp.Size < v.o.Before.Size {
		return nil
	}
	p, err := v.o.Before.past()
	if err != nil || p == nil || p.Trust != v.trustHash {
		return err
	}
	v.h, v.began, v.seen = p.History, p.History.Size, p.Hashes
	v.hash = v.h.InForce.Hash()
	return nil
}

// seenLeaf is the hash of leaf n as the last visit saw it; n is below began.
func (v *verifier) seenLeaf(n uint64) tlog.Hash { return tlog.Hash(v.seen[32*n : 32*n+32]) }
