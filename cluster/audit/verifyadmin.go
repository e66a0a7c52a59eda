package audit

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
)

// CheckAdmin: appeals and decisions are a register without a gap, builds are signed by the nodes they are of, and, where the auditor has given
// digests, are of programs that the auditor knows.
const CheckAdmin = "register"

// lookAdmin follows the register.
func (v *verifier) lookAdmin(m *moment) {
	a, ok := m.body.(Admin)
	if !ok {
		return
	}
	next, err := v.h.Register.Apply(&v.trust.Cluster, v.cluster, v.memberKey, m.leaf, a)
	if err != nil {
		v.fail(CheckAdmin, "leaf %d, %s: %v", m.leaf.N, m.leaf.Describe(), err)
		return
	}
	v.h.Register = next
	said, ok := a.Said.(Builds)
	if !ok {
		return
	}
	for _, item := range said.Items {
		if b, err := item.Build(); err == nil {
			v.unknownBuild(m.leaf.N, b)
		}
	}
}

// unknownBuild fails for a program that the auditor does not know, once.
func (v *verifier) unknownBuild(leaf uint64, b Build) {
	if v.o.Builds == nil || v.o.Builds[b.Digest] {
		return
	}
	cause := fmt.Sprintf("leaf %d: %s, which is none of the %d that you know", leaf, b, len(v.o.Builds))
	if !slices.Contains(v.check(CheckAdmin).Causes, Escape(cause)) {
		v.fail(CheckAdmin, "%s", cause)
	}
}

// memberKey is the key of a control node or an edge before the present leaf.
func (v *verifier) memberKey(role, name string) ed25519.PublicKey {
	if role == RoleEdge {
		if i, ok := v.h.edge(name); ok {
			return v.h.Edges[i].Key[:]
		}
		return nil
	}
	if i := slices.IndexFunc(v.h.Members, func(m MemberKey) bool { return m.Name == name }); i >= 0 {
		return v.h.Members[i].Key
	}
	return nil
}

// endAdmin says how the register stands at the log's end.
func (v *verifier) endAdmin() {
	r := v.h.Register
	late := r.Overdue(v.h.Time)
	for i, a := range late {
		if i == maxNamed {
			v.note("and %d more appeals are overdue", len(late)-i)
			break
		}
		v.note("appeal %s is not decided; it was due %s", a.Ref, stamp(a.Due))
	}
	for _, b := range v.running() { // also those of leaves that an earlier visit has seen, perhaps with other builds in hand
		v.unknownBuild(b.Leaf, b.Build)
	}
	silent := v.silent()
	for i, who := range silent {
		if v.o.Builds == nil {
			break
		}
		if i == maxNamed {
			v.fail(CheckAdmin, "and %d more", len(silent)-i)
			break
		}
		v.fail(CheckAdmin, "%s has not said which program it runs", who)
	}
	if v.o.Builds == nil {
		v.noteBuilds(silent)
	}
	v.pass(CheckAdmin, "%d appeals, %d of them open and %d overdue; programs of %d nodes, %d have said nothing",
		r.Count, r.Open, len(late), len(v.running()), len(silent))
}

// maxNamed is how many of a kind are named one by one.
const maxNamed = 10

// running are the last builds of those who are members now.
func (v *verifier) running() []BuildState {
	var out []BuildState
	for _, b := range v.h.Register.Builds {
		if v.memberKey(b.Role, b.Name) != nil {
			out = append(out, b)
		}
	}
	return out
}

// silent are the members that have said nothing of their program.
func (v *verifier) silent() []string {
	var out []string
	for _, m := range v.h.Members {
		if _, ok := v.h.Register.Build(RoleControl, m.Name); !ok {
			out = append(out, "control node "+m.Name)
		}
	}
	for _, e := range v.h.Edges {
		if _, ok := v.h.Register.Build(RoleEdge, e.Name); !ok {
			out = append(out, "edge "+e.Name)
		}
	}
	return out
}

// noteBuilds names the programs that run, by digest, so that an auditor can compare them with one built from source.
func (v *verifier) noteBuilds(silent []string) {
	type kind struct {
		program, version string
		digest           [32]byte
	}
	var kinds []kind
	names := map[kind][]string{}
	for _, b := range v.running() {
		k := kind{b.Program, b.Version, b.Digest}
		if names[k] == nil {
			kinds = append(kinds, k)
		}
		names[k] = append(names[k], b.Name)
	}
	for _, k := range kinds {
		v.note("%s say%s: program %s %s, SHA-256 %x (from source? see --builds)", namesOf(names[k]), plural(len(names[k])), k.program, k.version, k.digest)
	}
	if len(kinds) > 0 && len(silent) > 0 {
		v.note("%s: not said which program", namesOf(silent))
	}
}

func namesOf(names []string) string {
	if len(names) > maxNamed {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
	}
	return strings.Join(names, ", ")
}

func plural(n int) string {
	if n == 1 {
		return "s"
	}
	return ""
}
