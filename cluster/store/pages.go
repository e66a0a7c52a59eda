package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// bbolt trusts its file: a damaged page is a fault in mapped memory or a panic
// in a goroutine of its own, which nobody can recover from, and a damaged meta
// page silently shows the file before its last write, a vote or an
// acknowledged entry short. So the file's page graph is read here first,
// through ReadAt, and bbolt sees it only when everything in it is in bounds.
//
// Page: id u64, flags u16, count u16, overflow u32, then elements of 16 bytes.
// Branch element: position u32 (from the element), key size u32, page u64.
// Leaf element: flags u32, position u32, key size u32, value size u32; a
// bucket's value is its root page u64 and a sequence u64, and with root 0 the
// bucket's one page follows inline. All in the machine's byte order.
const (
	minPage    = 1 << 10
	maxPage    = 64 << 10
	pageHeader = 16
	elementLen = 16
	bucketLen  = 16
	metaLen    = 64
	metaMagic  = 0xED0CDAED

	flagBranch = 1
	flagLeaf   = 2
	leafBucket = 1

	maxDepth    = 32
	maxOverflow = 4096
)

type meta struct{ root, pages, txid uint64 }

// pages reads the tree of one file.
type pages struct {
	r    io.ReaderAt
	size int64 // of a page
	high uint64
	seen map[uint64]bool
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

// precheck reads the file's page graph; ErrCorrupt when anything in it is out
// of bounds or order.
func precheck(path string, size int64) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	defer f.Close()
	head := make([]byte, min(size, 2*maxPage))
	if _, err := f.ReadAt(head, 0); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	for page := int64(minPage); page <= maxPage; page *= 2 {
		a, okA := metaAt(head, 0, page)
		b, okB := metaAt(head, page, page)
		if !okA && !okB {
			continue
		}
		if !okA || !okB {
			return corrupt("one of the two meta pages")
		}
		if a.txid < b.txid {
			a = b
		}
		if a.pages > uint64(size)/uint64(page) {
			return corrupt("file of %d bytes is cut short", size)
		}
		p := pages{r: f, size: page, high: a.pages, seen: map[uint64]bool{}}
		return p.walk(a.root, nil, nil, 0)
	}
	return corrupt("no meta page")
}

// metaAt reads a meta page: magic u32, version u32, page size u32, flags u32,
// root bucket (page, sequence), freelist page, high-water page, transaction,
// each u64, and FNV-64a of all before.
func metaAt(head []byte, at, page int64) (meta, bool) {
	if int64(len(head)) < at+pageHeader+metaLen {
		return meta{}, false
	}
	b := head[at+pageHeader:][:metaLen]
	if binary.NativeEndian.Uint32(b) != metaMagic || int64(binary.NativeEndian.Uint32(b[8:])) != page {
		return meta{}, false
	}
	sum := fnv.New64a()
	_, _ = sum.Write(b[:metaLen-8])
	if sum.Sum64() != binary.NativeEndian.Uint64(b[metaLen-8:]) {
		return meta{}, false
	}
	return meta{
		root: binary.NativeEndian.Uint64(b[16:]), pages: binary.NativeEndian.Uint64(b[40:]), txid: binary.NativeEndian.Uint64(b[48:]),
	}, true
}

// walk reads the tree below one page. All keys in it lie from low to below
// high; nil is no bound.
func (p *pages) walk(id uint64, low, high []byte, depth int) error {
	if id < 2 || id >= p.high || depth > maxDepth {
		return corrupt("page %d of %d", id, p.high)
	}
	b := make([]byte, p.size)
	if _, err := p.r.ReadAt(b, int64(id)*p.size); err != nil {
		return fmt.Errorf("read page %d: %w", id, err)
	}
	over := uint64(binary.NativeEndian.Uint32(b[12:]))
	if over > maxOverflow || id+over >= p.high || binary.NativeEndian.Uint64(b) != id {
		return corrupt("header of page %d", id)
	}
	for i := id; i <= id+over; i++ {
		if p.seen[i] {
			return corrupt("page %d has two owners", i)
		}
		p.seen[i] = true
	}
	if over > 0 {
		b = make([]byte, int64(over+1)*p.size)
		if _, err := p.r.ReadAt(b, int64(id)*p.size); err != nil {
			return fmt.Errorf("read page %d: %w", id, err)
		}
	}
	switch flags := binary.NativeEndian.Uint16(b[8:]); flags {
	case flagBranch:
		return p.branch(b, id, low, high, depth)
	case flagLeaf:
		return p.leaf(b, id, low, high, depth)
	default:
		return corrupt("flags of page %d", id)
	}
}

// part is size bytes at position pos from element i, inside b.
func part(b []byte, i int, pos, size uint32) ([]byte, bool) {
	from := uint64(pageHeader+i*elementLen) + uint64(pos)
	if from > uint64(len(b)) || uint64(size) > uint64(len(b))-from {
		return nil, false
	}
	return b[from : from+uint64(size)], true
}

// elements is the number of elements of a page whose table lies inside it.
func elements(b []byte, id uint64) (int, error) {
	n := int(binary.NativeEndian.Uint16(b[10:]))
	if pageHeader+n*elementLen > len(b) {
		return 0, corrupt("count of page %d", id)
	}
	return n, nil
}

func (p *pages) branch(b []byte, id uint64, low, high []byte, depth int) error {
	n, err := elements(b, id)
	if err != nil {
		return err
	}
	if n == 0 {
		return corrupt("branch page %d is empty", id)
	}
	keys, children := make([][]byte, n), make([]uint64, n)
	for i := range n {
		e := b[pageHeader+i*elementLen:]
		k, ok := part(b, i, binary.NativeEndian.Uint32(e), binary.NativeEndian.Uint32(e[4:]))
		if !ok || !inOrder(keys[:i], k, low, high) {
			return corrupt("branch page %d, key %d", id, i)
		}
		keys[i], children[i] = k, binary.NativeEndian.Uint64(e[8:])
	}
	for i, child := range children {
		next := high
		if i+1 < n {
			next = keys[i+1]
		}
		if err := p.walk(child, keys[i], next, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (p *pages) leaf(b []byte, id uint64, low, high []byte, depth int) error {
	n, err := elements(b, id)
	if err != nil {
		return err
	}
	var keys [][]byte
	for i := range n {
		e := b[pageHeader+i*elementLen:]
		flags, pos := binary.NativeEndian.Uint32(e), binary.NativeEndian.Uint32(e[4:])
		keySize, valueSize := binary.NativeEndian.Uint32(e[8:]), binary.NativeEndian.Uint32(e[12:])
		k, okKey := part(b, i, pos, keySize)
		v, okValue := part(b, i, pos+keySize, valueSize)
		if !okKey || !okValue || pos > 1<<30 || keySize > 1<<16 || flags > leafBucket || !inOrder(keys, k, low, high) {
			return corrupt("leaf page %d, element %d", id, i)
		}
		keys = append(keys, k)
		if flags == leafBucket {
			if err := p.bucket(v, id, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pages) bucket(v []byte, id uint64, depth int) error {
	if len(v) < bucketLen {
		return corrupt("bucket in page %d", id)
	}
	if root := binary.NativeEndian.Uint64(v); root != 0 {
		return p.walk(root, nil, nil, depth+1)
	}
	inline := v[bucketLen:]
	if len(inline) < pageHeader || binary.NativeEndian.Uint16(inline[8:]) != flagLeaf || depth > maxDepth {
		return corrupt("inline bucket in page %d", id)
	}
	return p.leaf(inline, id, nil, nil, depth+1)
}

// inOrder reports whether k follows the keys before it and lies in bounds.
func inOrder(before [][]byte, k, low, high []byte) bool {
	if len(before) > 0 && bytes.Compare(before[len(before)-1], k) >= 0 {
		return false
	}
	return (low == nil || bytes.Compare(low, k) <= 0) && (high == nil || bytes.Compare(k, high) < 0)
}
