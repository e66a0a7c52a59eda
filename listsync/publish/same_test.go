package publish

import (
	"bytes"
	"os"
	"testing"
)

func TestSameBytesSeesEveryDifference(t *testing.T) {
	path := t.TempDir() + "/file"
	for _, n := range []int{0, 1, compareBlock - 1, compareBlock, compareBlock + 1, 2 * compareBlock} {
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
