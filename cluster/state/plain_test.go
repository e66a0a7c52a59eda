package state_test

import (
	"slices"

	"github.com/cordon-project/cordon/cluster/audit"
)

const (
	modelNames = 16 // names that lists of the model are about; entry i stops name i
	modelSteps = 18
)

// plain is what must be in force, in the simplest words there are: no hash, no leaf, no index.
type plain struct {
	versions   []plainVersion // that were in force here, oldest first
	now        int            // index of the one in force; -1 before the first
	withdrawn  []plainRange
	suppressed map[int]int64           // last second, by entry
	left       map[uint64]map[int]bool // by version returned to
	bypass     int64                   // last second
	exempt     audit.Exemption         // Count 0: nobody. It stops and frees no name for subscribers
}

type plainVersion struct {
	seq     uint64
	epoch   uint32
	entries map[int]bool
}

type plainRange struct {
	entries  []int
	from, to uint64
}

// stops says whether name i must be stopped at a time.
func (p *plain) stops(i int, at int64) bool {
	if p.now < 0 || at <= p.bypass {
		return false
	}
	v := p.versions[p.now]
	until, suppressed := p.suppressed[i]
	switch {
	case !v.entries[i], suppressed && at <= until, p.left[v.seq][i]:
		return false
	}
	return !slices.ContainsFunc(p.withdrawn, func(w plainRange) bool {
		return w.from <= v.seq && v.seq <= w.to && slices.Contains(w.entries, i)
	})
}

// kept are the versions that can be returned to.
func (p *plain) kept() []plainVersion { return p.versions[max(0, len(p.versions)-audit.KeptVersions):] }
