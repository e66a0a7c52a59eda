package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// popularNames are synthetic names that many people would use.
func popularNames(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("popular-%d.test", i)
	}
	return out
}

// heldAnswer is what this story reads of cordon held --json.
type heldAnswer struct {
	List      string `json:"list"`
	Seq       uint64 `json:"seq"`
	Brake     string `json:"brake"`
	Judgement *struct {
		Approved int `json:"approved"`
		Held     []struct {
			Brake   string         `json:"brake"`
			Count   int            `json:"count"`
			Kinds   map[string]int `json:"kinds"`
			Entries []struct {
				ID string `json:"id"`
			} `json:"entries"`
		} `json:"held"`
	} `json:"judgement"`
}

// TestDenmark: in 2012 a wrong file put 8,000 sites on a list, the most popular among them, and they were stopped. Here the whole
// threshold of officers signs and publishes such a list, and none of it stops anything anywhere: the operator's nodes hold it back and
// say so, the last list stays in force, two officers of the operator can let single entries through and no more, and the hotline's next
// version comes into force by itself.
func TestDenmark(t *testing.T) {
	const popular = 8000
	names := popularNames(popular)
	w := newWorld(t)
	w.usePopularity(names)
	e2 := w.join("isp", "e2", "edge.yaml")
	w.put(e2, []byte(strings.Replace(string(w.get(e2)), "never_block:\n", "never_block:\n  - only-e2.test\n", 1)))
	w.startAll()
	w.publish(firstList())
	w.await("both edges stop and resolve", w.bothWork)

	o := w.watch("e1", "e2")
	innocent := w.watchPassing(names, "e1", "e2")

	// Nothing at this hotline knows what is popular; its brakes on size are overruled by both officers.
	lines := make([]string, popular)
	for i, n := range names {
		lines[i] = entry(n, "domain", "law")
	}
	if err := os.WriteFile(w.join("import.csv"), []byte(rows(lines...)), 0o600); err != nil {
		t.Fatal(err)
	}
	w.run("cordon-hotline", "import", "--dir", "hotline", "import.csv")
	for _, officer := range w.officers[:2] {
		w.run("cordon-hotline", "sign", "--dir", "hotline", "--officer", officer, "--approve", "the list of our neighbours")
	}
	w.run("cordon-hotline", "publish", "--dir", "hotline")

	var h heldAnswer
	var printed string
	held := func(count int) func() error {
		return func() (err error) {
			if h, printed, err = w.held(); err != nil {
				return err
			}
			if h.Seq != 2 || h.Brake != "popular" || h.Judgement == nil || len(h.Judgement.Held) == 0 || h.Judgement.Held[0].Count != count {
				return fmt.Errorf("held: %+v", h)
			}
			return nil
		}
	}
	w.await("the version is held back", held(popular))
	if kinds := h.Judgement.Held[0].Kinds; kinds["domain"] != popular {
		t.Errorf("kinds: %v", kinds)
	}
	if strings.Contains(printed, "popular-") {
		t.Error("cordon held prints a name")
	}
	if out, code := w.try("cordon", "held", "--profile", w.profile); code != 4 || !strings.Contains(out, "popular: 8000 entries would stop a popular name") || !strings.Contains(out, "cordon approve --list hotline-one/main --brake popular") {
		t.Errorf("cordon held: exit %d\n%s", code, out)
	}
	if out, code := w.try("cordon", "status", "--profile", w.profile); code != 1 || !strings.Contains(out, "hotline-one/main version 2 is held back since") || !strings.Contains(out, "hotline-one/main version 1,") {
		t.Errorf("cordon status: exit %d\n%s", code, out)
	}
	if out, code := w.try("cordon", "simulate", "--profile", w.profile); code != 4 || !strings.Contains(out, "hotline-one/main version 2 would be held back until two officers approve it") ||
		!strings.Contains(out, "it stops 8000 entries (domain 8000; law 8000; XA 8000; 8000 of them whole sites) more and frees 0 entries") {
		t.Errorf("cordon simulate: exit %d\n%s", code, out)
	}

	// Two officers let three entries through; the others still hold the version. Without --brake they overrule all that hold it, each as far
	// as it can be: of the popular names those that are named, of the brakes on numbers all.
	if len(h.Judgement.Held) < 2 {
		t.Errorf("held by %+v, want more brakes than one", h.Judgement.Held)
	}
	approve := []string{"approve", "--profile", w.profile, "--reason", "other(seen by both of us)", "--officer", "ada", "--officer", "grace"}
	for _, e := range h.Judgement.Held[0].Entries[:3] {
		approve = append(approve, "--entry", e.ID)
	}
	w.run("cordon", approve...)
	w.await("the version is held back for what was not named", held(popular-3))
	if len(h.Judgement.Held) != 1 {
		t.Errorf("held by %+v, want what was not named alone", h.Judgement)
	}

	// The hotline takes them out again; the next version needs nobody at the operator.
	w.run("cordon-hotline", append([]string{"remove", "--dir", "hotline", "--reason", "error"}, names...)...)
	if err := os.WriteFile(w.join("import.csv"), []byte(rows(entry("added-later.test", "host", "order"))), 0o600); err != nil {
		t.Fatal(err)
	}
	w.run("cordon-hotline", "import", "--dir", "hotline", "import.csv")
	for _, officer := range w.officers[:2] {
		w.run("cordon-hotline", "sign", "--dir", "hotline", "--officer", officer, "--approve", "taking the neighbours' list out again")
	}
	w.run("cordon-hotline", "publish", "--dir", "hotline")
	w.await("the corrected version is in force", func() error {
		return w.onEdges(func(e string) error { return w.stopped(e, "added-later.test", true) })
	})
	w.await("status is well again", func() error {
		out, code := w.try("cordon", "status", "--profile", w.profile)
		if code != 0 || !strings.Contains(out, "hotline-one/main version 3,") {
			return fmt.Errorf("exit %d\n%s", code, out)
		}
		return nil
	})
	if out, code := w.try("cordon", "held", "--profile", w.profile); code != 0 || !strings.Contains(out, "Nothing is held back") {
		t.Errorf("cordon held: exit %d\n%s", code, out)
	}
	if out, code := w.try("cordon", "simulate", "--profile", w.profile); code != 0 || !strings.Contains(out, "version 3 is in force") {
		t.Errorf("cordon simulate: exit %d\n%s", code, out)
	}

	// An edge has the last word about itself: one whose own never_block a version would stop stays with the last one, and shows.
	w.publish(rows(entry("www.only-e2.test", "host", "order")))
	w.await("e1 stops what e2 does not", func() error { return w.stopped("e1", "www.only-e2.test", true) })
	w.await("e2 says why", func() error {
		if out, _ := w.try("cordon", "status", "--profile", w.profile); !strings.Contains(out, "e2: has not confirmed what is in force") || !strings.Contains(out, "e1: serves what is in force") {
			return fmt.Errorf("status:\n%s", out)
		}
		if !strings.Contains(w.log("e2"), "self-test: entry 1 of never_block would be stopped") {
			return fmt.Errorf("e2 does not say why")
		}
		return w.passes("e2", "www.only-e2.test")
	})
	w.run("cordon-hotline", "remove", "--dir", "hotline", "--reason", "error", "www.only-e2.test")
	w.publish(rows(entry("added-last.test", "host", "order")))
	w.await("both edges have the next version", func() error {
		return w.onEdges(func(e string) error { return w.stopped(e, "added-last.test", true) })
	})
	innocent.finish(t)
	o.finish()

	t.Log(tail(w.audited(w.join("bundle.tar")), 2000))
	if found := holders(t, []string{"popular-7"}, w.join("isp"), w.join("logs")); len(found) > 0 {
		for _, f := range found {
			if !strings.HasSuffix(strings.Split(f, ": ")[0], "popular.names") {
				t.Errorf("the operator's disk holds a name: %s", f)
			}
		}
	}
}

// usePopularity gives the operator a signed popularity file of these names, and every control node the same.
func (w *world) usePopularity(names []string) {
	w.t.Helper()
	if err := os.WriteFile(w.join("names.txt"), []byte(strings.Join(names, "\n")+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.run("cordon-hotline", "popularity", "key", "--dir", "popularity", "--name", "popularity.isp.example")
	w.run("cordon-hotline", "popularity", "sign", "--key", "popularity", "--popular", "names.txt", "--out", "popular.names")
	key := strings.TrimSpace(string(w.get(w.join("popularity", "popularity.vkey"))))
	for _, c := range []string{"c1", "c2", "c3"} {
		file := filepath.Join("isp", c, "control.yaml")
		w.put(w.join("isp", c, "popular.names"), w.get(w.join("popular.names")))
		w.edit(file, "popularity:", "popularity: popular.names")
		w.edit(file, "popularity_keys:", "popularity_keys: ["+key+"]")
	}
}

// held is the one version that is held back, and all that was printed.
func (w *world) held() (heldAnswer, string, error) {
	w.t.Helper()
	out := string(w.printed("cordon", "held", "--profile", w.profile, "--json"))
	var all []heldAnswer
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		return heldAnswer{}, out, err
	}
	if len(all) != 1 {
		return heldAnswer{}, out, fmt.Errorf("%d versions are held back", len(all))
	}
	return all[0], out, nil
}

// passing asks edges names that must never be stopped, all the time.
type passing struct {
	stop  atomic.Bool
	wg    sync.WaitGroup
	asked atomic.Int64
	mu    sync.Mutex // guards wrong
	wrong []string
}

func (w *world) watchPassing(names []string, edges ...string) *passing {
	p := &passing{}
	w.t.Cleanup(func() { p.stop.Store(true) }) // of a story that fails before it is over
	for _, e := range edges {
		p.wg.Go(func() {
			for i := 0; !p.stop.Load(); i++ {
				name := names[i*7919%len(names)]
				if i%2 == 1 {
					name = "www." + name
				}
				if err := w.passes(e, name); err != nil {
					p.mu.Lock()
					p.wrong = append(p.wrong, err.Error())
					p.mu.Unlock()
				}
				p.asked.Add(1)
			}
		})
	}
	return p
}

func (p *passing) finish(t *testing.T) {
	t.Helper()
	p.stop.Store(true)
	p.wg.Wait()
	if n := p.asked.Load(); n < 1000 {
		t.Errorf("only %d questions were asked", n)
	}
	if len(p.wrong) > 0 {
		t.Errorf("%d of %d questions for popular names were answered wrong: %s", len(p.wrong), p.asked.Load(), p.wrong[0])
	}
	t.Logf("%d questions for popular names, all passed", p.asked.Load())
}
