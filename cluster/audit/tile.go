package audit

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// Tile returns what C2SP tlog-tiles serves under path: "tile/<level>/<n>[.p/<width>]" or
// "tile/entries/<n>[.p/<width>]", n in groups of three digits ("x001/234"). A tile the tree cannot
// fill yet, and every other path, is ErrNotFound.
func (t *Tree) Tile(path string) ([]byte, error) {
	p, err := parseTile(path)
	if err != nil {
		return nil, err
	}
	leaves, hashes := t.view()
	if p.entries {
		from, to := p.n*tileWidth, p.n*tileWidth+uint64(p.width)
		if to > uint64(len(leaves)) {
			return nil, fmt.Errorf("tile %q: %w", path, ErrNotFound)
		}
		return entryBundle(leaves[from:to]), nil
	}
	have := uint64(len(leaves)) >> (tileHeight * p.level)
	if p.n*tileWidth+uint64(p.width) > have {
		return nil, fmt.Errorf("tile %q: %w", path, ErrNotFound)
	}
	b, err := tlog.ReadTileData(tlog.Tile{H: tileHeight, L: p.level, N: int64(p.n), W: p.width}, hashReader(hashes))
	if err != nil {
		return nil, fmt.Errorf("tile %q: %w", path, ErrNotFound)
	}
	return b, nil
}

// entryBundle writes leaves as tlog-tiles does: big-endian 16 bits of length before each.
func entryBundle(leaves [][]byte) []byte {
	var b []byte
	for _, l := range leaves {
		b = binary.BigEndian.AppendUint16(b, uint16(len(l)))
		b = append(b, l...)
	}
	return b
}

// splitEntries is the inverse of entryBundle; it wants exactly n entries and nothing after them.
// The entries are parts of b.
func splitEntries(b []byte, n int) ([][]byte, error) {
	out := make([][]byte, 0, n)
	for len(b) > 0 {
		if len(b) < 2 || len(out) == n {
			return nil, fmt.Errorf("entry bundle: %w", ErrFormat)
		}
		size := int(binary.BigEndian.Uint16(b))
		if size > MaxLeaf || size > len(b)-2 {
			return nil, fmt.Errorf("entry bundle: %w", ErrFormat)
		}
		out = append(out, b[2:2+size:2+size])
		b = b[2+size:]
	}
	if len(out) != n {
		return nil, fmt.Errorf("entry bundle has %d entries, its name says %d: %w", len(out), n, ErrFormat)
	}
	return out, nil
}

// entriesPath is the path of entry bundle n, which holds width leaves.
func entriesPath(n uint64, width int) string {
	return tilePath{entries: true, n: n, width: width}.String()
}

type tilePath struct {
	entries bool
	level   int
	n       uint64
	width   int // 1..256
}

func (p tilePath) String() string {
	n := fmt.Sprintf("%03d", p.n%1000)
	for rest := p.n / 1000; rest > 0; rest /= 1000 {
		n = fmt.Sprintf("x%03d/%s", rest%1000, n)
	}
	level := "entries"
	if !p.entries {
		level = strconv.Itoa(p.level)
	}
	s := "tile/" + level + "/" + n
	if p.width < tileWidth {
		s += ".p/" + strconv.Itoa(p.width)
	}
	return s
}

// parseTile accepts exactly the spellings that String writes.
func parseTile(path string) (tilePath, error) {
	bad := fmt.Errorf("tile %q: %w", path, ErrNotFound)
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok || len(path) > 64 {
		return tilePath{}, bad
	}
	p := tilePath{width: tileWidth}
	level, rest, _ := strings.Cut(rest, "/")
	if level == "entries" {
		p.entries = true
	} else if l, err := strconv.Atoi(level); err == nil && l >= 0 && l < 6 {
		p.level = l
	} else {
		return tilePath{}, bad
	}
	number, width, partial := strings.Cut(rest, ".p/")
	if partial {
		w, err := strconv.Atoi(width)
		if err != nil || w < 1 || w >= tileWidth {
			return tilePath{}, bad
		}
		p.width = w
	}
	for _, group := range strings.Split(strings.ReplaceAll(number, "x", ""), "/") {
		v, err := strconv.ParseUint(group, 10, 16)
		if err != nil || len(group) != 3 || p.n > maxSize {
			return tilePath{}, bad
		}
		p.n = p.n*1000 + v
	}
	if p.n > maxSize || p.String() != path {
		return tilePath{}, bad
	}
	return p, nil
}
