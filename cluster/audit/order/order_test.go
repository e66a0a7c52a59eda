package order_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

const cluster = "00112233445566778899aabbccddeeff"

var now = time.Unix(1780000000, 0)

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("order test " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func officers() []order.Officer {
	var out []order.Officer
	for _, n := range []string{"ada", "grace", "joan"} {
		out = append(out, order.Officer{Name: n, Key: key(n).Public().(ed25519.PublicKey)})
	}
	return out
}

// bodies is one good body of each kind.
func bodies() []order.Body {
	list, e := match.ListID("hotline-one/main"), []match.EntryID{{1}, {2}}
	return []order.Body{
		order.Suppress{List: list, Epoch: 1, Entries: e},
		order.Policy{NeverBlock: [32]byte{1}, Count: 3},
		order.Approve{List: list, Seq: 2, Edge: [32]byte{1}, Entries: e, Brakes: []string{"growth", "never_block"}, NeverBlock: [32]byte{1}},
		order.Return{List: list, Seq: 2, Edge: [32]byte{1}, High: 4, HighEdge: [32]byte{2}, Entries: e},
		order.Bypass{},
		pin(),
	}
}

func pin() order.Pin {
	h := trusttest.New("order test", "hotline-two", now)
	return order.Pin{Hotline: h.ID, Root: sha256.Sum256(h.Pinned), Document: h.Pinned}
}

// changed is the pin of another root than the one that it brings, or of none at all.
func changed(change func(p *order.Pin)) order.Order {
	p := pin()
	change(&p)
	return good(p)
}

func good(b order.Body) order.Order {
	return order.Order{Cluster: cluster, Number: 1, Issued: now.Unix(), Expires: now.Unix() + 3600, Reason: "appeal", Body: b}
}

func sign(t testing.TB, o order.Order, by ...string) []byte {
	t.Helper()
	raw, err := order.Sign(o, by[0], key(by[0]))
	for _, n := range by[1:] {
		if err == nil {
			raw, err = order.Countersign(raw, n, key(n))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestTwoOfficersOrderAndOneDoesNot(t *testing.T) {
	for _, b := range bodies() {
		t.Run(string(b.Kind()), func(t *testing.T) {
			raw := sign(t, good(b), "grace", "ada")
			o, by, err := order.Verify(officers(), cluster, raw, now)
			if err != nil || strings.Join(by, " ") != "ada grace" || o.Body.Kind() != b.Kind() || o.Describe() == "" {
				t.Fatalf("got %+v by %v, %v", o, by, err)
			}
			if _, _, err := order.Verify(officers(), cluster, sign(t, good(b), "ada"), now); !errors.Is(err, trust.ErrThreshold) {
				t.Errorf("one officer: %v, want ErrThreshold", err)
			}
			if _, _, err := order.Verify(officers(), cluster, sign(t, good(b), "ada", "ada"), now); !errors.Is(err, trust.ErrThreshold) {
				t.Errorf("one officer twice: %v, want ErrThreshold", err)
			}
		})
	}
}

func TestOrdersThatAreNotVerified(t *testing.T) {
	raw := sign(t, good(order.Bypass{}), "ada", "grace")
	stolen, err := order.Countersign(sign(t, good(order.Bypass{}), "ada"), "grace", key("ada"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		raw  []byte
		of   []order.Officer
		in   string
		at   time.Time
		want error
	}{
		{"another cluster", raw, officers(), strings.Repeat("0", 32), now, trust.ErrSignature},
		{"no officers", raw, nil, cluster, now, trust.ErrSignature},
		{"a stranger beside an officer", sign(t, good(order.Bypass{}), "ada", "mallory"), officers(), cluster, now, trust.ErrSignature},
		{"a stranger beside two officers", sign(t, good(order.Bypass{}), "ada", "grace", "mallory"), officers(), cluster, now, trust.ErrSignature},
		{"one key under two names", stolen, officers(), cluster, now, trust.ErrSignature},
		{"expired", raw, officers(), cluster, now.Add(time.Hour), trust.ErrExpired},
		{"from the future", raw, officers(), cluster, now.Add(-11 * time.Minute), trust.ErrExpired},
		{"another spelling", append(bytes.Clone(raw), 0), officers(), cluster, now, trust.ErrFormat},
		{"too large", make([]byte, order.MaxSize+1), officers(), cluster, now, trust.ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, err := order.Verify(c.of, c.in, c.raw, c.at); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestOrdersThatNobodyCanSign(t *testing.T) {
	with := func(change func(o *order.Order)) order.Order {
		o := good(order.Suppress{List: "hotline-one/main", Epoch: 1, Entries: []match.EntryID{{1}}})
		change(&o)
		return o
	}
	many := make([]match.EntryID, order.MaxSuppressed+1)
	for i := range many {
		many[i] = match.EntryID{byte(i >> 8), byte(i)}
	}
	for _, c := range []struct {
		name string
		o    order.Order
		want error
	}{
		{"nothing", with(func(o *order.Order) { o.Body = nil }), trust.ErrFormat},
		{"no cluster", with(func(o *order.Order) { o.Cluster = "" }), trust.ErrFormat},
		{"number 0", with(func(o *order.Order) { o.Number = 0 }), trust.ErrFormat},
		{"31 days", with(func(o *order.Order) { o.Expires = o.Issued + 31*24*3600 }), trust.ErrFormat},
		{"ended before it began", with(func(o *order.Order) { o.Expires = o.Issued }), trust.ErrFormat},
		{"a bypass of two days", with(func(o *order.Order) { o.Body, o.Expires = order.Bypass{}, o.Issued+48*3600 }), trust.ErrFormat},
		{"a reason of one's own", with(func(o *order.Order) { o.Reason = "because" }), trust.ErrFormat},
		{"a name in the reason", with(func(o *order.Order) { o.Reason = "other(a.example.test)" }), trust.ErrFormat},
		{"no entry", with(func(o *order.Order) { o.Body = order.Suppress{List: "hotline-one/main"} }), trust.ErrFormat},
		{"entries twice", with(func(o *order.Order) {
			o.Body = order.Suppress{List: "hotline-one/main", Entries: []match.EntryID{{1}, {1}}}
		}), trust.ErrFormat},
		{"more entries than one order may", with(func(o *order.Order) { o.Body = order.Suppress{List: "hotline-one/main", Entries: many} }), trust.ErrTooLarge},
		{"no list", with(func(o *order.Order) { o.Body = order.Suppress{List: "x", Entries: []match.EntryID{{1}}} }), trust.ErrFormat},
		{"approval of no brake", with(func(o *order.Order) { o.Body = order.Approve{List: "hotline-one/main", Seq: 1} }), trust.ErrFormat},
		{"return to the future", with(func(o *order.Order) { o.Body = order.Return{List: "hotline-one/main", Seq: 5, High: 4} }), trust.ErrFormat},
		{"pin of a root that it does not bring", changed(func(p *order.Pin) { p.Root[0] ^= 1 }), trust.ErrFormat},
		{"pin of something else than a root", changed(func(p *order.Pin) { p.Document = []byte("{}"); p.Root = sha256.Sum256(p.Document) }), trust.ErrFormat},
		{"pin of a root that its own keys have not signed", changed(func(p *order.Pin) {
			p.Document = bytes.Replace(p.Document, []byte(`"sig":"`), []byte(`"sig":"00`), 1)
			p.Root = sha256.Sum256(p.Document)
		}), trust.ErrFormat},
		{"pin of no hotline", changed(func(p *order.Pin) { p.Hotline = "Hotline" }), trust.ErrFormat},
		{"pin of a larger document than any root", changed(func(p *order.Pin) {
			p.Document = make([]byte, order.MaxDocument+1)
			p.Root = sha256.Sum256(p.Document)
		}), trust.ErrTooLarge},
		{"policy without a hash", with(func(o *order.Order) { o.Body = order.Policy{Count: 1} }), trust.ErrFormat},
	} {
		t.Run(c.name, func(t *testing.T) {
			if raw, err := order.Sign(c.o, "ada", key("ada")); !errors.Is(err, c.want) {
				t.Errorf("got %x, %v; want %v", raw, err, c.want)
			}
		})
	}
}

// TestWhatIsSignedIsOneEncoding: whoever spells the same order in other words has signed nothing.
// A name under an order is shown before anybody has verified it.
func TestNamesThatNoOfficerCanHaveAreNotShown(t *testing.T) {
	for _, name := range []string{"x\x1b[2J", "x\nSigned by: ada", "`da", "\u202eada", "Ada"} {
		raw := sign(t, good(order.Bypass{}), "ada")
		var s struct {
			Body       []byte `cbor:"body"`
			Signatures []struct {
				Sig     []byte `cbor:"sig"`
				Officer string `cbor:"officer"`
			} `cbor:"signatures"`
		}
		if err := cbor.Unmarshal(raw, &s); err != nil {
			t.Fatal(err)
		}
		s.Signatures[0].Officer = name
		enc, _ := cbor.CoreDetEncOptions().EncMode()
		forged, err := enc.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, names, err := order.Decode(forged); !errors.Is(err, trust.ErrFormat) || !strings.Contains(err.Error(), "no officer can have") {
			t.Errorf("%q: got names %q and %v", name, names, err)
		}
	}
}

func TestWhatIsSignedIsOneEncoding(t *testing.T) {
	core, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	type m = map[string]any
	bypass := func(change func(m)) []byte {
		o := m{"v": 1, "cluster": cluster, "k": "bypass", "number": 1, "issued": now.Unix(), "expires": now.Unix() + 60, "reason": "error", "b": m{"lift": false}}
		change(o)
		b, err := core.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := core.Marshal(m{"body": b, "signatures": []any{}})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	if _, _, err := order.Decode(bypass(func(m) {})); err != nil {
		t.Fatalf("the order that the others are made from: %v", err)
	}
	for name, change := range map[string]func(m){
		"another version":  func(o m) { o["v"] = 2 },
		"an unknown key":   func(o m) { o["x"] = 1 },
		"a missing key":    func(o m) { delete(o, "reason") },
		"an unknown kind":  func(o m) { o["k"] = "add" },
		"the wrong body":   func(o m) { o["k"] = "policy" },
		"more in the body": func(o m) { o["b"] = m{"lift": false, "names": []string{"x"}} },
		"null for a body":  func(o m) { o["b"] = nil },
	} {
		if o, _, err := order.Decode(bypass(change)); !errors.Is(err, trust.ErrFormat) {
			t.Errorf("%s: got %+v, %v; want ErrFormat", name, o, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, b := range bodies() {
		f.Add(sign(f, good(b), "ada", "grace"))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, _, err := order.Decode(raw)
		if err != nil {
			return
		}
		if _, err := order.Countersign(raw, "joan", key("joan")); err != nil && !errors.Is(err, trust.ErrTooLarge) {
			t.Fatalf("%+v is read and cannot be countersigned: %v", o, err)
		}
	})
}
