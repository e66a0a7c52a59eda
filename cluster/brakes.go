package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/brake"
	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// What a verdict can object. Words are part of leaves: never change one.
const (
	BrakeHash       = "hash"                   // a file is not what was signed
	BrakeFormat     = "format"                 // a file cannot be read
	BrakeTooLarge   = "too_large"              // more records or bytes than any list may have
	BrakeVersion    = "version"                // a file is another version than the metadata says
	BrakeCanon      = "canon"                  // other canonicalisation rules
	BrakeRoot       = "root"                   // the auditor list does not commit to the edge list
	BrakeCounts     = "counts"                 // counts are not those that were signed
	BrakeBases      = "bases"                  // counts by legal basis are not those that were signed
	BrakeEmpty      = "empty"                  // no entry but canaries
	BrakeGrowth     = string(brake.Growth)     // more than doubled
	BrakeReviewBy   = "review_by"              // an entry that would outlive its review
	BrakeKeys       = "keys"                   // no key of this epoch for this cluster
	BrakeCanary     = "canary"                 // a canary does not hit
	BrakeNeverBlock = string(brake.NeverBlock) // a name that nothing may block
)

// holdable reports the brakes that the operator's officers may overrule: the list is held back until they approve it, instead of
// refused. All others say that something is wrong with the list itself.
func holdable(word string) bool { return brake.Word(word).AtOperator() != brake.Nobody }

// reviewLife is the 180 days an entry may live without re-attestation, and
// a day for the clocks of the hotline and the operator.
const reviewLife = 181 * 24 * time.Hour

// judge checks the staged files of a list: what was signed, that the whole
// path from file to verdict works, and the brakes. It returns audit.ResultOK
// or one of the Brake words; an error when nothing can be said (a disk error).
// What the brakes say about it goes to j.
func (n *Node) judge(ctx context.Context, v *trust.Verified, t trust.ListTarget, j *Judgement) (string, error) {
	if t.CheckCanon() != nil {
		return BrakeCanon, nil // verification only reports the rules: here is where a new list of other ones ends
	}
	edgeBytes, closeEdge, err := n.mapFile(t.Edge)
	if err != nil {
		return word(err)
	}
	defer closeEdge()
	auditBytes, closeAudit, err := n.mapFile(t.Audit)
	if err != nil {
		return word(err)
	}
	defer closeAudit()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	e, err := list.OpenEdge(edgeBytes)
	if err != nil {
		return word(err)
	}
	a, err := list.OpenAudit(auditBytes)
	if err != nil {
		return word(err)
	}
	want := list.Version{List: t.List, Seq: t.Seq, Epoch: t.Epoch, CanonID: t.CanonID}
	if e.Version() != want || a.Version() != want {
		return BrakeVersion, nil
	}
	if e.Hash() != t.EdgeHead {
		return BrakeHash, nil
	}
	if a.Fits(e) != nil || a.Root() != t.EntriesRoot {
		return BrakeRoot, nil
	}
	if !countsFit(e.Counts(), t.Counts) {
		return BrakeCounts, nil
	}
	if !slices.Equal(trust.BasesOf(list.Bases(e)), t.Bases) {
		return BrakeBases, nil
	}
	now := n.c.Clock()
	if result := wrong(e, now); result != audit.ResultOK {
		return result, nil
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	return n.selfTest(ctx, e, v, t, now, j)
}

// mapFile maps a file and holds it to what was signed.
func (n *Node) mapFile(f trust.File) ([]byte, func(), error) {
	b, closer, err := n.c.Files.Map(f.SHA256)
	if err != nil {
		return nil, nil, err
	}
	if int64(len(b)) != f.Length || sha256.Sum256(b) != f.SHA256 {
		return nil, nil, errors.Join(fmt.Errorf("stored file: %w", fetch.ErrHash), closer.Close())
	}
	return b, func() { _ = closer.Close() }, nil
}

// word is the objection for an error about content; errors about this node's
// disk are returned.
func word(err error) (string, error) {
	switch {
	case errors.Is(err, fetch.ErrHash), errors.Is(err, list.ErrHash):
		return BrakeHash, nil
	case errors.Is(err, list.ErrTooLarge):
		return BrakeTooLarge, nil
	case errors.Is(err, list.ErrFormat), errors.Is(err, list.ErrOrder), errors.Is(err, io.ErrUnexpectedEOF):
		return BrakeFormat, nil
	}
	return "", err
}

// entries is the number of entries: steer records and decoys are not.
func entries(c match.Counts) uint64 {
	return uint64(c.URL) + uint64(c.Prefix) + uint64(c.Host) + uint64(c.Domain)
}

// countsFit compares the counts of the file with the signed ones, which leave
// out kinds there are none of and may leave out what is no entry.
func countsFit(c match.Counts, signed []trust.Count) bool {
	have := map[string]uint32{
		"url": c.URL, "prefix": c.Prefix, "host": c.Host, "domain": c.Domain,
		"steer": c.Steer, "canary": c.Canary, "decoy": c.Decoy,
	}
	for _, s := range signed {
		n, known := have[s.Kind]
		if !known || s.N < 0 || uint64(n) != uint64(s.N) {
			return false
		}
		delete(have, s.Kind)
	}
	return have["url"] == 0 && have["prefix"] == 0 && have["host"] == 0 && have["domain"] == 0
}

// wrong looks for what no list may be: nothing but canaries, or with entries
// that would outlive their review.
func wrong(e *list.Edge, now time.Time) string {
	c := e.Counts()
	if c.Canary >= uint32(min(entries(c), 1<<31)) {
		return BrakeEmpty
	}
	latest := uint32(min(now.Add(reviewLife).Unix(), 1<<32-1))
	for i := range e.Len() {
		if m := e.Record(i).Meta; m.Flags&match.FlagDecoy == 0 && m.ReviewBy > latest {
			return BrakeReviewBy
		}
	}
	return audit.ResultOK
}

// entriesOf is the number of entries of a publish leaf.
func entriesOf(p audit.Publish) uint64 {
	var n uint64
	for _, c := range p.Counts {
		switch c.Kind {
		case "url", "prefix", "host", "domain":
			n += c.N
		}
	}
	return n
}

// selfTest compiles the index and asks it: the canaries must hit, and the
// brakes must not hold, but for what officers have approved. It needs the epoch's keys, which stay in
// memory from here on.
func (n *Node) selfTest(ctx context.Context, e *list.Edge, v *trust.Verified, t trust.ListTarget, now time.Time, j *Judgement) (string, error) {
	keys, err := n.unwrap(t)
	if errors.Is(err, ErrKeys) {
		n.log.WarnContext(ctx, "keys of a list cannot be opened here", slog.Any("list", t.List), slog.Uint64("seq", t.Seq), slog.Any("error", err))
		return BrakeKeys, nil
	} else if err != nil {
		return "", err
	}
	defer keys.Close()
	b, err := match.Compile(e)
	if err != nil {
		return word(err)
	}
	index, err := match.Open(b)
	if err != nil {
		return word(err)
	}
	j.index = index.Hash()
	set, err := match.NewSet([]match.Member{{Edge: e, Index: index, Filter: v.Charter.Filter(), Keys: keys.Keys}}, nil)
	if err != nil {
		return word(err)
	}
	at := uint32(now.Unix())
	if len(t.Canaries) == 0 {
		return BrakeCanary, nil
	}
	for _, name := range t.Canaries {
		if hit := set.Name([]byte(name), at); !hit.Listed || !hit.Canary {
			return BrakeCanary, nil
		}
	}
	held, err := n.askBrakes(ctx, brake.NewIndex(set, e, keys.Keys), e, t, now, j)
	if err != nil || held != audit.ResultOK {
		return held, err
	}
	n.keepKeys(keys)
	return audit.ResultOK, nil
}
