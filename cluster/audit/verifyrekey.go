package audit

import (
	"slices"
	"time"

	"github.com/cordon-project/cordon/resolver/match"
)

// keyed is the newest keys of a list, and the announcement of those to come.
type keyed struct {
	List  match.ListID
	Epoch uint32 // of the newest version; 0 before the first
	Since int64  // when they came into force here
	Next  Rekey  // since the newest version; To is 0 when there is none
}

// keysLive is how long keys of an epoch may be used (KEYS.md), with a day for the version that brings new ones.
const keysLive = 31 * 24 * time.Hour

// lookRekey holds each version's key epoch to those before it: new keys are announced by a leaf, and old ones never come back in a new version.
func (v *verifier) lookRekey(m *moment) {
	switch b := m.body.(type) {
	case Rekey:
		k := v.h.keyed(b.List)
		if k.Epoch != b.From || k.Epoch == 0 {
			v.fail(CheckVersions, "leaf %d: it says that list %s had keys of epoch %d, and they are of epoch %d", m.leaf.N, b.List, b.From, k.Epoch)
		}
		k.Next = b
	case Publish:
		k := v.h.keyed(b.List)
		switch next := k.Next; {
		case k.Epoch == 0 || b.Epoch == k.Epoch && next.To == 0:
		case b.Epoch < k.Epoch:
			v.fail(CheckVersions, "leaf %d: list %s goes back from keys of epoch %d to epoch %d", m.leaf.N, listSeq(b.List, b.Seq), k.Epoch, b.Epoch)
		case next.To == 0:
			v.fail(CheckVersions, "leaf %d: list %s has keys of epoch %d after %d, and no leaf says that they were renewed", m.leaf.N, listSeq(b.List, b.Seq), b.Epoch, k.Epoch)
		case next.To != b.Epoch || next.Seq != b.Seq:
			v.fail(CheckVersions, "leaf %d: list %s has keys of epoch %d, the log announced epoch %d with sequence %d", m.leaf.N, listSeq(b.List, b.Seq), b.Epoch, next.To, next.Seq)
		case m.signed && next.Keys != m.keys:
			v.fail(CheckVersions, "leaf %d: list %s has new keys, sealed for this cluster in another file (%x) than the log announced (%x)",
				m.leaf.N, listSeq(b.List, b.Seq), m.keys[:8], next.Keys[:8])
		}
		if b.Epoch != k.Epoch {
			k.Epoch, k.Since = b.Epoch, m.leaf.T
		}
		k.Next = Rekey{}
	}
}

// endRekey notes lists whose keys are older than keys may be.
func (v *verifier) endRekey() {
	for _, k := range v.h.Keyed {
		if _, ok := v.h.InForce.List(k.List); !ok {
			continue
		}
		if age := time.Duration(v.h.Time-k.Since) * time.Second; age > keysLive {
			v.note("list %s: keys of epoch %d came into force %d days before the log's last leaf; a hotline renews them every 30 days", k.List, k.Epoch, int(age.Hours()/24))
		}
	}
}

// keyed finds what is known of a list's keys, and makes room for it.
func (h *history) keyed(id match.ListID) *keyed {
	i := slices.IndexFunc(h.Keyed, func(k keyed) bool { return k.List == id })
	if i < 0 {
		i = len(h.Keyed)
		h.Keyed = append(h.Keyed, keyed{List: id})
	}
	return &h.Keyed[i]
}
