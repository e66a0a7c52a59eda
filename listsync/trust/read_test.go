package trust_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

func TestKeyIDIsThatOfTUF(t *testing.T) {
	pub := trusttest.Key("some").Public().(ed25519.PublicKey)
	key, err := metadata.KeyFromPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	want, err := key.ID()
	if got := trust.KeyID(pub); err != nil || got != want {
		t.Errorf("got %s, want %s (%v)", got, want, err)
	}
}

// FuzzReadMetadata holds the readers against go-tuf: what our form lets through, go-tuf reads without a panic, and writes as the very
// same bytes. So there is one document under a signature.
func FuzzReadMetadata(f *testing.F) {
	h, m := north(f)
	for _, b := range [][]byte{h.Pinned, m.Timestamp, m.Snapshot, m.Targets, m.List} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 16<<10 {
			return
		}
		if bytes.Contains(b, []byte("x-cordon-")) {
			return // fields of ours may hold numbers go-tuf rounds: Verify compares the bytes and refuses
		}
		var again []byte
		if _, err := trust.ReadRoot(b); err == nil {
			again = rewrite(t, b, metadata.Root())
		}
		if _, _, err := trust.ReadTargets(b); err == nil {
			again = rewrite(t, b, metadata.Targets())
		}
		if _, err := trust.ReadList(b, "north"); err == nil {
			again = rewrite(t, b, metadata.Targets())
		}
		if _, _, err := trust.ReadSnapshot(b, "north"); err == nil {
			again = rewrite(t, b, metadata.Snapshot())
		}
		if _, err := trust.ReadTimestamp(b); err == nil {
			again = rewrite(t, b, metadata.Timestamp())
		}
		if again == nil {
			return
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("go-tuf reads another document: got %s\nwant %s", again, b)
		}
		if _, err := trust.Describe(b); err != nil {
			t.Fatalf("read but not described: %v", err)
		}
	})
}

func rewrite[T metadata.Roles](t *testing.T, b []byte, m *metadata.Metadata[T]) []byte {
	t.Helper()
	m, err := m.FromBytes(b)
	if err != nil {
		t.Fatalf("go-tuf cannot read it: %v", err)
	}
	again, err := m.ToBytes(false)
	if err != nil {
		t.Fatalf("go-tuf cannot write it: %v", err)
	}
	return again
}
