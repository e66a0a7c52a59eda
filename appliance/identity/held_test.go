package identity

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
)

// Ed25519 is deterministic: a key in locked memory signs exactly as crypto/ed25519 does.
func TestASignatureIsThatOfTheStandardLibrary(t *testing.T) {
	for i := range 200 {
		public, plain, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s, err := holdSigner(plain)
		if err != nil {
			t.Fatal(err)
		}
		message := make([]byte, i*7)
		rand.Read(message)
		got, err := s.Sign(nil, message, crypto.Hash(0))
		if want := ed25519.Sign(plain, message); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("message of %d bytes: %x, %v, want %x", len(message), got, err, want)
		}
		if !public.Equal(s.Public()) {
			t.Fatal("another public key")
		}
	}
}

func TestASignerRefusesHashes(t *testing.T) {
	_, plain, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := holdSigner(plain)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(nil, make([]byte, 64), crypto.SHA512); err == nil {
		t.Error("a hash was signed as a message")
	}
}

func TestAHeldIdentityOpensWhatIsSealedForIt(t *testing.T) {
	plain, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	id, recipient, err := holdAge([]byte(plain.String()))
	if err != nil || recipient != plain.Recipient().String() {
		t.Fatalf("recipient %s, %v", recipient, err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	seal := func(to age.Recipient) []byte {
		var b bytes.Buffer
		w, err := age.Encrypt(&b, to)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte("content"))
		w.Close()
		return b.Bytes()
	}
	mine, others := seal(plain.Recipient()), seal(other.Recipient())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			r, err := age.Decrypt(bytes.NewReader(mine), id)
			if err != nil {
				t.Error(err)
				return
			}
			var b bytes.Buffer
			if b.ReadFrom(r); b.String() != "content" {
				t.Errorf("opened %q", b.String())
			}
			if _, err := age.Decrypt(bytes.NewReader(others), id); err == nil {
				t.Error("opened what is sealed for another")
			}
		})
	}
	wg.Wait()
	if _, _, err := holdAge([]byte("AGE-SECRET-KEY-1QQQ")); err == nil {
		t.Error("rubbish is an identity")
	}
}

func TestHeldKeysDoNotPrint(t *testing.T) {
	_, plain, _ := ed25519.GenerateKey(rand.Reader)
	s, err := holdSigner(plain)
	if err != nil {
		t.Fatal(err)
	}
	agePlain, _ := age.GenerateX25519Identity()
	id, _, err := holdAge([]byte(agePlain.String()))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []any{s, id, SigningKey{Private: s}, AgeKey{Identity: id}} {
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			if got := fmt.Sprintf(verb, k); strings.Contains(got, "AGE-SECRET") || len(got) > 200 {
				t.Errorf("%T prints %q", k, got)
			}
		}
	}
}
