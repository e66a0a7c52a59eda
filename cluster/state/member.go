package state

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/resolver/match"
)

// member enrols or removes an edge. Control nodes do not change in this
// version: their keys are the cluster's identity.
func (s *State) member(t int64, c command.Member) Result {
	no := func(reason, detail string) Result {
		return s.reject(t, audit.Reject{
			Object: sha256.Sum256(encode(c)), Stage: "apply", Reason: reason, Detail: detail,
		})
	}
	if c.Role != audit.RoleEdge {
		return no(ReasonMember, "only edges are enrolled or removed")
	}
	leaf := audit.Member{Action: c.Action, Role: c.Role, Name: c.Name, By: c.By}
	i, enrolled := s.edge(c.Name)
	switch c.Action {
	case audit.ActionAdd:
		if len(c.Key) != 32 || bytes.Equal(c.Key, make([]byte, 32)) {
			return no(ReasonMember, "no key")
		}
		if enrolled {
			if e := s.edges[i]; bytes.Equal(e.Key, c.Key) && e.Recipient == c.Recipient {
				return Result{Duplicate: true}
			}
			return no(ReasonMember, "the name is taken; remove it first")
		}
		if s.keyTaken(c.Key) {
			return no(ReasonMember, "the key is another node's")
		}
		if len(s.edges) >= audit.MaxEdges {
			return no(ReasonLimit, "")
		}
		leaf.Key, leaf.Recipient = [32]byte(c.Key), c.Recipient
	case audit.ActionDrop:
		if !enrolled {
			return Result{Duplicate: true}
		}
		leaf.Key, leaf.Recipient = [32]byte(s.edges[i].Key), s.edges[i].Recipient
	default:
		return no(ReasonMember, "unknown action")
	}
	res, err := s.append(t, leaf)
	if err != nil {
		return no(leafReason(err), "")
	}
	return res
}

// keyTaken reports whether a member or an enrolled edge signs with this key.
func (s *State) keyTaken(key []byte) bool {
	for _, m := range s.quorum.Members {
		if bytes.Equal(m.Key, key) {
			return true
		}
	}
	for _, o := range s.cluster.Officers {
		if bytes.Equal(o.Key, key) {
			return true
		}
	}
	return slices.ContainsFunc(s.edges, func(e Edge) bool { return bytes.Equal(e.Key, key) })
}

// retired is an edge with one of the keys that it has had.
type retired struct {
	name string
	key  [32]byte
}

func (s *State) enterMember(t int64, m audit.Member) {
	if m.Role != audit.RoleEdge {
		return
	}
	i, enrolled := s.edge(m.Name)
	switch {
	case m.Action == audit.ActionAdd && !enrolled:
		e := Edge{Name: m.Name, Key: bytes.Clone(m.Key[:]), Recipient: m.Recipient, Since: t}
		// An edge that comes back with its old key goes on counting: its old
		// receipts stay old.
		if old, ok := s.retired[retired{m.Name, m.Key}]; ok {
			e.Counter, e.Size, e.Receipt = old.Counter, old.Size, old.Receipt
		}
		s.edges = slices.Insert(slices.Clone(s.edges), i, e)
	case m.Action == audit.ActionDrop && enrolled:
		s.retired[retired{m.Name, [32]byte(s.edges[i].Key)}] = s.edges[i]
		s.edges = slices.Delete(slices.Clone(s.edges), i, i+1)
	}
}

// edge finds an enrolled edge by name.
func (s *State) edge(name string) (int, bool) {
	return findEdge(s.edges, name)
}

func sortHotlines(h []*hotline) {
	slices.SortFunc(h, func(a, b *hotline) int { return cmp.Compare(a.id, b.id) })
}

func compareList(a, b match.ListID) int { return cmp.Compare(a, b) }
