package audit

import (
	"fmt"

	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/trust"
)

// logged is how far a hotline's public log was at the last version that came with a proof of it.
type logged struct {
	Hotline trust.HotlineID
	Head    publiclog.Head
	Bare    bool // the last version came under a charter without a log
}

// Logged is a list version in the operator's log, as the hotline's public log must have it.
type Logged struct {
	Operator uint64         // number of the publish leaf
	Leaf     publiclog.Leaf // what the public log's leaf must be
	Index    uint64         // its number in the public log
	Head     publiclog.Head // of the public log, as the operator was shown it
}

// logOf finds what is known of a hotline's public log.
func (h *history) logOf(id trust.HotlineID) *logged {
	for i := range h.Logged {
		if h.Logged[i].Hotline == id {
			return &h.Logged[i]
		}
	}
	h.Logged = append(h.Logged, logged{Hotline: id})
	return &h.Logged[len(h.Logged)-1]
}

// lookPublicLog holds a version to the public log that its charter names: that it is in there, signed by that log, seen by the witnesses
// of the trust file, and that the log goes on from where it was at the version before.
func (v *verifier) lookPublicLog(l Leaf, b Publish, got *trust.Verified) {
	what := fmt.Sprintf("leaf %d, list %s", l.N, listSeq(b.List, b.Seq))
	at := v.h.logOf(b.Hotline)
	key := got.Charter.Log
	if key == "" {
		if len(b.PublicProof) > 0 {
			v.fail(CheckPublicLog, "%s: it has a proof of a public log, and the charter names none", what)
		}
		if !at.Bare {
			v.note("leaf %d: the charter of hotline %s names no public log: nobody outside can see from here on whether this operator is shown the same list as others", l.N, b.Hotline)
		}
		at.Bare = true
		return
	}
	v.h.Tally.Logged++
	at.Bare = false
	v.logKeys[b.Hotline] = key
	p, err := publiclog.DecodeProof(b.PublicProof)
	if len(b.PublicProof) == 0 {
		err = fmt.Errorf("%w: there is none", publiclog.ErrProof)
	}
	if err != nil {
		v.fail(CheckPublicLog, "%s: %v", what, err)
		return
	}
	t, err := signedTarget(got, b)
	if err != nil {
		return // the metadata check says so
	}
	md, err := decodeMetadata(v.docs[b.Metadata].data, b.Metadata)
	if err != nil {
		return // it verified before
	}
	leaf, err := publiclog.LeafOf(md.List, t)
	if err != nil {
		v.fail(CheckPublicLog, "%s: %v", what, err)
		return
	}
	shown, err := p.Verify(publiclog.Expect{Leaf: leaf, Log: key, Before: at.Head, Policy: v.trust.Cluster.LogPolicy()})
	if err != nil {
		v.fail(CheckPublicLog, "%s: %v", what, err)
		return
	}
	if _, err := v.trust.LogPolicy().Check(shown.Checkpoint); err != nil {
		v.fail(CheckPublicLog, "%s: the log was not seen by the witnesses that your trust file asks for: %v", what, err)
	}
	if at.Head.Size > 0 && at.Head.Log != key {
		v.note("leaf %d, %s: hotline %s has a new key of its public log under a new charter; that the log goes on under it, only the log itself shows (publiclog)", l.N, stamp(l.T), b.Hotline)
	}
	at.Head = shown.Head
	v.logged = append(v.logged, Logged{Operator: l.N, Leaf: leaf, Index: shown.Index, Head: shown.Head})
}

func (v *verifier) endPublicLog() {
	t := v.h.Tally
	v.pass(CheckPublicLog, "%d of %d versions are in their hotlines' public logs, each of which only ever grew", t.Logged, t.Versions)
}

// openPublicLog is what an edge checks of the proof in a publish leaf.
func openPublicLog(got *trust.Verified, p Publish, list []byte, t trust.ListTarget) error {
	if got.Charter.Log == "" {
		return nil
	}
	proof, err := publiclog.DecodeProof(p.PublicProof)
	if err != nil {
		return fmt.Errorf("%w: %w", publiclog.ErrProof, err)
	}
	leaf, err := publiclog.LeafOf(list, t)
	if err != nil {
		return err
	}
	_, err = proof.Included(leaf, got.Charter.Log)
	return err
}

// checkPublicProof bounds what a publish leaf may carry as a proof.
func checkPublicProof(b []byte) error {
	if len(b) > publiclog.MaxProof {
		return fmt.Errorf("proof of a public log of %d bytes, at most %d: %w", len(b), publiclog.MaxProof, ErrTooLarge)
	}
	return nil
}

// sayLogged tells in words that a version came with a proof.
func sayLogged(p Publish) string {
	if len(p.PublicProof) == 0 {
		return ""
	}
	v, err := publiclog.HeadOf(p.PublicProof)
	if err != nil {
		return "; a proof of a public log that cannot be read"
	}
	return fmt.Sprintf("; leaf %d of the hotline's public log, size %d", v.Index, v.Size)
}
