package trust

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// File is a target: its path in the TUF repository, its exact length and SHA-256.
type File struct {
	Path   string
	Length int64
	SHA256 [32]byte
}

// Count is the number of entries of one kind in a list ("url", "prefix", "host", "domain"; "steer", "canary" and "decoy" where
// the publisher counts them).
type Count struct {
	Kind string
	N    int
}

// BasisCount is the number of entries of one legal basis in a list ("law", "order", "voluntary"), the canary's among them.
type BasisCount struct {
	Basis string
	N     int
}

// BasesOf are counts by basis (list.Summary.Bases) in the order that is signed.
func BasesOf(counts map[string]int) []BasisCount {
	out := make([]BasisCount, 0, len(counts))
	for basis, n := range counts {
		out = append(out, BasisCount{Basis: basis, N: n})
	}
	slices.SortFunc(out, func(a, b BasisCount) int { return cmp.Compare(a.Basis, b.Basis) })
	return out
}

// KeyFile is the target that holds the keys of a list's epoch, wrapped for one operator's cluster.
type KeyFile struct {
	Cluster string
	File
}

// DeltaFile is the target that makes a version of a list of an earlier one (list.Delta).
type DeltaFile struct {
	From, To uint64 // seq
	File
}

// ListTarget is one version of a list as the hotline's officers signed it: what it is and the files that make it up.
type ListTarget struct {
	List        match.ListID
	Seq, Prev   uint64       // Prev is the version this one was compared with, 0 for the first
	Epoch       uint32       // of the keys the digests were made with
	CanonID     [32]byte     // rules its expressions are canonical by; see CheckCanon
	EntriesRoot [32]byte     // RFC 6962 root over the auditor list's commitments
	Counts      []Count      // ascending by kind
	Bases       []BasisCount // ascending by basis, those that have entries
	Added       int
	Removed     int
	NeverBlock  string   // version of the never-block list the hotline checked against
	Canaries    []string // harmless host names of the hotline, ascending
	EdgeHead    [32]byte // match.Edge.Hash of the edge list: what a delta must lead to
	Edge, Audit File
	Deltas      []DeltaFile // the last leads to this version, each before it to where the next starts; none over a change of keys
	Keys        []KeyFile   // ascending by cluster
	Private     Private     // how private lookups in it are made; zero when there are none
}

// Chain is the deltas that lead from version seq to this one, in the order they are applied; nil when there are none.
func (l ListTarget) Chain(seq uint64) []DeltaFile {
	i := slices.IndexFunc(l.Deltas, func(d DeltaFile) bool { return d.From == seq })
	if i < 0 {
		return nil
	}
	return l.Deltas[i:]
}

const (
	scopeCSAM    = "csam" // the only scope there is
	maxLists     = 32
	maxListFile  = 1<<31 - 1 // list.MaxFile
	maxEntries   = 32 << 20  // list.MaxRecords
	maxCanaries  = 16
	maxWrapped   = 8 << 10 // an age file of 80 bytes for one hybrid recipient is about 2.3 KiB
	maxTextField = 64
)

// MaxDeltas bounds the deltas of one list. An edge that is further behind fetches the whole list.
const MaxDeltas = 32

var baseWords = []string{"law", "order", "voluntary"}

var countKinds = []string{"canary", "decoy", "domain", "host", "prefix", "steer", "url"}

// lists reads and checks the hotline's delegated role. Errors say which target by its place in the file: this also reads files
// that nobody has verified (ReadList).
func (d targetsDoc) lists(h HotlineID) ([]ListTarget, error) {
	if d.delegated {
		return nil, fmt.Errorf("%w: the list role delegates further", ErrPath)
	}
	lists := map[string]*ListTarget{}
	for _, t := range d.targets { // list versions first: they say which other files belong to them
		n, err := parseTargetName(h, t.Path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.of, err)
		}
		if n.suffix != "edge" {
			continue
		}
		if lists[n.list] != nil {
			return nil, fmt.Errorf("%w: %s is a second version of its list", ErrFormat, t.of)
		}
		if len(lists) == maxLists {
			return nil, fmt.Errorf("%w: more than %d lists", ErrTooLarge, maxLists)
		}
		if lists[n.list], err = readCustom(h, t); err != nil {
			return nil, err
		}
	}
	for _, t := range d.targets {
		n, err := parseTargetName(h, t.Path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.of, err)
		}
		if n.suffix == "edge" {
			continue
		}
		if err := attach(lists[n.list], n, t); err != nil {
			return nil, err
		}
	}
	out := make([]ListTarget, 0, len(lists))
	for _, l := range lists {
		if l.Audit.Path == "" {
			return nil, fmt.Errorf("%w: a list has no auditor list", ErrFormat)
		}
		slices.SortFunc(l.Keys, func(a, b KeyFile) int { return cmp.Compare(a.Cluster, b.Cluster) })
		if err := l.checkDeltas(); err != nil {
			return nil, err
		}
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b ListTarget) int { return cmp.Compare(a.List, b.List) })
	return out, nil
}

// attach gives an auditor list or wrapped keys to the list version they belong to.
func attach(l *ListTarget, n targetName, t targetDoc) error {
	switch {
	case t.custom != nil:
		return fmt.Errorf("%w: %s may not carry custom data", ErrFormat, t.of)
	case l == nil:
		return fmt.Errorf("%w: %s belongs to no list", ErrFormat, t.of)
	case n.suffix == "audit":
		if n.number != l.Seq || t.Length > maxListFile {
			return fmt.Errorf("%w: %s is not of its list's seq, or too large", ErrFormat, t.of)
		}
		l.Audit = t.File
	case n.suffix == "delta":
		if len(l.Deltas) == MaxDeltas || t.Length > maxListFile {
			return fmt.Errorf("%w: %s is one delta of its list too many, or too large", ErrTooLarge, t.of)
		}
		l.Deltas = append(l.Deltas, DeltaFile{From: n.from, To: n.number, File: t.File})
	default:
		if n.number != uint64(l.Epoch) || t.Length > maxWrapped {
			return fmt.Errorf("%w: %s is not of its list's epoch, or too large", ErrFormat, t.of)
		}
		l.Keys = append(l.Keys, KeyFile{Cluster: n.cluster, File: t.File})
	}
	return nil
}

// readCustom reads what the officers signed about a list version. Scope is looked at before anything else.
func readCustom(h HotlineID, t targetDoc) (*ListTarget, error) {
	if t.custom == nil {
		return nil, fmt.Errorf("%w: %s has no custom data, so no scope", ErrScope, t.of)
	}
	f := object(t.of+" custom", t.custom)
	if !f.has("scope") || f.str("scope") != scopeCSAM {
		return nil, fmt.Errorf("%w: %s", ErrScope, t.of)
	}
	l := &ListTarget{
		List: match.ListID(f.str("list")), Edge: t.File,
		Seq: uint64(f.int("seq", 1, maxNumber)), Prev: uint64(f.int("prev", 0, maxNumber)), Epoch: uint32(f.int("epoch", 0, math.MaxUint32)),
		Added: int(f.int("added", 0, maxEntries)), Removed: int(f.int("removed", 0, maxEntries)),
		NeverBlock: f.str("never_block"), Canaries: f.strings("canaries", 0, maxCanaries),
	}
	copy(l.CanonID[:], f.hex("canon_id", len(l.CanonID)))
	copy(l.EntriesRoot[:], f.hex("entries_root", len(l.EntriesRoot)))
	copy(l.EdgeHead[:], f.hex("edge_head", len(l.EdgeHead)))
	f.each("counts", len(countKinds), func(kind string, v *value) error {
		if !slices.Contains(countKinds, kind) || v.kind != kindInt || v.num > maxEntries {
			return fmt.Errorf("%w: %s counts an unknown kind (%d bytes), or too many", ErrFormat, t.of, len(kind))
		}
		l.Counts = append(l.Counts, Count{Kind: kind, N: int(v.num)})
		return nil
	})
	f.each("bases", len(baseWords), func(basis string, v *value) error {
		if !slices.Contains(baseWords, basis) || v.kind != kindInt || v.num < 1 || v.num > maxEntries {
			return fmt.Errorf("%w: %s counts an unknown basis (%d bytes), or none or too many", ErrFormat, t.of, len(basis))
		}
		l.Bases = append(l.Bases, BasisCount{Basis: basis, N: int(v.num)})
		return nil
	})
	if f.has("private") {
		l.Private = readPrivate(f, t.of)
	}
	if err := f.end(); err != nil {
		return nil, err
	}
	if err := l.check(h); err != nil {
		return nil, fmt.Errorf("%s: %w", t.of, err)
	}
	return l, nil
}

func (l *ListTarget) check(h HotlineID) error {
	if _, err := match.ParseListID(string(l.List)); err != nil {
		return fmt.Errorf("%w: list id (%d bytes)", ErrFormat, len(l.List))
	}
	switch {
	case l.List.Hotline() != string(h):
		return fmt.Errorf("%w: list is not of the hotline", ErrCharter)
	case l.Edge.Path != EdgePath(l.List, l.Seq):
		return fmt.Errorf("%w: path is not that of its list and seq", ErrFormat)
	case l.Prev >= l.Seq:
		return fmt.Errorf("%w: prev is not below seq", ErrRollback)
	case l.Edge.Length > maxListFile:
		return fmt.Errorf("%w: list of more than %d bytes", ErrTooLarge, maxListFile)
	case len(l.NeverBlock) > maxTextField:
		return fmt.Errorf("%w: never-block version of %d bytes, at most %d", ErrFormat, len(l.NeverBlock), maxTextField)
	}
	for i, c := range l.Canaries {
		if !hostName(c) || i > 0 && l.Canaries[i-1] >= c {
			return fmt.Errorf("%w: canary %d is not a host name in ascending order", ErrFormat, i+1)
		}
	}
	return nil
}

// checkDeltas brings the deltas in order and wants them to be one chain that ends at the version.
func (l *ListTarget) checkDeltas() error {
	slices.SortFunc(l.Deltas, func(a, b DeltaFile) int { return cmp.Compare(a.To, b.To) })
	for i, d := range l.Deltas {
		to := l.Seq
		if i+1 < len(l.Deltas) {
			to = l.Deltas[i+1].From
		}
		if d.From >= d.To || d.To != to {
			return fmt.Errorf("%w: delta %d of a list does not lead to the next", ErrFormat, i+1)
		}
	}
	return nil
}

// hostName reports a name that could be a canonical host: lower-case letters, digits, hyphens and underscores between dots. Whether
// it is one depends on tables that change (Unicode), and that must not change what Verify says: the members' self-test asks the
// index for each canary before a list comes into force.
func hostName(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if len(label) < 1 || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

// CheckCanon returns ErrCanon if the list was made for other canonicalisation rules than this program's. A list in force stays
// there whatever this says: an update of the program must not take it away.
func (l ListTarget) CheckCanon() error {
	if ours := canon.ID(); l.CanonID != ours {
		return fmt.Errorf("%w: list %s seq %d was made for %x, this program has %x", ErrCanon, l.List, l.Seq, l.CanonID[:8], ours[:8])
	}
	return nil
}

// encodeCustom writes the custom data of an edge target. readCustom reads it back.
func encodeCustom(l ListTarget) ([]byte, error) {
	counts := map[string]int{}
	for _, c := range l.Counts {
		if _, twice := counts[c.Kind]; twice {
			return nil, fmt.Errorf("%w: two counts of one kind", ErrFormat)
		}
		counts[c.Kind] = c.N
	}
	bases := map[string]int{}
	for _, b := range l.Bases {
		if _, twice := bases[b.Basis]; twice {
			return nil, fmt.Errorf("%w: two counts of one basis", ErrFormat)
		}
		bases[b.Basis] = b.N
	}
	canaries := slices.Sorted(slices.Values(l.Canaries))
	if canaries == nil {
		canaries = []string{}
	}
	custom := map[string]any{ // a map: encoding/json writes its keys in ascending order, as canonical JSON has them
		"scope": scopeCSAM, "list": l.List, "seq": l.Seq, "prev": l.Prev, "epoch": l.Epoch,
		"canon_id": hex.EncodeToString(l.CanonID[:]), "entries_root": hex.EncodeToString(l.EntriesRoot[:]), "edge_head": hex.EncodeToString(l.EdgeHead[:]),
		"counts": counts, "bases": bases, "added": l.Added, "removed": l.Removed, "never_block": l.NeverBlock, "canaries": canaries,
	}
	if l.Private != (Private{}) {
		custom["private"] = l.Private.custom()
	}
	return json.Marshal(custom)
}
