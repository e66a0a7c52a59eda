package state

import (
	"errors"
	"slices"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// refusal records what a member refused before it was proposed.
func (s *State) refusal(t int64, c command.Reject) Result {
	if !s.known(c.Node) || (c.Stage != "fetch" && c.Stage != "stage") || c.Reason == audit.ReasonSuperseded {
		s.refused++
		return Result{Err: &Refusal{Reason: ReasonCommand, Detail: "refusal of no member or stage, or with a reason that is not a member's to give"}}
	}
	r := audit.Reject{
		Hotline: trust.HotlineID(c.Hotline), List: c.List, Seq: c.Seq, Object: [32]byte(c.Object),
		Stage: c.Stage, Reason: c.Reason, Detail: c.Detail, Node: c.Node, Verdicts: s.said(c.List, c.Seq, c.Verdicts),
	}
	res := s.reject(t, r)
	var refused *Refusal
	if errors.As(res.Err, &refused) && refused.Reason == c.Reason {
		res.Err = nil // the command did what it was for
	}
	return res
}

// said picks one verdict a member on this version, in the members' order: what else came along is nobody's word, and would let one member
// fill the log with it.
func (s *State) said(list match.ListID, seq uint64, verdicts []audit.SignedVerdict) []audit.SignedVerdict {
	var out []audit.SignedVerdict
	for _, m := range s.quorum.Members {
		for _, signed := range verdicts {
			v, err := signed.Verdict()
			if err != nil || v.Node != m.Name || v.Cluster != s.id || v.List != list || v.Seq != seq {
				continue
			}
			if _, err := audit.VerifyVerdict(signed, m.Key); err == nil {
				out = append(out, signed)
				break
			}
		}
	}
	return out
}

// reject appends the leaf of a refusal and returns it as the command's result.
// The same object refused for the same reason, or one more than a day's bound,
// is counted and not logged again. The detail of a refusal made here is fixed
// text: the wording of other packages' errors is no part of what replicas
// agree on.
func (s *State) reject(t int64, r audit.Reject) Result {
	s.refused++
	res := Result{Err: &Refusal{Reason: r.Reason, Detail: r.Detail}}
	if _, again := s.rejected[rejection{r.Object, r.Reason}]; again {
		res.Duplicate = true
		return res
	}
	if s.rejects.add(t, 0).n >= maxRejects {
		return res
	}
	logged, err := s.append(t, r)
	if err != nil {
		return res // log full, or text that no leaf takes: counted
	}
	logged.Err = res.Err
	return logged
}

func (s *State) enterReject(leaf audit.Leaf, r audit.Reject) {
	s.rejected[rejection{r.Object, r.Reason}] = struct{}{}
	s.rejects = s.rejects.add(leaf.T, 1)
	kept := slices.Clone(s.refusals[:min(len(s.refusals), keptRefusals-1)])
	s.refusals = slices.Insert(kept, 0, Refused{
		Leaf: leaf.N, Time: leaf.T, Hotline: r.Hotline, List: r.List, Seq: r.Seq,
		Reason: r.Reason, Stage: r.Stage, Detail: r.Detail, Node: r.Node,
	})
}
