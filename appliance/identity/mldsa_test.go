package identity

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/mldsa"

	"github.com/cordon-project/cordon/cluster/audit"
)

func TestTheSecondKeyIsTheDocumentsOne(t *testing.T) {
	s, err := holdMLDSA(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../cluster/audit/LEAF.md")
	if err != nil {
		t.Fatal(err)
	}
	key, err := audit.MLDSAKey("isp.example/cordon", "c3", s.public.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), "\nML-DSA cosignature key of c3 = "+key+"\n") {
		t.Errorf("LEAF.md has another key than %s...", key[:60])
	}
}

func TestSignaturesOfTheSecondKeyVerify(t *testing.T) {
	s, err := holdMLDSA(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	var before []byte
	for _, message := range []string{"", "a", "a"} {
		sig, err := s.Sign(nil, []byte(message), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := mldsa.Verify(s.Public().(*mldsa.PublicKey), []byte(message), sig, nil); err != nil {
			t.Errorf("%q: %v", message, err)
		}
		if bytes.Equal(sig, before) {
			t.Error("two signatures are the same bytes: they should be hedged")
		}
		before = sig
	}
	for _, f := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if text := fmt.Sprintf(f, s); text != "ML-DSA key (redacted)" {
			t.Errorf("%s prints %q", f, text)
		}
	}
}

// A key file that comes back, from a disk or a TPM, has the same second half as when the cluster was made.
func TestAMembersKeyFileHasTheSecondKeyOfTheClusterFile(t *testing.T) {
	m, text, err := newMemberKey("control-1", false)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "node.key")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		k, err := LoadSigningKey(path)
		if err != nil {
			t.Fatal(err)
		}
		if !m.Key.Equal(k.Private.Public()) || !bytes.Equal(m.MLDSA, k.MLDSA.Public().(*mldsa.PublicKey).Bytes()) {
			t.Error("the loaded key is another one than the cluster file's")
		}
	}
	other, _, err := newMemberKey("control-2", false)
	if err != nil || bytes.Equal(m.MLDSA, other.MLDSA) {
		t.Errorf("two members with one key: %v", err)
	}
}

func BenchmarkMLDSASign(b *testing.B) {
	s, err := holdMLDSA(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Sign(nil, []byte("a"), nil); err != nil {
			b.Fatal(err)
		}
	}
}
