package trust_test

import (
	"bytes"
	"encoding/hex"
	"io"
	"testing"

	"filippo.io/age"

	"github.com/cordon-project/cordon/listsync/trust"
)

func TestMarksStayWithTheKeys(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for n := range 9 {
		k := epochKeys()
		k.Marks = bytes.Repeat([]byte{0xc5}, n*trust.MarkSize)
		for range 2 { // from the hotline to a cluster, from there to an edge
			b, err := trust.WrapKeys(k, id.Recipient().String())
			if err != nil {
				t.Fatal(err)
			}
			got, err := trust.UnwrapKeys(b, id)
			if err != nil || !sameKeys(got, epochKeys()) || !bytes.Equal(got.Marks, k.Marks) {
				t.Fatalf("%d marks: got %x, %v", n, got.Marks, err)
			}
			k = got
		}
		k.Close()
	}
	for _, n := range []int{trust.MarkSize - 1, 9 * trust.MarkSize} {
		k := epochKeys()
		k.Marks = make([]byte, n)
		_, err := trust.WrapKeys(k, id.Recipient().String())
		wantReason(t, err, "format")
	}
}

// The vector of KEYS.md, and forms of it that are not the one form.
func TestSealedMarksHaveOneForm(t *testing.T) {
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
	k := epochKeys()
	for i := range 2 * trust.MarkSize {
		k.Marks = append(k.Marks, byte(0xa0+i))
	}
	want, err := hex.DecodeString("a60101026a6e6f7274682f6d61696e0307045820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0550808182838485868788898a8b8c8d8e8f" +
		"065820a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf")
	if err != nil {
		t.Fatal(err)
	}
	b, err := trust.WrapKeys(k, id.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(bytes.NewReader(b), id)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(r); err != nil || !bytes.Equal(plain, want) {
		t.Errorf("got %x, want %x (%v)", plain, want, err)
	}
	at := bytes.LastIndex(want, []byte{6, 0x58, 0x20})
	for name, plain := range map[string][]byte{
		"no marks in six pairs":  append(bytes.Clone(want[:at]), 6, 0x40),
		"marks in five pairs":    append([]byte{0xa5}, want[1:]...),
		"half a mark":            append(bytes.Clone(want[:at]), append([]byte{6, 0x48}, want[at+3:at+11]...)...),
		"a long head":            append(append(bytes.Clone(want[:at]), 6, 0x59, 0, 0x20), want[at+3:]...),
		"cut off":                want[:len(want)-1],
		"something behind":       append(bytes.Clone(want), 0),
		"the key of another map": append(append(bytes.Clone(want[:at]), 7), want[at+1:]...),
	} {
		k, err := trust.UnwrapKeys(seal(plain), id)
		if err == nil {
			k.Close()
			t.Errorf("%s: taken", name)
		}
	}
}
