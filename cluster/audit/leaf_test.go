package audit_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/liestest"
)

// deterministic encodes any value as the formats do, for tests that write leaves by hand.
func deterministic(t *testing.T, v any) []byte {
	t.Helper()
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := mode.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func alarm() map[string]any {
	return map[string]any{
		"v": 1, "n": 3, "t": 1000, "k": "alarm", "f": make([]byte, 32),
		"b": map[string]any{"node": "c1", "what": "quorum lost", "since": 900},
	}
}

func TestEveryLeafOfAnHonestLogComesBackAsItWas(t *testing.T) {
	l := audittest.Honest("leaves")
	kinds := map[audit.Kind]bool{}
	for _, b := range l.Leaves {
		leaf, err := audit.DecodeLeaf(b)
		if err != nil {
			t.Fatal(err)
		}
		again, err := audit.EncodeLeaf(leaf)
		if err != nil || !bytes.Equal(b, again) {
			t.Fatalf("leaf %d: %v, encodes to other bytes", leaf.N, err)
		}
		body, err := leaf.Body()
		if err != nil {
			t.Fatal(err)
		}
		rebuilt, err := audit.NewLeaf(leaf.N, leaf.T, body)
		if err != nil || !bytes.Equal(rebuilt.B, leaf.B) || rebuilt.K != leaf.K {
			t.Fatalf("leaf %d: body encodes to other bytes (%v)", leaf.N, err)
		}
		kinds[leaf.K] = true
	}
	for _, k := range []audit.Kind{audit.KindPublish, audit.KindWithdraw, audit.KindMember, audit.KindReceipts, audit.KindTrust} {
		if !kinds[k] {
			t.Errorf("the honest log has no leaf of kind %s", k)
		}
	}
}

func TestOtherSpellingsOfALeafAreRefused(t *testing.T) {
	good := deterministic(t, alarm())
	if _, err := audit.DecodeLeaf(good); err != nil {
		t.Fatalf("the leaf that the others are made from: %v", err)
	}
	changed := func(change func(map[string]any)) []byte {
		m := alarm()
		change(m)
		return deterministic(t, m)
	}
	inBody := func(change func(map[string]any)) []byte {
		return changed(func(m map[string]any) { change(m["b"].(map[string]any)) })
	}
	for _, c := range []struct {
		name string
		leaf []byte
		want error
	}{
		{"empty", nil, audit.ErrFormat},
		{"cut short", good[:len(good)-1], audit.ErrFormat},
		{"bytes behind it", append(bytes.Clone(good), 0), audit.ErrFormat},
		{"key missing", changed(func(m map[string]any) { delete(m, "f") }), audit.ErrFormat},
		{"key unknown", changed(func(m map[string]any) { m["x"] = 1 }), audit.ErrFormat},
		{"key in capitals", changed(func(m map[string]any) { m["N"] = m["n"]; delete(m, "n") }), audit.ErrFormat},
		{"another version", changed(func(m map[string]any) { m["v"] = 2 }), audit.ErrFormat},
		{"hash of 31 bytes", changed(func(m map[string]any) { m["f"] = make([]byte, 31) }), audit.ErrFormat},
		{"time before 1970", changed(func(m map[string]any) { m["t"] = -1 }), audit.ErrFormat},
		{"time beyond reason", changed(func(m map[string]any) { m["t"] = uint64(1) << 62 }), audit.ErrFormat},
		{"kind that is none", changed(func(m map[string]any) { m["k"] = "gamble" }), audit.ErrUnknownKind},
		{"kind of another body", changed(func(m map[string]any) { m["k"] = "publish" }), audit.ErrFormat},
		{"null body", changed(func(m map[string]any) { m["b"] = nil }), audit.ErrFormat},
		{"body with unknown key", inBody(func(m map[string]any) { m["list"] = "x" }), audit.ErrFormat},
		{"body without a word", inBody(func(m map[string]any) { m["what"] = "" }), audit.ErrFormat},
		{"number as float", changed(func(m map[string]any) { m["n"] = 3.0 }), audit.ErrFormat},
		{"longer number than needed", bytes.Replace(good, []byte("\x61n\x03"), []byte("\x61n\x18\x03"), 1), audit.ErrFormat},
		{"key twice", append([]byte{good[0] + 1}, append([]byte("\x61n\x03"), good[1:]...)...), audit.ErrFormat},
		{"indefinite length", append(append([]byte{0xbf}, good[1:]...), 0xff), audit.ErrFormat},
		{"tag", append([]byte{0xc1}, good...), audit.ErrFormat},
		{"too long", make([]byte, audit.MaxLeaf+1), audit.ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := audit.DecodeLeaf(c.leaf); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestReservedKindsDecodeAndStayOpaque(t *testing.T) {
	m := alarm()
	m["k"], m["b"] = "feature", map[string]any{"entry": []byte{1}, "until": 5}
	leaf, err := audit.DecodeLeaf(deterministic(t, m))
	if err != nil {
		t.Fatal(err)
	}
	body, err := leaf.Body()
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := body.(audit.Unknown); !ok || u.Kind != audit.KindFeature {
		t.Errorf("got %#v, want an Unknown fork", body)
	}
	if _, err := audit.Genesis().Apply(leaf); !errors.Is(err, audit.ErrUnknownKind) {
		t.Errorf("apply: got %v, want %v", err, audit.ErrUnknownKind)
	}
}

func TestBodiesThatBreakTheirRulesMakeNoLeaf(t *testing.T) {
	l := audittest.Honest("bodies")
	publish := liestest.Last[audit.Publish](l, audit.KindPublish)
	withdraw := liestest.Last[audit.Withdraw](l, audit.KindWithdraw)
	for _, c := range []struct {
		name string
		body func() audit.Body
	}{
		{"list of another hotline", func() audit.Body { p := publish; p.Hotline = "other"; return p }},
		{"sequence 0", func() audit.Body { p := publish; p.Seq, p.Prev = 0, 0; return p }},
		{"previous not before", func() audit.Body { p := publish; p.Prev = p.Seq; return p }},
		{"filter and hash differ", func() audit.Body { p := publish; p.FilterHash[0] ^= 1; return p }},
		{"filter with an unknown kind", func() audit.Body { p := publish; p.Filter.Kinds = []string{"ip"}; return p }},
		{"filter with steer", func() audit.Body { p := publish; p.Filter.Kinds = []string{"steer"}; return p }},
		{"negative size", func() audit.Body { p := publish; p.EdgeSize = -1; return p }},
		{"withdrawal without its statement", func() audit.Body { w := withdraw; w.Statement = nil; return w }},
		{"withdrawal of other entries than stated", func() audit.Body { w := withdraw; w.Entries = w.Entries[:1]; return w }},
		{"withdrawal of another range than stated", func() audit.Body { w := withdraw; w.SeqTo++; return w }},
		{"withdrawal by nobody", func() audit.Body { w := withdraw; w.Signers = nil; return w }},
		{"member with a space", func() audit.Body { return audit.Member{Action: "add", Role: "edge", Name: "e 1"} }},
		{"member with a plus", func() audit.Body { return audit.Member{Action: "add", Role: "edge", Name: "e+1"} }},
		{"member of no role", func() audit.Body { return audit.Member{Action: "add", Role: "root", Name: "e1"} }},
		{"no receipts", func() audit.Body { return audit.Receipts{} }},
		{"receipt of nonsense", func() audit.Body { return audit.Receipts{Items: []audit.SignedReceipt{{Body: []byte("x")}}} }},
		{"refusal at no stage", func() audit.Body { return audit.Reject{Stage: "later", Reason: "scope"} }},
		{"refusal with a novel", func() audit.Body {
			return audit.Reject{Stage: "apply", Reason: "scope", Detail: strings.Repeat("x", 513)}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := audit.NewLeaf(0, 0, c.body()); err == nil {
				t.Error("got no error")
			}
		})
	}
}

func TestDescriptionsHaveNoControlCharacters(t *testing.T) {
	leaf, err := audit.NewLeaf(0, 0, audit.Reject{Hotline: "h", Stage: "apply", Reason: "scope", Detail: "\x1b[2J\u202eevil\u0085\r\n", Node: "c1"})
	if err != nil {
		t.Fatal(err)
	}
	got := leaf.Describe()
	for _, r := range got {
		if r < ' ' || r == 0x202e || r >= 0x7f && r < 0xa0 {
			t.Errorf("description %q has %U", got, r)
		}
	}
	if want := `\x1b[2J\u202eevil\u0085\r\n`; !strings.Contains(got, want) {
		t.Errorf("got %q, want it to hold %q", got, want)
	}
}
