package trust_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/fxamacker/cbor/v2"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

func epochKeys() trust.EpochKeys {
	k := trust.EpochKeys{List: mainID, Epoch: 7, Keys: new(match.Keys)}
	for i := range k.Keys.Match {
		k.Keys.Match[i] = byte(i)
	}
	for i := range k.Keys.Gate {
		k.Keys.Gate[i] = byte(0x80 + i)
	}
	return k
}

func sameKeys(a, b trust.EpochKeys) bool {
	return a.List == b.List && a.Epoch == b.Epoch && a.Keys.Match == b.Keys.Match && a.Keys.Gate == b.Keys.Gate
}

func TestWrappedKeysOpenForTheirRecipientOnly(t *testing.T) {
	x25519, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name      string
		recipient string
		mine      age.Identity
		other     age.Identity
	}{
		{"x25519", x25519.Recipient().String(), x25519, hybrid},
		{"hybrid", hybrid.Recipient().String(), hybrid, x25519},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, err := trust.WrapKeys(epochKeys(), test.recipient)
			if err != nil {
				t.Fatal(err)
			}
			if len(b) > trust.MaxWrappedKeys/2 {
				t.Errorf("wrapped keys have %d bytes", len(b))
			}
			if k := epochKeys(); bytes.Contains(b, k.Keys.Match[:]) || bytes.Contains(b, k.Keys.Gate[:]) {
				t.Error("a key is in the clear")
			}
			got, err := trust.UnwrapKeys(b, test.mine)
			if err != nil || !sameKeys(got, epochKeys()) {
				t.Fatalf("got %v, %v", got, err)
			}
			got.Close()
			_, err = trust.UnwrapKeys(b, test.other)
			wantReason(t, err, "format")
			for _, i := range []int{0, len(b) / 2, len(b) - 1} {
				changed := bytes.Clone(b)
				changed[i] ^= 1
				_, err := trust.UnwrapKeys(changed, test.mine)
				wantReason(t, err, "format")
			}
			_, err = trust.UnwrapKeys(b[:len(b)-1], test.mine)
			wantReason(t, err, "format")
		})
	}
}

// What somebody sealed properly, but is not keys.
func TestSealedRubbishIsRefused(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	seal := func(plain []byte) []byte {
		var out bytes.Buffer
		w, err := age.Encrypt(&out, id.Recipient())
		if err == nil {
			_, err = w.Write(plain)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	mode, _ := cbor.CoreDetEncOptions().EncMode()
	keys := func(change func(map[int]any)) []byte {
		k := epochKeys()
		m := map[int]any{1: 1, 2: string(k.List), 3: k.Epoch, 4: k.Keys.Match[:], 5: k.Keys.Gate[:]}
		change(m)
		b, err := mode.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return seal(b)
	}
	tests := []struct {
		name, reason string
		b            []byte
	}{
		{"good", "", keys(func(map[int]any) {})},
		{"nothing", "format", seal(nil)},
		{"text", "format", seal([]byte("hello"))},
		{"version 2", "format", keys(func(m map[int]any) { m[1] = 2 })},
		{"list that is none", "format", keys(func(m map[int]any) { m[2] = "North" })},
		{"short key", "format", keys(func(m map[int]any) { m[4] = make([]byte, 31) })},
		{"long key", "format", keys(func(m map[int]any) { m[5] = make([]byte, 17) })},
		{"longer form of a number", "format", seal(spliceHead(trust.PlainKeys(epochKeys())))},
		{"list of another length", "format", seal([]byte{0xa5, 1, 1, 2, 0x78, 0xff})},
		{"trailing byte", "format", seal(append(trust.PlainKeys(epochKeys()), 0))},
		{"unknown field", "format", keys(func(m map[int]any) { m[6] = 1 })},
		{"a bomb", "too_large", seal(make([]byte, 4096))},
		{"more than a file has", "too_large", make([]byte, trust.MaxWrappedKeys+1)},
		{"no age file", "format", []byte("age-encryption.org/v1\n")},
		{"armored", "format", []byte("-----BEGIN AGE ENCRYPTED FILE-----\n")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := trust.UnwrapKeys(test.b, id)
			wantReason(t, err, test.reason)
		})
	}
}

// spliceHead writes the epoch, 7, in two bytes instead of one.
func spliceHead(plain []byte) []byte {
	at := bytes.Index(plain, []byte{3, 7, 4})
	return slices.Concat(plain[:at], []byte{3, 0x18, 7}, plain[at+2:])
}

// The form is that of any CBOR library, at each length of a head.
func TestThePlainFormIsCoreDeterministicCBOR(t *testing.T) {
	mode, _ := cbor.CoreDetEncOptions().EncMode()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, epoch := range []uint32{0, 1, 23, 24, 255, 256, 65535, 65536, 1<<32 - 1} {
		for _, list := range []match.ListID{"a/b", "north/main-list-of-a-long-name", match.ListID(strings.Repeat("x", 31) + "/" + strings.Repeat("y", 31))} {
			k := epochKeys()
			k.List, k.Epoch = list, epoch
			want, err := mode.Marshal(map[int]any{1: 1, 2: string(list), 3: epoch, 4: k.Keys.Match[:], 5: k.Keys.Gate[:]})
			if err != nil {
				t.Fatal(err)
			}
			if got := trust.PlainKeys(k); !bytes.Equal(got, want) {
				t.Errorf("%s epoch %d: got %x\nwant %x", list, epoch, got, want)
			}
			b, err := trust.WrapKeys(k, id.Recipient().String())
			if err != nil {
				t.Fatal(err)
			}
			got, err := trust.UnwrapKeys(b, id)
			if err != nil || !sameKeys(got, k) {
				t.Fatalf("%s epoch %d: %v, %v", list, epoch, got, err)
			}
			got.Close()
		}
	}
}

func TestRecipientsThatAreNotNativeAreRefused(t *testing.T) {
	for _, r := range []string{"", "age1", "ssh-ed25519 AAAA", "AGE-SECRET-KEY-1", strings.Repeat("a", 5000), "age1yubikey1qxxxx"} {
		if _, err := trust.WrapKeys(epochKeys(), r); trust.Reason(err) != "format" && trust.Reason(err) != "too_large" {
			t.Errorf("%.20q: got %v", r, err)
		}
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	_, err = trust.WrapKeys(trust.EpochKeys{List: match.ListID("x"), Keys: new(match.Keys)}, id.Recipient().String())
	wantReason(t, err, "format")
}

func TestKeysDoNotPrint(t *testing.T) {
	k := epochKeys()
	for _, s := range []string{fmt.Sprint(k), fmt.Sprintf("%+v", k), fmt.Sprintf("%#v", k), fmt.Sprintf("%v", &k)} {
		if strings.Contains(s, "1 2 3") || strings.Contains(s, "0x1") || !strings.Contains(s, "redacted") {
			t.Errorf("got %q", s)
		}
	}
}

func FuzzUnwrapKeys(f *testing.F) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		f.Fatal(err)
	}
	b, err := trust.WrapKeys(epochKeys(), id.Recipient().String())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("age-encryption.org/v1\n-> X25519 x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := trust.UnwrapKeys(b, id)
		if r := trust.Reason(err); r != "" && r != "format" && r != "too_large" {
			t.Fatalf("reason: got %q (%v)", r, err)
		}
		if err != nil {
			return
		}
		defer k.Close()
		if _, bad := match.ParseListID(string(k.List)); bad != nil {
			t.Fatalf("got %v", k)
		}
	})
}

func FuzzVerifyWithdrawal(f *testing.F) {
	h, _ := north(f)
	f.Add(h.Withdraw(statement(1), 0))
	f.Add(h.Withdraw(statement(30), 0, 1))
	f.Add([]byte{0xa2, 1, 0x40, 2, 0x80})
	f.Fuzz(func(t *testing.T, raw []byte) {
		w, signers, err := trust.VerifyWithdrawal(h.OfficerKeys(), raw, now)
		if err != nil {
			if trust.Reason(err) == "other" {
				t.Fatalf("no reason: %v", err)
			}
			return
		}
		if len(signers) == 0 || len(w.Entries) > trust.MaxSingleWithdrawal && len(signers) < 2 {
			t.Fatalf("believed: %+v by %v", w, signers)
		}
	})
}
