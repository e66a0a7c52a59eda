package state

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// publish verifies the whole chain again, whatever the proposer says it did.
func (s *State) publish(t int64, c command.Publish) Result {
	refuse := audit.Reject{
		Hotline: trust.HotlineID(c.List.Hotline()), List: c.List, Object: sha256.Sum256(c.Metadata), Stage: "apply",
	}
	no := func(reason string) Result {
		refuse.Reason = reason
		return s.reject(t, refuse)
	}
	if _, err := match.ParseListID(string(c.List)); err != nil {
		return no(ReasonUnknownList)
	}
	h := s.hotline(refuse.Hotline)
	if h == nil {
		return no(ReasonUnknownHotline)
	}
	m, err := trust.DecodeMetadata(c.Metadata)
	if err != nil {
		return no(trust.Reason(err))
	}
	v, roots, reason := s.verify(h, m, t)
	if reason != "" {
		return no(reason)
	}
	i := slices.IndexFunc(v.Lists, func(l trust.ListTarget) bool { return l.List == c.List })
	if i < 0 {
		return no(ReasonUnknownList)
	}
	target, hash := v.Lists[i], m.Hash()
	refuse.Seq = target.Seq

	// The newest version counts, also when the operator went back from it.
	if cur, ok := s.inForce.List(c.List); ok && cur.High() == target.Seq {
		newest, err := s.publishAt(cur.Versions[len(cur.Versions)-1].Leaf)
		if err != nil || newest.Edge != target.Edge.SHA256 || newest.Audit != target.Audit.SHA256 || newest.Epoch != target.Epoch {
			return no(ReasonEquivocation)
		}
		return s.renew(t, h, m, v, roots, refuse)
	} else if ok && (target.Seq < cur.High() || target.Prev < cur.High()) {
		return no(ReasonSequence)
	}
	if before, ok := s.newestEpoch(c.List); ok && target.Epoch < before {
		return no(ReasonSequence)
	}
	if h.closed(v.Charter.Log) {
		return no(ReasonForked)
	}
	if _, err := publicLog(&s.cluster, v.Charter.Log, h.publicLog, m, target, c.PublicProof); err != nil {
		return s.notLogged(t, err, refuse)
	}
	leaf := audit.NewPublish(v, target, hash, nil)
	leaf.PublicProof = c.PublicProof
	if reason := s.agree(&leaf, c.Verdicts); reason != "" {
		return no(reason)
	}
	if err := s.orders.MayPublish(leaf, t); err != nil {
		return no(leafReason(err))
	}
	if s.behindHold(leaf) {
		return no(ReasonHeld)
	}
	if err := s.sayThatKeysAreNew(t, target); err != nil {
		return no(leafReason(err))
	}
	if err := s.sayWhatWasSkipped(t, leaf); err != nil {
		return no(leafReason(err))
	}
	res, err := s.append(t, leaf)
	if err != nil {
		return no(leafReason(err))
	}
	s.accept(h, m, v, roots, t)
	return res
}

// publishAt is the publication that a leaf records.
func (s *State) publishAt(n uint64) (audit.Publish, error) {
	b, err := s.tree.Leaf(n)
	if err != nil {
		return audit.Publish{}, err
	}
	leaf, err := audit.DecodeLeaf(b)
	if err != nil {
		return audit.Publish{}, err
	}
	body, err := leaf.Body()
	if err != nil {
		return audit.Publish{}, err
	}
	p, ok := body.(audit.Publish)
	if !ok {
		return audit.Publish{}, fmt.Errorf("leaf %d publishes nothing: %w", n, ErrNotFound)
	}
	return p, nil
}

// sayWhatWasSkipped puts on record that versions between the one in force and
// this one never came into force here: refused, or published during an outage.
// An auditor takes a gap without that record for a hidden version.
func (s *State) sayWhatWasSkipped(t int64, p audit.Publish) error {
	cur, ok := s.inForce.List(p.List)
	if !ok || p.Prev == cur.High() {
		return nil
	}
	s.refused++
	_, err := s.append(t, audit.Reject{
		Hotline: p.Hotline, List: p.List, Seq: p.Prev, Object: p.Edge, Stage: "apply", Reason: audit.ReasonSuperseded,
		Detail: fmt.Sprintf("after version %d, up to version %d: never in force here", cur.High(), p.Prev),
	})
	return err
}

// renew takes newer metadata for a list version that is already in force.
func (s *State) renew(t int64, h *hotline, m trust.Metadata, v *trust.Verified, roots trust.Roots, refuse audit.Reject) Result {
	if m.Hash() == h.last.metadata || !newer(v.High, h.high) {
		return Result{Duplicate: true}
	}
	if h.renewals.add(t, 0).n >= maxRenewals {
		refuse.Reason = ReasonLimit
		return s.reject(t, refuse)
	}
	res, err := s.append(t, audit.Trust{
		Hotline: h.id, Root: sha256.Sum256(v.Root), Versions: audit.VersionsOf(v.High), Metadata: m.Hash(),
	})
	if err != nil {
		refuse.Reason = leafReason(err)
		return s.reject(t, refuse)
	}
	s.accept(h, m, v, roots, t)
	return res
}

// accept makes verified metadata the hotline's newest.
func (s *State) accept(h *hotline, m trust.Metadata, v *trust.Verified, roots trust.Roots, t int64) {
	s.archive.add(m)
	h.roots = roots
	h.high, h.verified, h.metadata = v.High, v, m
	h.last = accepted{metadata: m.Hash(), at: t}
}

// verify checks metadata against what was accepted before: from the newest
// accepted root on, so that retired root keys are worth nothing and no number
// of rotations needs a new pin; signatures, time and high water by
// trust.Verify; here that no version number has come with two contents.
func (s *State) verify(h *hotline, m trust.Metadata, t int64) (*trust.Verified, trust.Roots, string) {
	no := func(reason string) (*trust.Verified, trust.Roots, string) { return nil, trust.Roots{}, reason }
	v, err := trust.Verify(h.roots.Newest(), h.high, m, time.Unix(t, 0).UTC())
	if err != nil {
		return no(trust.Reason(err))
	}
	roots, err := h.roots.Follow(m.Roots)
	if err != nil {
		return no(trust.Reason(err))
	}
	if v.Hotline != h.id {
		return no(ReasonUnknownHotline)
	}
	if v.Development && !s.cluster.Development {
		return no(trust.Reason(trust.ErrDevelopment))
	}
	if h.verified != nil && equivocates(h, m, v) {
		return no(ReasonEquivocation)
	}
	return v, roots, ""
}

func equivocates(h *hotline, m trust.Metadata, v *trust.Verified) bool {
	for _, r := range []struct {
		was, is   int64
		old, mine []byte
		online    bool // its versions count anew with new keys
	}{
		{h.high.Timestamp, v.High.Timestamp, h.metadata.Timestamp, m.Timestamp, true},
		{h.high.Snapshot, v.High.Snapshot, h.metadata.Snapshot, m.Snapshot, true},
		{h.high.Targets, v.High.Targets, h.metadata.Targets, m.Targets, false},
		{h.high.List, v.High.List, h.metadata.List, m.List, false},
	} {
		if r.was == r.is && !bytes.Equal(r.old, r.mine) && !(v.Restarted && r.online) {
			return true
		}
	}
	return false
}

func newer(a, b trust.HighWater) bool {
	return a.Root > b.Root || a.Timestamp > b.Timestamp || a.Snapshot > b.Snapshot || a.Targets > b.Targets || a.List > b.List
}

// agree puts into the leaf the index that a quorum of members compiled, and their verdicts. It gives the reason when there is no quorum.
func (s *State) agree(p *audit.Publish, verdicts []audit.SignedVerdict) string {
	admitted := slices.DeleteFunc(slices.Clone(verdicts), func(v audit.SignedVerdict) bool {
		said, err := v.Verdict()
		return err != nil || !s.orders.Admits(said)
	})
	var ok bool
	if p.Index, ok = audit.Agreed(admitted, s.id, s.quorum.Members, *p, s.quorum.Need); ok {
		p.Verdicts = s.approvals(admitted, *p)
		return ""
	}
	by := make(map[string]bool) // who approves the files, whatever index it compiled
	for _, v := range admitted {
		said, _ := v.Verdict()
		p.Index = said.Index
		for _, name := range audit.Approvals([]audit.SignedVerdict{v}, s.id, s.quorum.Members, *p) {
			by[name] = true
		}
	}
	if len(by) >= s.quorum.Need {
		return ReasonIndex
	}
	return ReasonVerdicts
}

// approvals picks one approving verdict a member, in the members' order; what
// else came along does not enter the log.
func (s *State) approvals(verdicts []audit.SignedVerdict, p audit.Publish) []audit.SignedVerdict {
	var out []audit.SignedVerdict
	for _, m := range s.quorum.Members {
		for _, v := range verdicts {
			if said, err := v.Verdict(); err != nil || !s.orders.Admits(said) {
				continue
			}
			if len(audit.Approvals([]audit.SignedVerdict{v}, s.id, []audit.MemberKey{m}, p)) == 1 {
				out = append(out, v)
				break
			}
		}
	}
	return out
}

// leafReason is the stable word for a leaf that could not be appended.
func leafReason(err error) string {
	var r *Refusal
	switch {
	case errors.As(err, &r):
		return r.Reason
	case isOrderError(err):
		return audit.OrderReason(err)
	case errors.Is(err, audit.ErrRollback):
		return ReasonSequence
	case errors.Is(err, audit.ErrAdmin):
		return ReasonAdmin
	case errors.Is(err, audit.ErrSignature):
		return trust.Reason(trust.ErrSignature)
	case errors.Is(err, audit.ErrTooLarge):
		return trust.Reason(trust.ErrTooLarge)
	}
	return trust.Reason(trust.ErrFormat)
}
