package publish

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/listsync/list"
)

// A host with many pages has as many records with one digest: each must be found, and none twice.
func TestEveryPageOfOneHostIsProved(t *testing.T) {
	w := newWorld(t)
	var rows []string
	for i := range 400 {
		rows = append(rows, fmt.Sprintf("one.test/%d,url", i), fmt.Sprintf("n%d.test,host", i))
	}
	w.importRows(append(rows, "one.test,host", "one.test,domain", "one.test/x,prefix")...)
	w.publishAll()
	prove := func(change func([]list.Entry) []list.Entry) error {
		s, err := w.h.begin()
		w.must(err)
		defer s.release()
		entries, _, err := readEntries(w.recordFile("1"))
		w.must(err)
		p, err := s.newProver()
		w.must(err)
		defer p.stop()
		for _, e := range change(entries) {
			w.must(p.add(&e))
		}
		return p.finish()
	}
	if err := prove(func(e []list.Entry) []list.Entry { return e }); err != nil {
		t.Fatalf("the record as it was published: %v", err)
	}
	page := func(e []list.Entry) int { // one in the middle of the host's
		for i := range e {
			if e[i].Expression == "one.test/200" {
				return i
			}
		}
		panic("no page")
	}
	for name, change := range map[string]func([]list.Entry) []list.Entry{
		"one less":     func(e []list.Entry) []list.Entry { i := page(e); return append(e[:i:i], e[i+1:]...) },
		"one twice":    func(e []list.Entry) []list.Entry { return append(e, e[page(e)]) },
		"another id":   func(e []list.Entry) []list.Entry { e[page(e)].ID[0] ^= 1; return e },
		"another day":  func(e []list.Entry) []list.Entry { i := page(e); e[i].ReviewBy = e[i].ReviewBy.Add(1e9); return e },
		"another host": func(e []list.Entry) []list.Entry { e[page(e)].Expression = "two.test/200"; return e },
		"another page": func(e []list.Entry) []list.Entry { e[page(e)].Expression = "one.test/1000"; return e },
		"one that is no": func(e []list.Entry) []list.Entry {
			return append(e, list.Entry{Expression: "three.test", Kind: e[0].Kind})
		},
	} {
		if err := prove(change); !errors.Is(err, errRecord) || !strings.Contains(err.Error(), "officers have signed") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
