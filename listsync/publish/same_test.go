package publish

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
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

func TestALinkedFileHasItsNameAndMode(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := os.WriteFile(from, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	put := func(name, text string) func() error {
		return func() error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, name)), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
	}
	for name, before := range map[string]func() error{
		"no file before":     func() error { return os.RemoveAll(to) },
		"the same before":    func() error { return errors.Join(os.RemoveAll(to), os.Link(from, to)) },
		"another before":     put("to", "old"),
		"a killed command's": put(".to.link", "old"),
	} {
		if err := before(); err != nil {
			t.Fatal(err)
		}
		if err := linkFile(from, to, 0o644); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b, err := os.ReadFile(to)
		info, serr := os.Stat(to)
		if err != nil || serr != nil || string(b) != "new" || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: got %q, %v, %v %v", name, b, info.Mode(), err, serr)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
			t.Errorf("%s: left %q", name, left)
		}
	}
	if err := linkFile(filepath.Join(dir, "nothing"), to, 0o644); err == nil {
		t.Error("a file that is not there was linked")
	}
}
