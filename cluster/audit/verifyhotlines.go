package audit

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/trust"
)

// CheckHotlines: the trust file names each hotline in the log.
const CheckHotlines = "hotlines"

// lookPin follows a hotline that the operator's officers have added: its metadata verifies from the root they pinned, whatever endHotlines
// says about it.
func (v *verifier) lookPin(m *moment) {
	b, ok := m.body.(Ordered)
	if !ok {
		return
	}
	p, ok := b.Order.Body.(order.Pin)
	if !ok || v.h.hotline(p.Hotline) != nil {
		return
	}
	v.h.Hotlines = append(slices.Clone(v.h.Hotlines), following{ID: p.Hotline, Root: p.Document})
	slices.SortFunc(v.h.Hotlines, func(a, b following) int { return cmp.Compare(a.ID, b.ID) })
}

// endHotlines wants each hotline to be one that the trust file names: what the operator adds, somebody else must have accredited.
func (v *verifier) endHotlines() {
	for _, p := range v.h.Orders.Pins {
		i := slices.IndexFunc(v.trust.Hotlines, func(a HotlineAnchor) bool { return a.ID == p.Hotline })
		if i < 0 {
			v.fail(CheckHotlines, "leaf %d: hotline %s was added by the operator and nobody you trust accredits it (root with SHA-256 %x)", p.Leaf, p.Hotline, p.Root)
			continue
		}
		if own := sha256.Sum256(v.trust.Hotlines[i].Root); own != p.Root {
			v.fail(CheckHotlines, "leaf %d: hotline %s was added by the operator with root %x, and you trust it with root %x", p.Leaf, p.Hotline, p.Root[:8], own[:8])
		}
	}
	v.pass(CheckHotlines, "%d in the log, each with a root in the trust file; %d of them added since the cluster was made", len(v.trust.Cluster.Hotlines)+len(v.h.Orders.Pins), len(v.h.Orders.Pins))
}

// checkHotlines holds the hotlines that an auditor trusts beyond those of the cluster file to their form.
func (t TrustFile) checkHotlines() error {
	if len(t.Hotlines) > MaxLists {
		return fmt.Errorf("%d hotlines beyond the cluster's, at most %d: %w", len(t.Hotlines), MaxLists, ErrTooLarge)
	}
	seen := make(map[trust.HotlineID]bool)
	for _, h := range t.Cluster.Hotlines {
		seen[h.ID] = true
	}
	for _, h := range t.Hotlines {
		if err := checkHotline(h.ID); err != nil {
			return err
		}
		if seen[h.ID] {
			return fmt.Errorf("hotline %s is there twice: %w", h.ID, ErrFormat)
		}
		seen[h.ID] = true
		if _, err := trust.PinRoot(h.Root); err != nil {
			return fmt.Errorf("root of hotline %s: %w: %w", h.ID, ErrFormat, err)
		}
	}
	return nil
}
