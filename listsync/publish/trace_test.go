package publish

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/canon"
)

// marked is a hotline whose two operators were given two epochs' keys.
func marked(t *testing.T) (*world, []Marks) {
	t.Helper()
	w := newWorld(t)
	w.addOperator("isp-one")
	w.addOperator("isp-two")
	w.importRows("a.test,host")
	w.publishAll()
	_, err := w.h.NewEpoch()
	w.must(err)
	w.publishAll()
	all, err := w.h.Marks()
	w.must(err)
	if len(all) != 4 {
		t.Fatalf("got %+v", all)
	}
	return w, all
}

func (w *world) trace(text string) *Traced {
	w.t.Helper()
	t, err := w.h.Trace(strings.NewReader(text))
	w.must(err)
	if t.Bytes != int64(len(text)) {
		w.t.Errorf("read %d bytes of %d", t.Bytes, len(text))
	}
	return t
}

func TestMarksAreEachOperatorsOwn(t *testing.T) {
	_, all := marked(t)
	seen := map[string]bool{}
	for _, m := range all {
		for _, n := range m.Names {
			if host, err := canon.Host(n); err != nil || host != n || seen[n] || !strings.HasSuffix(n, ".canary.hotline-one.test") {
				t.Errorf("%q is no name of its own below the canary (%v)", n, err)
			}
			seen[n] = true
		}
	}
}

func TestALeakSaysWhoseCopyItIs(t *testing.T) {
	w, all := marked(t)
	m := all[3]
	s, err := w.h.begin()
	w.must(err)
	keys, _, err := s.epoch(m.Epoch)
	w.must(err)
	digests := s.markDigests(m.Names, keys)
	s.release()
	filler := strings.Repeat("just-a-name.test\n", 100_000) // more than a block
	for name, tt := range map[string]struct {
		text string
		n    int
		as   string
		line int64
	}{
		"names, one a line":      {"x.test\n" + strings.Join(m.Names, "\n"), 3, "name", 2},
		"URLs in capitals":       {"HTTP://" + strings.ToUpper(m.Names[1]) + "/x", 1, "name", 1},
		"a zone file":            {fmt.Sprintf("$TTL 60\n%s 60 IN CNAME .\n", m.Names[2]), 1, "name", 2},
		"far behind":             {filler + m.Names[0], 1, "name", 100_001},
		"a memory dump":          {"\x00\xff" + string(digests) + "\x00", 3, "digest", 1},
		"at the end":             {filler + string(digests[:16]), 1, "digest", 100_001},
		"digests in hexadecimal": {"{\"d\": \"" + hex.EncodeToString(digests[16:32]) + "\"}", 1, "hex", 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.trace(tt.text)
			if len(got.Copies) != 1 {
				t.Fatalf("got %+v", got)
			}
			if c := got.Copies[0]; c.Name != m.Name || c.Epoch != 2 || c.Found != tt.n || c.As[0] != tt.as || c.Line != tt.line {
				t.Errorf("got %+v, want %d marks as %s on line %d", c, tt.n, tt.as, tt.line)
			}
		})
	}
	// Whatever the size of what a read gives, and wherever a mark lies between two blocks.
	for _, at := range []int{1<<20 - 16, 1<<20 - 8, 1<<20 - 1, 1 << 20} {
		text := strings.Repeat("-", at) + m.Names[0] + strings.Repeat("-", 1<<20)
		got, err := w.h.Trace(iotest.HalfReader(strings.NewReader(text)))
		w.must(err)
		if len(got.Copies) != 1 || got.Copies[0].Byte != int64(at) {
			t.Errorf("a mark at byte %d: got %+v", at, got.Copies)
		}
	}
	two := w.trace(all[0].Names[0] + "\n" + m.Names[0] + "\n" + m.Names[1])
	if len(two.Copies) != 2 || two.Copies[0].Found != 2 || two.Copies[1].Name != all[0].Name {
		t.Errorf("two copies: got %+v", two.Copies)
	}
}

func TestWhatSaysNothingIsSaidToSayNothing(t *testing.T) {
	w, all := marked(t)
	for _, text := range []string{"", "x.test", "x.test\ny.test\n" + all[0].Names[0][:15] + "."} {
		var out strings.Builder
		got := w.trace(text)
		w.must(got.Write(&out))
		if len(got.Copies) != 0 || !strings.Contains(out.String(), "no operator's mark is in it; that does not say") {
			t.Errorf("%q: got %+v\n%s", text, got, out.String())
		}
	}
	f, _ := w.fetchAll(trust.HighWater{})
	got := w.trace(string(f.keys[all[0].Cluster]))
	if len(got.Copies) != 0 || len(got.Public) != 1 || got.Public[0] != "the keys of epoch 2, sealed for "+all[0].Name {
		t.Errorf("sealed keys: got %+v", got)
	}
	if _, err := w.h.Trace(iotest.ErrReader(iotest.ErrTimeout)); ExitCode(err) != int(CodeFailure) {
		t.Errorf("a disk that fails: got %v", err)
	}
}

func TestMarksAreSealedForTheirOperatorAndInNoList(t *testing.T) {
	w := newWorld(t)
	cluster := w.addOperator("isp-one")
	w.importRows("a.test,host")
	w.publishAll()
	f, _ := w.fetchAll(trust.HighWater{})
	k, err := trust.UnwrapKeys(f.keys[cluster], w.cluster)
	w.must(err)
	all, err := w.h.Marks()
	w.must(err)
	for i, n := range all[0].Names {
		d := k.Keys.Digest(k.List, canon.ClassName, []byte(n))
		if !bytes.Equal(k.Marks[i*trust.MarkSize:(i+1)*trust.MarkSize], d[:]) {
			t.Errorf("mark %d is not sealed with the keys", i+1)
		}
		if w.lookup(f, k.Keys, n).Listed {
			t.Errorf("mark %d is in the list", i+1)
		}
		w.mustNotBePublished(strings.SplitN(n, ".", 2)[0])
	}
}
