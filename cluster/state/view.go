package state

import (
	"cmp"
	"crypto/ed25519"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// View is one moment of a State: immutable, shared by all readers. Slices and
// what they point to must not be changed.
type View struct {
	Cluster  *audit.Cluster
	Size     uint64   // leaves in the log
	Root     [32]byte // tree root at Size
	Time     int64    // cluster time, unix seconds
	InForce  audit.InForce
	Hotlines []Hotline      // by id
	Edges    []Edge         // enrolled, by name
	Refused  uint64         // refusals met, logged or not
	Refusals []Refused      // last 16 in the log, newest first
	Orders   audit.Orders   // what the operator's officers and brakes have decided
	Register audit.Register // appeals, and which programs nodes say they run
	Filled   int            // percent of the log's room that are used; see ReceiptsUntil
	Halted   error          // command.ErrUnknown or ErrDiverged, wrapped, once the replica has stopped; else nil

	id      string
	tree    *audit.Tree
	archive *archive
}

// Hotline is what the cluster has accepted of one hotline.
type Hotline struct {
	ID          trust.HotlineID
	Roots       trust.Roots     // from the pin of the cluster file, or of officers, to the newest accepted
	High        trust.HighWater // nothing below it is accepted
	Metadata    [32]byte        // hash of the newest accepted metadata; zero before the first
	Verified    *trust.Verified // of it; nil before the first
	Withdrawals []WithdrawMark  // by list
	Forked      []string        // logs of its charters that have signed two histories: nothing new is taken from them
	PublicLog   publiclog.Head  // at the last version accepted with a proof; zero before the first

	opened map[[32]byte]int64
}

// WithdrawMark is the last withdrawal accepted for a list, and those of it
// that lack a signature.
type WithdrawMark struct {
	List   match.ListID
	Number uint64
	At     int64  // time of its leaf
	Owed   []Owed // by number
}

// Owed is a withdrawal that lacks its second officer's signature.
type Owed struct {
	Number  uint64
	Entries int
	At      int64 // time of its leaf
}

// Edge is an enrolled edge.
type Edge struct {
	Name      string
	Key       []byte
	Recipient string
	Since     int64
	Counter   uint64               // of its last accepted receipt
	Size      uint64               // of the log that one was about
	Receipt   *audit.SignedReceipt // the last accepted one, nil before
}

// Refused is one refusal in the log.
type Refused struct {
	Leaf    uint64
	Time    int64
	Hotline trust.HotlineID
	List    match.ListID
	Seq     uint64
	Stage   string
	Reason  string
	Detail  string
	Node    string
}

// publishView makes what Apply has done visible at once.
func (s *State) publishView() {
	size, root := s.tree.Head()
	v := &View{
		Cluster: &s.cluster, Size: size, Root: root, Time: s.time, InForce: s.inForce,
		Edges: s.edges, Refused: s.refused, Refusals: s.refusals, Filled: s.filled(), Halted: s.halted,
		Orders: s.orders, Register: s.register,
		id: s.id, tree: s.tree, archive: s.archive,
	}
	for _, h := range s.hotlines {
		w := Hotline{ID: h.id, Roots: h.roots, High: h.high, Metadata: h.last.metadata, Verified: h.verified, PublicLog: h.publicLog, Forked: h.forked, opened: h.opened}
		for _, b := range h.withdrawals {
			m := WithdrawMark{List: b.list, Number: b.number, At: b.at}
			for _, o := range b.owed {
				m.Owed = append(m.Owed, Owed{Number: o.number, Entries: o.entries, At: o.at})
			}
			w.Withdrawals = append(w.Withdrawals, m)
		}
		v.Hotlines = append(v.Hotlines, w)
	}
	s.published.Store(v)
}

// ClusterID is the cluster's id.
func (v *View) ClusterID() string { return v.id }

// Tree is the log itself. It may have grown beyond Size; its first Size
// leaves are the view's.
func (v *View) Tree() *audit.Tree { return v.tree }

// Metadata is accepted metadata by the hash that leaves name, encoded;
// ErrNotFound when it was never accepted.
func (v *View) Metadata(hash [32]byte) ([]byte, error) {
	m, err := v.archive.get(hash)
	if err != nil {
		return nil, err
	}
	return m.Encode()
}

// Roots is a hotline's chain of roots; the zero value for a stranger.
func (v *View) Roots(id trust.HotlineID) trust.Roots {
	h, _ := v.Hotline(id)
	return h.Roots
}

// Hotline finds a hotline of the cluster file, or one that was pinned since.
func (v *View) Hotline(id trust.HotlineID) (Hotline, bool) {
	for _, h := range v.Hotlines {
		if h.ID == id {
			return h, true
		}
	}
	return Hotline{}, false
}

// Approved is the officers' word that this very version, which a brake holds back, may come into force, while it is in its time by the
// cluster's clock: a verdict passes the entries and brakes that it names, against the never-block list that it names, and nothing else.
func (v *View) Approved(list match.ListID, seq uint64, edge [32]byte) (audit.Approval, bool) {
	return v.Orders.Approved(list, seq, edge, v.Time)
}

// Edge finds an enrolled edge.
func (v *View) Edge(name string) (Edge, bool) {
	i, ok := findEdge(v.Edges, name)
	if !ok {
		return Edge{}, false
	}
	return v.Edges[i], true
}

// Publish is the leaf that brought a list's version in force, and its time.
func (v *View) Publish(list match.ListID) (audit.Publish, time.Time, bool) {
	l, ok := v.InForce.List(list)
	if !ok {
		return audit.Publish{}, time.Time{}, false
	}
	b, err := v.tree.Leaf(l.Leaf)
	if err != nil {
		return audit.Publish{}, time.Time{}, false
	}
	leaf, err := audit.DecodeLeaf(b)
	if err != nil {
		return audit.Publish{}, time.Time{}, false
	}
	body, err := leaf.Body()
	if err != nil {
		return audit.Publish{}, time.Time{}, false
	}
	p, ok := body.(audit.Publish)
	return p, time.Unix(leaf.T, 0).UTC(), ok
}

// Key is the key that a control node or an enrolled edge signs with now; nil for a stranger.
func (v *View) Key(role, name string) ed25519.PublicKey {
	switch role {
	case audit.RoleControl:
		for _, m := range v.Cluster.Members {
			if m.Name == name {
				return m.Key
			}
		}
	case audit.RoleEdge:
		if e, ok := v.Edge(name); ok {
			return e.Key
		}
	}
	return nil
}

// CheckReceipt says whether a receipt would be accepted in this state; see
// State.CheckReceipt. A receipt that is the edge's last one again is an error
// that Repeated knows.
func (v *View) CheckReceipt(item audit.SignedReceipt) (audit.Receipt, error) {
	if v.Filled >= ReceiptsUntil {
		return audit.Receipt{}, errFull
	}
	return checkReceipt(v.id, v.Edges, v.tree, v.Size, item)
}

func findEdge(edges []Edge, name string) (int, bool) {
	return slices.BinarySearchFunc(edges, name, func(e Edge, n string) int { return cmp.Compare(e.Name, n) })
}
