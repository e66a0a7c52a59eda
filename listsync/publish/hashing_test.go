package publish

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"testing"
	"testing/iotest"
)

func TestTheHashBesideAReaderIsThatOfTheBytes(t *testing.T) {
	for _, n := range []int{0, 1, hashBlock - 1, hashBlock, hashBlock + 1, 5*hashBlock + 7} {
		want := bytes.Repeat([]byte("entry"), n/5+1)[:n]
		for name, r := range map[string]io.Reader{"whole": bytes.NewReader(want), "with a late end": iotest.DataErrReader(bytes.NewReader(want))} {
			h := newHashReader(r)
			got, err := io.ReadAll(h)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes, %s: got %d bytes and %v", n, name, len(got), err)
			}
			if sum := h.Sum(); sum != sha256.Sum256(want) {
				t.Errorf("%d bytes, %s: got %x, want %x", n, name, sum, sha256.Sum256(want))
			}
		}
	}
}

func TestSameBytesSeesEveryDifference(t *testing.T) {
	path := t.TempDir() + "/file"
	for _, n := range []int{0, 1, hashBlock - 1, hashBlock, hashBlock + 1, 2 * hashBlock} {
		b := bytes.Repeat([]byte("x"), n)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		others := map[string][]byte{"longer": append(bytes.Clone(b), 'x')}
		if n > 0 {
			last := bytes.Clone(b)
			last[n-1] = 'y'
			others["shorter"], others["last byte"] = b[:n-1], last
		}
		if same, err := sameBytes(path, b); err != nil || !same {
			t.Errorf("%d bytes: got %t, %v; want the same", n, same, err)
		}
		for name, o := range others {
			if same, err := sameBytes(path, o); err != nil || same {
				t.Errorf("%d bytes, %s: got %t, %v; want a difference", n, name, same, err)
			}
		}
	}
}
