// Package listtest makes synthetic lists for tests and benchmarks: names like n12345.example-5.test, keys from a seed,
// everything the same in every run. Nothing in it names a real host.
package listtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// List is the list id that the helpers of this package use.
const List match.ListID = "hotline-one/main"

// Canary is the canary of every list from Entries: its entry 0.
const Canary = "canary.hotline-one.test"

// Times of entries from Entries and Records: in force from Since on, and, so that no test grows old, until the year 2100.
var (
	Since    = time.Unix(1767225600, 0).UTC() // 2026-01-01
	ReviewBy = time.Unix(4102444800, 0).UTC() // 2100-01-01
)

// Keys are the keys of the seed, ready for use.
func Keys(seed int64) *match.Keys {
	m, g := derive("match", seed, 0), derive("gate", seed, 0)
	k := &match.Keys{Match: m, Gate: [16]byte(g[:16])}
	k.Prepare()
	return k
}

// OpenKey is K_open of the seed.
func OpenKey(seed int64) *[32]byte {
	k := derive("open", seed, 0)
	return &k
}

// Version is version seq of List at epoch 1, with the canon id of this build.
func Version(seq uint64) list.Version {
	return list.Version{List: List, Seq: seq, Epoch: 1, CanonID: canon.ID()}
}

// Filter allows all that the entries of this package need.
func Filter() match.Filter {
	return match.Filter{
		Kinds:         []canon.Kind{canon.KindURL, canon.KindPrefix, canon.KindHost, canon.KindDomain},
		Bases:         []match.Basis{match.BasisLaw, match.BasisOrder, match.BasisVoluntary},
		Jurisdictions: []string{"AA", "ZZ"},
	}
}

// Name is the i-th synthetic name, three labels: "n12345.example-5.test".
func Name(i int) string { return string(AppendName(nil, i)) }

// AppendName appends Name(i) without allocating anything else.
func AppendName(dst []byte, i int) []byte {
	dst = append(dst, 'n')
	dst = strconv.AppendInt(dst, int64(i), 10)
	dst = append(dst, ".example-"...)
	dst = strconv.AppendInt(dst, int64(i%10), 10)
	return append(dst, ".test"...)
}

// ID is the entry id of entry i.
func ID(i int, seed int64) match.EntryID {
	sum := derive("entry", seed, i)
	return match.EntryID(sum[:16])
}

// Entries are n entries of mixed kind and basis. Entry 0 is the canary host; of the others, by i modulo 10: 0 to 5 the
// domain Name(i), 6 and 7 the host Name(i), 8 the page Name(i)/page?id=1, 9 the prefix Name(i)/dir.
func Entries(n int, seed int64) []list.Entry {
	entries := make([]list.Entry, n)
	for i := range entries {
		e := list.Entry{
			ID: ID(i, seed), Category: match.CategoryBaseline, Basis: match.Basis(1 + i%3), Jurisdiction: "ZZ",
			Since: Since, ReviewBy: ReviewBy, Assessors: [2]string{"assessor-1", "assessor-2"}, Reason: "synthetic",
		}
		switch e.Kind, e.Expression = canon.KindDomain, Name(i); {
		case i == 0:
			e.Kind, e.Expression, e.Canary, e.Basis = canon.KindHost, Canary, true, match.BasisVoluntary
		case i%10 == 6, i%10 == 7:
			e.Kind = canon.KindHost
		case i%10 == 8:
			e.Kind, e.Expression = canon.KindURL, e.Expression+"/page?id=1"
		case i%10 == 9:
			e.Kind, e.Expression = canon.KindPrefix, e.Expression+"/dir"
		}
		entries[i] = e
	}
	return entries
}

// EntriesAt is Entries in force at now as a real hotline would have them: since 30 days ago, review in 90 days.
func EntriesAt(n int, seed int64, now time.Time) []list.Entry {
	entries := Entries(n, seed)
	for i := range entries {
		entries[i].Since, entries[i].ReviewBy = now.AddDate(0, 0, -30).Truncate(time.Second), now.AddDate(0, 0, 90).Truncate(time.Second)
	}
	return entries
}

// Build makes the files of version seq from Entries(n, seed) with Keys(seed) and OpenKey(seed).
func Build(n int, seed int64, seq uint64) (edge, audit []byte, sum list.Summary, err error) {
	return list.Build(Version(seq), Entries(n, seed), nil, Keys(seed), OpenKey(seed))
}

// Records are n domain records of Name(0) to Name(n-1) in total order, made with Keys(seed): the fast way to a big list.
// A million take about half a second.
func Records(n int, seed int64) []match.Record {
	records := make([]match.Record, n)
	meta := match.Meta{
		Kind: canon.KindDomain, Category: match.CategoryBaseline, Basis: match.BasisVoluntary, Jurisdiction: [2]byte{'Z', 'Z'},
		Since: uint32(Since.Unix()), ReviewBy: uint32(ReviewBy.Unix()),
	}
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			var name []byte
			h := Keys(seed).Hasher(List)
			defer h.Close()
			for i := n * w / workers; i < n*(w+1)/workers; i++ {
				name = AppendName(name[:0], i)
				records[i] = match.Record{EntryID: ID(i, seed), Meta: meta}
				records[i].Digest, records[i].Gate = h.Hash(canon.ClassName, string(name))
			}
		})
	}
	wg.Wait()
	slices.SortFunc(records, func(a, b match.Record) int { return bytes.Compare(a.Digest[:], b.Digest[:]) })
	return records
}

// Member is an edge list as one that is in force under Filter with Keys(seed).
func Member(e *match.Edge, seed int64) (match.Member, error) {
	b, err := match.Compile(e)
	if err != nil {
		return match.Member{}, err
	}
	x, err := match.Open(b)
	return match.Member{Edge: e, Index: x, Filter: Filter(), Keys: Keys(seed)}, err
}

// Set is a set with one list, of Records(n, seed).
func Set(n int, seed int64) (*match.Set, error) {
	e, err := match.WriteEdge(Version(1), Records(n, seed))
	if err != nil {
		return nil, err
	}
	m, err := Member(e, seed)
	if err != nil {
		return nil, err
	}
	return match.NewSet([]match.Member{m}, nil)
}

func derive(what string, seed int64, i int) [32]byte {
	b := append(make([]byte, 0, 64), "listtest "...)
	b = append(b, what...)
	b = binary.LittleEndian.AppendUint64(b, uint64(seed))
	return sha256.Sum256(binary.LittleEndian.AppendUint64(b, uint64(i)))
}
