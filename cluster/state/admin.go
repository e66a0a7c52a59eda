package state

import (
	"crypto/ed25519"
	"crypto/sha256"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
)

// admin records what people and machines of the operator state about their own work, as far as it fits the register. Of builds, those that
// are good enter and the others do not; what a node has said before is a duplicate.
func (s *State) admin(t int64, c command.Admin) Result {
	no := func(reason, detail string) Result {
		return s.reject(t, audit.Reject{Object: sha256.Sum256(encode(c)), Stage: "apply", Reason: reason, Detail: detail})
	}
	a, err := audit.DecodeAdmin(c.Act, c.By, c.Node, c.D)
	if err != nil || !s.known(c.Node) {
		return no(ReasonCommand, "act of no member, or not in its form")
	}
	if b, ok := a.Said.(audit.Builds); ok {
		good, same := s.register.Accept(s.id, s.keys, t, b.Items)
		if len(good) == 0 && same {
			return Result{Duplicate: true}
		}
		if len(good) == 0 {
			return no(ReasonAdmin, "no build of a member that is newer than its last one")
		}
		a = audit.NewAdmin("", a.Node, audit.Builds{Items: good})
	}
	if s.register.Says(a.Said) {
		return Result{Duplicate: true}
	}
	res, err := s.append(t, a)
	if err != nil {
		return no(leafReason(err), string(a.Act))
	}
	return res
}

// keys finds who signs under a name now.
func (s *State) keys(role, name string) ed25519.PublicKey {
	switch role {
	case audit.RoleControl:
		if key, ok := s.quorum.Member(name); ok {
			return key
		}
	case audit.RoleEdge:
		if i, ok := s.edge(name); ok {
			return s.edges[i].Key
		}
	}
	return nil
}
