package api

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/resolver/match"
)

func (s *Server) status(w http.ResponseWriter, _ *http.Request, _ caller) error {
	view := s.node.View()
	st := Status{Node: s.node.Status(), Keys: s.own, Edges: []EdgeStatus{}, Hotlines: s.follows()}
	enrolled := func(edge string) bool { _, ok := view.Edge(edge); return ok }
	s.cares.keep(enrolled)
	s.recursions.keep(enrolled)
	s.guards.keep(enrolled)
	s.encrypteds.keep(enrolled)
	s.traffics.keep(enrolled)
	if s.witness != nil {
		st.Witness = s.witness.Status()
	}
	st.Programs, st.Appeals = programs(view), countAppeals(view, s.clock())
	st.Lookups = s.lookups.today(s.clock())
	st.Withdrawals, st.Owed = []Withdrawal{}, []Owed{}
	for _, r := range view.InForce.Overlay() {
		switch r.Kind {
		case match.RemovalWithdraw:
			st.Removals++
		case match.RemovalReturn:
			st.LeftOut++
		}
	}
	for _, h := range view.Hotlines {
		for _, w := range h.Withdrawals {
			st.Withdrawals = append(st.Withdrawals, Withdrawal{List: w.List, Number: w.Number, At: time.Unix(w.At, 0).UTC()})
			for _, o := range w.Owed {
				st.Owed = append(st.Owed, Owed{List: w.List, Number: o.Number, Entries: o.Entries, At: time.Unix(o.At, 0).UTC()})
			}
		}
	}
	changed := lastChange(view)
	for _, e := range view.Edges {
		st.Edges = append(st.Edges, s.edgeStatus(view, e, changed))
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(st)
}

func (s *Server) edgeStatus(view *state.View, e state.Edge, changed time.Time) EdgeStatus {
	es := EdgeStatus{Name: e.Name, Since: time.Unix(e.Since, 0).UTC(), Counter: e.Counter, Keys: s.cares.get(e.Name), Recursion: s.recursions.get(e.Name), Guard: s.guards.get(e.Name), Encrypted: s.encrypteds.get(e.Name), Traffic: s.traffics.get(e.Name)}
	if e.Receipt != nil {
		if r, err := e.Receipt.Receipt(); err == nil {
			es.State, es.At = hex.EncodeToString(r.State[:]), time.Unix(r.Time, 0).UTC()
			now := view.InForce.Hash()
			es.Current = inForceAt(view, r.Size) == now
			es.Beyond = len(r.Direct)
			switch want, known := s.expects(now, r.Direct); {
			case !es.Current:
			case known && r.State != want:
				es.Current, es.Foreign = false, true
			case !known && es.Beyond > 0: // withdrawals that this node has not seen
				es.Current = false
			}
		}
	}
	if !es.Current && len(view.InForce.Lists) > 0 {
		es.Behind = changed
		if es.Since.After(changed) {
			es.Behind = es.Since
		}
	}
	return es
}

// inForceAt is the digest of what was in force when the log had size leaves; zero when it cannot be said.
func inForceAt(view *state.View, size uint64) [32]byte {
	leaf, ok := leafAt(view, size)
	if !ok {
		return [32]byte{}
	}
	return leaf.F
}

// maxWalk bounds the search for the last change: receipts are most of the leaves since.
const maxWalk = 4096

// lastChange is when what is in force came to be so, or a time somewhat later in a log that went on long since.
func lastChange(view *state.View) time.Time {
	now := view.InForce.Hash()
	at := time.Unix(view.Time, 0)
	for size := view.Size; size > 0 && view.Size-size < maxWalk; size-- {
		leaf, ok := leafAt(view, size)
		if !ok || leaf.F != now {
			break
		}
		at = time.Unix(leaf.T, 0)
	}
	return at.UTC()
}

// leafAt is the last of the first size leaves.
func leafAt(view *state.View, size uint64) (audit.Leaf, bool) {
	if size == 0 {
		return audit.Leaf{}, false
	}
	b, err := view.Tree().Leaf(size - 1)
	if err != nil {
		return audit.Leaf{}, false
	}
	leaf, err := audit.DecodeLeaf(b)
	return leaf, err == nil
}
