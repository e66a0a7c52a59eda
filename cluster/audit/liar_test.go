package audit_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

// part is one member of a bundle in a liar's hands.
type part struct {
	tar.Header
	data []byte
}

func unpack(t *testing.T, bundle []byte) []part {
	t.Helper()
	var out []part
	for tr := tar.NewReader(bytes.NewReader(bundle)); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, part{*h, data})
	}
}

func pack(t *testing.T, parts []part) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, p := range parts {
		h := tar.Header{Typeflag: p.Typeflag, Name: p.Name, Linkname: p.Linkname, Size: int64(len(p.data)), Mode: 0o644}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(p.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// edit repacks a bundle after change.
func edit(t *testing.T, bundle []byte, change func([]part) []part) []byte {
	t.Helper()
	return pack(t, change(unpack(t, bundle)))
}

func find(parts []part, prefix string) int {
	return slices.IndexFunc(parts, func(p part) bool { return strings.HasPrefix(p.Name, prefix) })
}

// leavesOf are the decoded leaves of a log.
func leavesOf(t *testing.T, l *audittest.Log) []audit.Leaf {
	t.Helper()
	var out []audit.Leaf
	for _, b := range l.Leaves {
		leaf, err := audit.DecodeLeaf(b)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, leaf)
	}
	return out
}

// relog replaces the log by other leaves, as they are.
func relog(t *testing.T, l *audittest.Log, change func([]audit.Leaf) []audit.Leaf) {
	t.Helper()
	leaves := change(leavesOf(t, l))
	l.Leaves = nil
	for _, leaf := range leaves {
		l.AppendLeaf(leaf)
	}
}

func body[B audit.Body](t *testing.T, l audit.Leaf) B {
	t.Helper()
	b, err := l.Body()
	if err != nil {
		t.Fatal(err)
	}
	return b.(B)
}

// last is the index of the last leaf of a kind.
func last(t *testing.T, l *audittest.Log, k audit.Kind) int {
	t.Helper()
	leaves := leavesOf(t, l)
	for i := len(leaves) - 1; i >= 0; i-- {
		if leaves[i].K == k {
			return i
		}
	}
	t.Fatalf("no leaf of kind %s", k)
	return 0
}

// rewrite changes the body of one leaf and leaves all else as it was.
func rewrite[B audit.Body](t *testing.T, l *audittest.Log, i int, change func(B) B) {
	t.Helper()
	relog(t, l, func(leaves []audit.Leaf) []audit.Leaf {
		old := leaves[i]
		leaf, err := audit.NewLeaf(old.N, old.T, change(body[B](t, old)))
		if err != nil {
			t.Fatal(err)
		}
		leaf.F = old.F
		leaves[i] = leaf
		return leaves
	})
}

// swapLog puts the log and checkpoint of the liar into a bundle that was honest before.
func swapLog(t *testing.T, bundle []byte, leaves [][]byte, note []byte) []byte {
	t.Helper()
	return edit(t, bundle, func(parts []part) []part {
		parts[1].data = note
		i := find(parts, "tile/entries/")
		var b []byte
		for _, l := range leaves {
			b = binary.BigEndian.AppendUint16(b, uint16(len(l)))
			b = append(b, l...)
		}
		tile, ok := strings.CutSuffix(parts[i].Name, "15")
		if !ok {
			t.Fatal("the honest log has another size than the tests think")
		}
		parts[i] = part{tar.Header{Name: tile + itoa(len(leaves))}, b}
		return parts
	})
}

func itoa(n int) string { return string(rune('0'+n/10)) + string(rune('0'+n%10)) }
