package audit

import (
	"bytes"
	"fmt"
	"strings"
)

// A log as static files, as C2SP tlog-tiles lays it out: "checkpoint", "tile/<level>/<n>", "tile/entries/<n>". Whoever serves them needs
// no key and is believed in nothing: readers hold them to the checkpoint's signatures.

// StaticEntries are the paths of the entry bundles of a log of this size, in order.
func StaticEntries(size uint64) []string {
	return tilePaths(size, func(n uint64, width int) tilePath { return tilePath{entries: true, n: n, width: width} })
}

// StaticTiles are the paths of the hash tiles of a log of this size, level by level.
func StaticTiles(size uint64) []string {
	var all []string
	for level := 0; size > 0; level++ {
		all = append(all, tilePaths(size, func(n uint64, width int) tilePath { return tilePath{level: level, n: n, width: width} })...)
		size /= tileWidth
	}
	return all
}

func tilePaths(have uint64, path func(n uint64, width int) tilePath) []string {
	var all []string
	for from := uint64(0); from < have; from += tileWidth {
		all = append(all, path(from/tileWidth, int(min(tileWidth, have-from))).String())
	}
	return all
}

// PeekCheckpoint reads what a note says, without verifying any of its signatures.
func PeekCheckpoint(note []byte) (Checkpoint, error) {
	if len(note) > MaxCheckpoint {
		return Checkpoint{}, fmt.Errorf("checkpoint of %d bytes: %w", len(note), ErrTooLarge)
	}
	text, _, ok := strings.Cut(string(note), "\n\n")
	if !ok {
		return Checkpoint{}, fmt.Errorf("checkpoint: not a signed note: %w", ErrFormat)
	}
	return parseCheckpoint(text + "\n")
}

// ReadStatic rebuilds the log of a checkpoint from its entry bundles, which read gives by their paths. ErrMismatch when they hash to
// another root. The whole log is held in memory.
func ReadStatic(c Checkpoint, read func(path string) ([]byte, error)) (*Tree, error) {
	if c.Size > MaxLeaves {
		return nil, fmt.Errorf("log of %d leaves: %w", c.Size, ErrTooLarge)
	}
	t, total := new(Tree), 0
	for _, path := range StaticEntries(c.Size) {
		p, err := parseTile(path)
		if err != nil {
			return nil, err
		}
		b, err := read(path)
		if err != nil {
			return nil, err
		}
		if total += len(b); total > maxLogBytes {
			return nil, fmt.Errorf("log of more than %d bytes: %w", maxLogBytes, ErrTooLarge)
		}
		leaves, err := splitEntries(b, p.width)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, l := range leaves {
			t.append(bytes.Clone(l))
		}
	}
	if root := t.Root(); root != c.Root {
		return nil, fmt.Errorf("the %d leaves hash to %x, the checkpoint says %x: %w", c.Size, root[:8], c.Root[:8], ErrMismatch)
	}
	return t, nil
}
