package publish

import (
	"strings"
	"testing"
)

func TestWhatWasTakenOutNeverComesBackWithoutAWord(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain", "appeal.test,host", "gone.test,host", "page.test/x,url", "stays.test,host")
	w.publishAll()
	_, err := w.h.Withdraw(w.officers[:2], "error", "bad.test")
	w.must(err)
	_, err = w.h.Remove("appeal", "appeal.test")
	w.must(err)
	_, err = w.h.Remove("content_gone", "gone.test")
	w.must(err)
	_, err = w.h.Withdraw(w.officers[:2], "duplicate", "page.test/x")
	w.must(err)
	w.publishAll()

	done := w.importRows("stays.test,host", "bad.test,domain", "bad.test,host", "gone.test,host", "page.test/x,url", "appeal.test,host")
	var text strings.Builder
	w.must(done.Write(&text))
	if want := "3 rows were taken out before: line 3 (withdrawn, error), line 6 (withdrawn, duplicate), line 7 (removed, appeal)\n"; !strings.Contains(text.String(), want) {
		t.Errorf("import: got %q, want %q", text.String(), want)
	}
	lines := []string{
		"+ whole site bad.test and everything below (domain) (withdrawn before: error)\n", "+ whole site appeal.test, this host name only (host) (removed before: appeal)\n",
		"+ this page only page.test/x (url) (withdrawn before: duplicate)\n", "+ whole site bad.test, this host name only (host)\n",
		"3 of the added entries were taken out before: assess them again\n",
	}
	for name, write := range map[string]func(*strings.Builder){
		"diff": func(b *strings.Builder) { d, err := w.h.Diff(); w.must(err); w.must(d.Write(b, 4)) },
		"sign": func(b *strings.Builder) { g, err := w.h.Sign(w.officers[0]); w.must(err); w.must(g.Write(b, 4)) },
	} {
		var text strings.Builder
		write(&text)
		for _, want := range lines {
			if !strings.Contains(text.String(), want) {
				t.Errorf("%s: got %s\nwant %q in it", name, text.String(), want)
			}
		}
		if strings.Index(text.String(), "appeal.test") > strings.Index(text.String(), "bad.test, this host") {
			t.Errorf("%s: what was taken out before does not stand first:\n%s", name, text.String())
		}
	}
	w.publishAll()
	again := w.importRows("bad.test,domain")
	if again.PutBackCount != 0 {
		t.Errorf("an entry of the working set: got %+v, want nothing put back", again)
	}
	d, err := w.h.Diff()
	w.must(err)
	if d.PutBack != 0 {
		t.Errorf("after it was published: got %+v", d)
	}
}

func TestManyRowsThatComeBackAreCounted(t *testing.T) {
	i := Imported{Rows: 5000, Added: 5000, Entries: 5000}
	for n := range 5000 { // in the order of expressions
		i.putBack((n*4999)%5000+2, takenOut{"removed", "court"})
	}
	i.sortPutBack()
	var text strings.Builder
	if err := i.Write(&text); err != nil {
		t.Fatal(err)
	}
	if len(i.PutBack) != maxPutBack || !strings.Contains(text.String(), "5000 rows were taken out before: line 2 (removed, court), ") || !strings.Contains(text.String(), "line 11 (removed, court), and 4990 more\n") {
		t.Errorf("got %d lines and %s", len(i.PutBack), text.String())
	}
}

func TestOneRowIsOneRow(t *testing.T) {
	var text strings.Builder
	if err := (&Imported{Rows: 1, Updated: 1, Entries: 1}).Write(&text); err != nil {
		t.Fatal(err)
	}
	if want := "1 row: 0 added, 1 updated (it keeps its id), 0 unchanged; 1 entry in all\n"; text.String() != want {
		t.Errorf("got %q, want %q", text.String(), want)
	}
}
