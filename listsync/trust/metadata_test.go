package trust_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

func TestMetadataSurvivesEncoding(t *testing.T) {
	h, m := north(t)
	for range 2 {
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := trust.DecodeMetadata(b)
		if err != nil {
			t.Fatal(err)
		}
		if again.Hash() != m.Hash() {
			t.Errorf("hash: got %x, want %x", again.Hash(), m.Hash())
		}
		if _, err := trust.Verify(h.Pinned, trust.HighWater{}, again, now); err != nil {
			t.Errorf("decoded metadata: %v", err)
		}
		h.RotateRoot(now)
		m = h.Publish(now)
	}
}

func TestMetadataHasOneEncoding(t *testing.T) {
	_, m := north(t)
	good, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	encode := func(v any) []byte {
		b, err := cbor.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	fields := map[int]any{1: [][]byte{}, 2: m.Timestamp, 3: m.Snapshot, 4: m.Targets, 5: m.List, 6: m.Charter}
	with := func(k int, v any) []byte {
		c := map[int]any{}
		for i, f := range fields {
			c[i] = f
		}
		c[k] = v
		mode, _ := cbor.CoreDetEncOptions().EncMode()
		b, err := mode.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if !bytes.Equal(with(6, m.Charter), good) {
		t.Fatal("the test does not know the encoding")
	}
	tests := []struct {
		name, reason string
		b            []byte
	}{
		{"good", "", good},
		{"empty", "format", nil},
		{"trailing byte", "format", append(bytes.Clone(good), 0)},
		{"cut short", "format", good[:len(good)-1]},
		{"unknown key", "format", with(7, []byte("x"))},
		{"null roots", "format", with(1, nil)},
		{"null part", "format", with(3, nil)},
		{"empty part", "format", with(3, []byte{})},
		{"part as text", "format", with(3, "text")},
		{"part missing", "format", encode(map[int]any{1: [][]byte{}})},
		{"nine roots", "too_large", with(1, [][]byte{{1}, {1}, {1}, {1}, {1}, {1}, {1}, {1}, {1}})},
		{"too long", "too_large", make([]byte, trust.MaxMetadata+1)},
		{"indefinite length", "format", append([]byte{0xbf}, append(good[1:len(good):len(good)], 0xff)...)},
		{"tagged", "format", append([]byte{0xc1}, good...)},
		{"longer head", "format", append([]byte{0xb8, 6}, good[1:]...)},
		{"array instead of map", "format", encode([]any{[][]byte{}, m.Timestamp, m.Snapshot, m.Targets, m.List, m.Charter})},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := trust.DecodeMetadata(test.b)
			wantReason(t, err, test.reason)
		})
	}
	t.Run("encode what is too large", func(t *testing.T) {
		big := m
		big.List = make([]byte, trust.MaxMetadata)
		_, err := big.Encode()
		wantReason(t, err, "too_large")
	})
}

// FuzzDecodeMetadata: whatever decodes encodes to the same bytes, and Verify of it has a reason.
func FuzzDecodeMetadata(f *testing.F) {
	h, m := north(f)
	good, err := m.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := trust.DecodeMetadata(b)
		if err != nil {
			if r := trust.Reason(err); r != "format" && r != "too_large" {
				t.Fatalf("reason: got %q (%v)", r, err)
			}
			return
		}
		again, err := m.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("got %x, %v, want %x", again, err, b)
		}
		if _, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now); trust.Reason(err) == "other" {
			t.Fatalf("no reason: %v", err)
		}
	})
}

// FuzzVerify changes one part of good metadata, once as a mirror can (bytes) and once as a thief of every key could (the signed
// part, signed again): nothing may panic, and nothing that is believed may be under another scope, path or threshold.
func FuzzVerify(f *testing.F) {
	h, m := north(f)
	parts := func(m *trust.Metadata) []*[]byte {
		return []*[]byte{&m.Timestamp, &m.Snapshot, &m.Targets, &m.List, &m.Charter}
	}
	signers := [][]ed25519.PrivateKey{{h.Timestamp}, {h.Snapshot}, h.Accreditation[:2], h.Officers[:2], nil, h.Root}
	for i, p := range parts(&m) {
		f.Add(uint8(i), false, *p)
		f.Add(uint8(i), true, *p)
	}
	f.Add(uint8(5), true, h.Pinned)
	f.Fuzz(func(t *testing.T, which uint8, resign bool, b []byte) {
		if len(b) > 16<<10 {
			return
		}
		changed, pinned := m, h.Pinned
		i := int(which) % 6
		if resign && i != 4 && bytes.Contains(b, []byte(`],"signed":`)) && bytes.HasSuffix(b, []byte("}")) {
			b = trusttest.Sign(b, signers[i]...)
		}
		if i == 5 {
			pinned = b
		} else {
			*parts(&changed)[i] = b
		}
		switch {
		case resign && i == 4:
			changed = h.RepinCharter(changed)
		case resign && (i == 2 || i == 3):
			changed = h.Repin(changed)
		}
		v, err := trust.Verify(pinned, trust.HighWater{}, changed, now)
		if err != nil {
			if trust.Reason(err) == "other" {
				t.Fatalf("no reason: %v", err)
			}
			return
		}
		if v.Officers.Threshold < 2 || len(v.Officers.Keys) < 3 || v.Hotline != "north" || !v.Expires.After(now) {
			t.Fatalf("believed: %+v", v)
		}
		for _, l := range v.Lists {
			if l.Edge.Path != trust.EdgePath(l.List, l.Seq) || l.List.Hotline() != "north" {
				t.Fatalf("believed: %+v", l)
			}
		}
	})
}
