package trust_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

const logOrigin = "canary.north.test/north/log"

func logKey(t *testing.T, pub ed25519.PublicKey) string {
	t.Helper()
	s, err := trust.LogKey(logOrigin, pub)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// golang.org/x/mod/sumdb/note writes and reads the same key.
func TestLogKeyIsANoteVerifierKey(t *testing.T) {
	pub := trusttest.Key("log").Public().(ed25519.PublicKey)
	s := logKey(t, pub)
	want, err := note.NewEd25519VerifierKey(logOrigin, pub)
	if err != nil || s != want {
		t.Fatalf("got %s, want %s, %v", s, want, err)
	}
	origin, got, err := trust.ParseLogKey(s)
	if err != nil || origin != logOrigin || !got.Equal(pub) {
		t.Errorf("got %s %x, %v", origin, got, err)
	}
}

func TestOtherLogKeysAreRefused(t *testing.T) {
	good := logKey(t, trusttest.Key("log").Public().(ed25519.PublicKey))
	tests := map[string]string{
		"nothing":            "",
		"no hash":            strings.Replace(good, "+", "", 1),
		"another hash":       strings.Replace(good, "+", "+0", 1),
		"another name":       strings.Replace(good, "north", "south", 1),
		"cut off":            good[:len(good)-1],
		"a line break":       good + "\n",
		"hash in capitals":   strings.ToUpper(good),
		"another type":       strings.Replace(good, "+A", "+B", 1),
		"a key behind a key": good + "+" + good,
	}
	for name, s := range tests {
		t.Run(name, func(t *testing.T) {
			if s == good {
				t.Fatal("the test changed nothing")
			}
			_, _, err := trust.ParseLogKey(s)
			wantReason(t, err, "format")
		})
	}
	for _, origin := range []string{"", "north", "north/log", "canary.north.test", "Canary.test/log", "canary.test/", "canary.test//log", "canary.test/.log", "canary.test/a b", "canary.test/" + strings.Repeat("n", 128)} {
		if _, err := trust.LogKey(origin, trusttest.Key("log").Public().(ed25519.PublicKey)); err == nil {
			t.Errorf("origin %q is taken", origin)
		}
	}
}

// A thief of one key must not get two roles with it, and a log's key is where a thief looks first.
func TestLogKeyInAnotherRoleIsRefused(t *testing.T) {
	for name, key := range map[string]func(*trusttest.Hotline) ed25519.PrivateKey{
		"root":      func(h *trusttest.Hotline) ed25519.PrivateKey { return h.Root[4] },
		"timestamp": func(h *trusttest.Hotline) ed25519.PrivateKey { return h.Timestamp },
		"officer":   func(h *trusttest.Hotline) ed25519.PrivateKey { return h.Officers[2] },
		"":          func(h *trusttest.Hotline) ed25519.PrivateKey { return trusttest.Key("log") },
	} {
		t.Run("of "+name, func(t *testing.T) {
			h := trusttest.New(seed, "north", now)
			h.Charter.Log = logKey(t, key(h).Public().(ed25519.PublicKey))
			want := "key_roles"
			if name == "" {
				want = ""
			}
			v, err := trust.Verify(h.Pinned, trust.HighWater{}, h.Publish(now, trusttest.Files(mainID, 1)), now)
			wantReason(t, err, want)
			if err == nil && v.Charter.Log != h.Charter.Log {
				t.Errorf("got log %q", v.Charter.Log)
			}
		})
	}
}

func TestListSignedIsWhatOfficersSign(t *testing.T) {
	h := trusttest.New(seed, "north", now)
	m := h.Publish(now, trusttest.Files(mainID, 1))
	signed, err := trust.ListSigned(m.List)
	if err != nil || !bytes.Contains(m.List, signed) || !bytes.HasPrefix(signed, []byte(`{"_type":"targets"`)) {
		t.Fatalf("got %.40s, %v", signed, err)
	}
	more, err := trust.Sign(m.List, h.Officers[2])
	if err != nil {
		t.Fatal(err)
	}
	if again, err := trust.ListSigned(more); err != nil || sha256.Sum256(again) != sha256.Sum256(signed) {
		t.Errorf("a further signature changes what is signed: %v", err)
	}
	_, err = trust.ListSigned([]byte("{}"))
	wantReason(t, err, "format")
}

func FuzzLogKey(f *testing.F) {
	s, _ := trust.LogKey(logOrigin, trusttest.Key("log").Public().(ed25519.PublicKey))
	f.Add(s)
	f.Fuzz(func(t *testing.T, s string) {
		origin, pub, err := trust.ParseLogKey(s)
		if err != nil {
			return
		}
		if again, err := trust.LogKey(origin, pub); err != nil || again != s {
			t.Fatalf("got %q, %v of %q", again, err, s)
		}
		if v, err := note.NewVerifier(s); err != nil || v.Name() != origin {
			t.Fatalf("note does not take %q: %v", s, err)
		}
	})
}
