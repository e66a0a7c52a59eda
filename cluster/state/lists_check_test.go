package state_test

import (
	"bytes"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/match"
)

// check holds the replicas to one another and to the model.
func (m *lists) check() {
	views := make([]*state.View, len(m.replicas))
	for i, s := range m.replicas {
		views[i] = s.View()
		if views[i].Root != views[0].Root || views[i].InForce.Hash() != views[0].InForce.Hash() || views[i].Size != views[0].Size {
			m.rt.Fatalf("replica %d: size %d root %x in force %x; replica 0: %d %x %x", i, views[i].Size, views[i].Root[:4], views[i].InForce.Hash(), views[0].Size, views[0].Root[:4], views[0].InForce.Hash())
		}
	}
	if a, b := bytesOf(m.t, m.replicas[0]), bytesOf(m.t, m.replicas[1]); !bytes.Equal(a, b) {
		m.rt.Fatalf("snapshots of two replicas differ")
	}
	if len(views[0].InForce.Lists) == 0 {
		return
	}
	var first match.StateID
	for i, v := range views {
		set := m.set(v.InForce, i == 2)
		if i == 0 {
			first = set.StateID()
		} else if set.StateID() != first {
			m.rt.Fatalf("replica %d: state %v, replica 0: %v", i, set.StateID(), first)
		}
		m.ask(set)
	}
	want, err := views[0].InForce.StateID(func(l audit.InForceList) ([32]byte, error) { return m.byEdge[l.Edge].member.Index.Hash(), nil })
	m.must(err)
	if want != first {
		m.rt.Fatalf("an edge signs state %v, an auditor computes %v", first, want)
	}
	var exempt audit.Exemption
	if e := views[0].InForce.Exempt; e != nil && e.Until >= m.now {
		exempt = *e
		exempt.Number = 0 // the model counts none
	}
	if said := m.model.exempt; said.Until < m.now && exempt != (audit.Exemption{}) || said.Until >= m.now && exempt != said {
		m.rt.Fatalf("exempt is %+v, want %+v", exempt, said)
	}
	if l, _ := views[0].InForce.List(listMain); l.High() != m.model.versions[len(m.model.versions)-1].seq {
		m.rt.Fatalf("mark at version %d, want %d", l.High(), m.model.versions[len(m.model.versions)-1].seq)
	}
}

// set is what an edge serves with this in force, from whole files or through deltas.
func (m *lists) set(f audit.InForce, delta bool) *match.Set {
	var members []match.Member
	for _, l := range f.Lists {
		made := m.byEdge[l.Edge]
		if made == nil {
			m.rt.Fatalf("edge list %x is in force, and nobody published it", l.Edge[:4])
		}
		if delta {
			members = append(members, made.delta)
		} else {
			members = append(members, made.member)
		}
	}
	set, err := match.NewSet(members, f.Overlay())
	m.must(err)
	return set.WithBypass(uint32(f.Bypass))
}

// ask asks for every name, now and a little later than anything lasts.
func (m *lists) ask(set *match.Set) {
	for _, at := range []int64{m.now, m.now + 10000} {
		for i := 1; i <= modelNames; i++ {
			if got, want := set.Name([]byte("www."+listtest.Name(i)), uint32(at)).Listed, m.model.stops(i, at); got != want {
				m.rt.Fatalf("name %d, %d s from now: stopped %v, want %v; model %+v", i, at-m.now, got, want, m.model)
			}
		}
	}
}
