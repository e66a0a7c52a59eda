package liestest

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

// part is one member of a bundle in a liar's hands.
type part struct {
	tar.Header
	data []byte
}

func unpack(bundle []byte) []part {
	var out []part
	for tr := tar.NewReader(bytes.NewReader(bundle)); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		check(err)
		data, err := io.ReadAll(tr)
		check(err)
		out = append(out, part{*h, data})
	}
}

func pack(parts []part) []byte {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, p := range parts {
		h := tar.Header{Typeflag: p.Typeflag, Name: p.Name, Linkname: p.Linkname, Size: int64(len(p.data)), Mode: 0o644}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		check(tw.WriteHeader(&h))
		_, err := tw.Write(p.data)
		check(err)
	}
	check(tw.Close())
	return b.Bytes()
}

// edit repacks a bundle after change.
func edit(bundle []byte, change func([]part) []part) []byte {
	return pack(change(unpack(bundle)))
}

func find(parts []part, prefix string) int {
	return slices.IndexFunc(parts, func(p part) bool { return strings.HasPrefix(p.Name, prefix) })
}

// leavesOf are the decoded leaves of a log.
func leavesOf(l *audittest.Log) []audit.Leaf {
	var out []audit.Leaf
	for _, b := range l.Leaves {
		leaf, err := audit.DecodeLeaf(b)
		check(err)
		out = append(out, leaf)
	}
	return out
}

// relog replaces the log by other leaves, as they are.
func relog(l *audittest.Log, change func([]audit.Leaf) []audit.Leaf) {
	leaves := change(leavesOf(l))
	l.Leaves = nil
	for _, leaf := range leaves {
		l.AppendLeaf(leaf)
	}
}

func body[B audit.Body](l audit.Leaf) B {
	b, err := l.Body()
	check(err)
	return b.(B)
}

// last is the index of the last leaf of a kind.
func last(l *audittest.Log, k audit.Kind) int {
	leaves := leavesOf(l)
	for i := len(leaves) - 1; i >= 0; i-- {
		if leaves[i].K == k {
			return i
		}
	}
	panic(fmt.Sprintf("liestest: no leaf of kind %s", k))
}

// Last is the body of the last leaf of a kind.
func Last[B audit.Body](l *audittest.Log, k audit.Kind) B { return body[B](leavesOf(l)[last(l, k)]) }

// rewrite changes the body of one leaf and leaves all else as it was.
func rewrite[B audit.Body](l *audittest.Log, i int, change func(B) B) {
	relog(l, func(leaves []audit.Leaf) []audit.Leaf {
		old := leaves[i]
		leaf, err := audit.NewLeaf(old.N, old.T, change(body[B](old)))
		check(err)
		leaf.F = old.F
		leaves[i] = leaf
		return leaves
	})
}

// swapLog puts the log and checkpoint of the liar into a bundle that was honest before.
func swapLog(bundle []byte, leaves [][]byte, note []byte) []byte {
	return edit(bundle, func(parts []part) []part {
		parts[1].data = note
		i := find(parts, "tile/entries/")
		var b []byte
		for _, l := range leaves {
			b = binary.BigEndian.AppendUint16(b, uint16(len(l)))
			b = append(b, l...)
		}
		tile, ok := strings.CutSuffix(parts[i].Name, "15")
		if !ok {
			panic("liestest: the honest log has another size than the tests think")
		}
		parts[i] = part{tar.Header{Name: tile + itoa(len(leaves))}, b}
		return parts
	})
}

func itoa(n int) string { return string(rune('0'+n/10)) + string(rune('0'+n%10)) }
