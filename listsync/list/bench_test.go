package list_test

import (
	"sync"
	"testing"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
)

const million = 1 << 20

type files struct{ edge, audit []byte }

var big = sync.OnceValues(func() (files, error) {
	edge, audit, _, err := listtest.Build(million, 1, 1)
	return files{edge, audit}, err
})

func bigFiles(b *testing.B) files {
	b.Helper()
	f, err := big()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	return f
}

func BenchmarkBuild(b *testing.B) {
	entries := listtest.Entries(million, 1)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, _, _, err := list.Build(listtest.Version(1), entries, nil, listtest.Keys(1), listtest.OpenKey(1)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenAudit(b *testing.B) {
	f := bigFiles(b)
	b.SetBytes(int64(len(f.audit)))
	for range b.N {
		if _, err := list.OpenAudit(f.audit); err != nil {
			b.Fatal(err)
		}
	}
}
