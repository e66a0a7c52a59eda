package audit

import (
	"archive/tar"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
)

// memberClass orders a bundle's members.
type memberClass int

const (
	classInfo memberClass = iota
	classCheckpoint
	classMetadata // before the entries that name it
	classEntries
	classFile
	classDelta
)

// member is one checked header of a bundle.
type member struct {
	class memberClass
	name  string
	size  int64
	tile  tilePath // classEntries
	hash  [32]byte // classMetadata, classFile: the hash its name claims; classDelta: of the edge list that it makes
}

// bundleReader reads a bundle member by member. It accepts only the names a bundle may have, each once,
// in their order, each within its bound, and nothing after the archive's end mark.
type bundleReader struct {
	src  *endReader
	tr   *tar.Reader
	last *member
	tile uint64          // the next entry bundle's number
	full bool            // the entry bundle before it was full, or there was none
	seen map[string]bool // but metadata, which each group of leaves brings anew
}

func newBundleReader(r io.Reader) *bundleReader {
	src := &endReader{r: r}
	return &bundleReader{src: src, tr: tar.NewReader(src), full: true, seen: make(map[string]bool)}
}

// next returns the next member, io.EOF after the last. Errors that are the input's fault wrap
// ErrFormat or ErrTooLarge; others are the reader's.
func (b *bundleReader) next() (*member, error) {
	h, err := b.tr.Next()
	if errors.Is(err, io.EOF) {
		return nil, b.end()
	} else if err != nil {
		return nil, b.broken("header", err)
	}
	m, err := parseMember(h.Name)
	if err != nil {
		return nil, err
	}
	if h.Typeflag != tar.TypeReg || h.Linkname != "" || len(h.PAXRecords) > 0 {
		return nil, fmt.Errorf("member %q is not a plain file: %w", h.Name, ErrFormat)
	}
	if limit := m.limit(); h.Size < 0 || h.Size > limit {
		return nil, fmt.Errorf("member %q says it has %d bytes, at most %d: %w", h.Name, h.Size, limit, ErrTooLarge)
	}
	if m.class != classMetadata && b.seen[m.name] {
		return nil, fmt.Errorf("member %q is there twice: %w", m.name, ErrFormat)
	}
	if !b.follows(m) {
		return nil, fmt.Errorf("member %q is not in its place: %w", m.name, ErrFormat)
	}
	if m.class == classEntries {
		b.tile, b.full = b.tile+1, m.tile.width == tileWidth
	}
	if m.class != classMetadata {
		b.seen[m.name] = true
	}
	m.size = h.Size
	b.last = m
	return m, nil
}

// maxAtOnce is how much memory a header may ask for before its bytes have come: edge lists of a million records fit.
const maxAtOnce = 96 << 20

// read returns the present member's bytes. Beyond maxAtOnce its memory grows with what really comes, not with what a header claims.
func (b *bundleReader) read() ([]byte, error) {
	data := make([]byte, min(b.last.size, maxAtOnce))
	for have := 0; ; {
		n, err := io.ReadFull(b.tr, data[have:])
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, b.broken("member "+b.last.name, err)
		}
		if have += n; int64(have) == b.last.size {
			return data, nil
		}
		data = append(data, make([]byte, min(int64(have), b.last.size-int64(have)))...)
	}
}

func (b *bundleReader) broken(where string, err error) error {
	if b.src.err != nil {
		return fmt.Errorf("read bundle: %w", b.src.err)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || b.src.ended {
		return fmt.Errorf("bundle ends early, in a %s: %w", where, ErrFormat)
	}
	return fmt.Errorf("bundle is not a well-formed tar, in a %s: %w: %v", where, ErrFormat, err)
}

// end wants the two zero blocks that close a tar, and nothing but zeros behind them.
func (b *bundleReader) end() error {
	if b.src.ended {
		return fmt.Errorf("bundle ends early: its end mark is missing: %w", ErrFormat)
	}
	buf := make([]byte, 32<<10)
	for total := 0; total < 1<<20; {
		n, err := b.src.Read(buf)
		for _, c := range buf[:n] {
			if c != 0 {
				return fmt.Errorf("bytes after the bundle's end mark: %w", ErrFormat)
			}
		}
		if total += n; errors.Is(err, io.EOF) {
			return io.EOF
		} else if err != nil {
			return fmt.Errorf("read bundle: %w", err)
		}
	}
	return fmt.Errorf("bytes after the bundle's end mark: %w", ErrFormat)
}

func (m *member) limit() int64 {
	switch m.class {
	case classInfo:
		return maxBundleInfo
	case classCheckpoint:
		return MaxCheckpoint
	case classEntries:
		return maxEntriesMember
	case classMetadata:
		return maxMetadata
	default:
		return maxListFile
	}
}

// follows reports whether m may come now: bundle.json, the checkpoint, then entry bundles without a gap, each behind the metadata that its
// leaves name (ascending), then files and deltas, whose order the verifier holds to the log.
func (b *bundleReader) follows(m *member) bool {
	if b.last == nil {
		return m.class == classInfo
	}
	last := b.last.class
	if last == classInfo {
		return m.class != classInfo // the verifier wants the checkpoint here and says so
	}
	switch m.class {
	case classMetadata:
		return b.full && (last == classCheckpoint || last == classEntries || last == classMetadata && b.last.name < m.name)
	case classEntries:
		return b.full && m.tile.n == b.tile && (last == classCheckpoint || last == classEntries || last == classMetadata)
	case classFile, classDelta:
		return last == classCheckpoint || last == classEntries || last == classFile || last == classDelta
	}
	return false
}

func parseMember(name string) (*member, error) {
	m := &member{name: name}
	bad := fmt.Errorf("member name %q is not one a bundle may have: %w", clip(name), ErrFormat)
	hash := func(s string) error {
		b, err := hex.DecodeString(s)
		if err != nil || len(b) != 32 || hex.EncodeToString(b) != s {
			return bad
		}
		m.hash = [32]byte(b)
		return nil
	}
	switch {
	case name == bundleInfoName:
		m.class = classInfo
	case name == checkpointName:
		m.class = classCheckpoint
	case len(name) > len(entriesPrefix) && name[:len(entriesPrefix)] == entriesPrefix:
		p, err := parseTile(name)
		if err != nil || p.n > math.MaxInt32 {
			return nil, bad
		}
		m.class, m.tile = classEntries, p
	case len(name) == len(metadataPrefix)+64+len(metadataSuffix) && name[:len(metadataPrefix)] == metadataPrefix &&
		name[len(name)-len(metadataSuffix):] == metadataSuffix:
		m.class = classMetadata
		return m, hash(name[len(metadataPrefix) : len(name)-len(metadataSuffix)])
	case len(name) == len(filesPrefix)+64 && name[:len(filesPrefix)] == filesPrefix:
		m.class = classFile
		return m, hash(name[len(filesPrefix):])
	case len(name) == len(deltasPrefix)+64 && name[:len(deltasPrefix)] == deltasPrefix:
		m.class = classDelta
		return m, hash(name[len(deltasPrefix):])
	default:
		return nil, bad
	}
	return m, nil
}

// endReader remembers how its reader ended: a tar cut off between two members looks whole to archive/tar.
type endReader struct {
	r     io.Reader
	ended bool
	err   error // other than io.EOF: a connection that broke is not a bundle that ends early
}

func (e *endReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if n > 0 && errors.Is(err, io.EOF) {
		return n, nil // an HTTP body may end together with its last bytes; the next call says so again
	}
	if errors.Is(err, io.EOF) {
		e.ended = true
	} else if err != nil {
		e.err = err
	}
	return n, err
}
