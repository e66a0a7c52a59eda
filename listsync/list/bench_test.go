package list_test

import (
	"flag"
	"sync"
	"testing"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/match"
)

// entries is how many the benchmarks are about; a fifth of them are pages and have two records.
var entries = flag.Int("entries", 1<<20, "entries of the list in benchmarks")

// changes is how many entries come from one version to the next, and as many go.
const changes = 500

// pair is two versions of a list and the delta between them, made once.
type pair struct {
	from, to version
	index    *match.Index // of from
	delta    []byte
}

var big = sync.OnceValue(func() *pair {
	p := &pair{}
	all := listtest.Entries(*entries+changes, 1)
	for i, v := range []*version{&p.from, &p.to} {
		var err error
		v.edgeBytes, v.auditBytes, _, err = list.Build(listtest.Version(uint64(i+1)), all[i*changes:*entries+i*changes], nil, listtest.Keys(1), listtest.OpenKey(1))
		check(err)
		v.edge, err = list.OpenEdge(v.edgeBytes)
		check(err)
		v.audit, err = list.OpenAudit(v.auditBytes)
		check(err)
	}
	d, err := list.Diff(p.from.edge, p.to.edge, p.to.audit)
	check(err)
	p.delta, err = d.Encode()
	check(err)
	b, err := match.Compile(p.from.edge)
	check(err)
	p.index, err = match.Open(b)
	check(err)
	return p
})

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func (p *pair) open(b *testing.B) *list.Delta {
	b.Helper()
	d, err := list.OpenDelta(p.delta)
	if err != nil {
		b.Fatal(err)
	}
	return d
}

func BenchmarkBuild(b *testing.B) {
	all := listtest.Entries(*entries, 1)
	b.ReportAllocs()
	b.ResetTimer()
	defer listtest.CPU(b)()
	for range b.N {
		if _, _, _, err := list.Build(listtest.Version(1), all, nil, listtest.Keys(1), listtest.OpenKey(1)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	p := big()
	for name, open := range map[string]func() error{
		"edge":  func() error { _, err := list.OpenEdge(p.from.edgeBytes); return err },
		"audit": func() error { _, err := list.OpenAudit(p.from.auditBytes); return err },
		"delta": func() error { _, err := list.OpenDelta(p.delta); return err },
	} {
		b.Run(name, func(b *testing.B) {
			defer listtest.CPU(b)()
			b.ReportAllocs()
			for range b.N {
				if err := open(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDelta is each step from one version to the next through a delta of 1,000 changes.
func BenchmarkDelta(b *testing.B) {
	p := big()
	b.Run("diff", func(b *testing.B) {
		defer listtest.CPU(b)()
		for range b.N {
			if _, err := list.Diff(p.from.edge, p.to.edge, p.to.audit); err != nil {
				b.Fatal(err)
			}
		}
	})
	d := p.open(b)
	b.Run("apply", func(b *testing.B) {
		defer listtest.CPU(b)()
		b.ReportAllocs()
		for range b.N {
			if _, err := d.Apply(p.from.edge, match.Memory{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("audit", func(b *testing.B) {
		defer listtest.CPU(b)()
		for range b.N {
			if _, err := d.ApplyAudit(p.from.audit, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("compile", func(b *testing.B) {
		defer listtest.CPU(b)()
		for range b.N {
			if _, err := match.Compile(p.to.edge); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("recompile", func(b *testing.B) {
		defer listtest.CPU(b)()
		b.ReportAllocs()
		for range b.N {
			if _, err := d.Recompile(p.index, p.from.edge, p.to.edge); err != nil {
				b.Fatal(err)
			}
		}
	})
}
