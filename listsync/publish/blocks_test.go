package publish

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// allLines reads a text by blocks; the place of a line that is too long is kept as "!".
func allLines(r io.Reader, max int, beside io.Writer) ([]string, error) {
	o := inOrder(blocksOf(r, beside), func() func(textBlock) []string {
		return func(b textBlock) (lines []string) {
			b.lines(max, func(n int, line string, err error) bool {
				if err != nil {
					line = "!"
				}
				lines = append(lines, line)
				return n+1 == len(lines)
			})
			return lines
		}
	})
	defer o.close()
	var all []string
	for {
		some, err := o.next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, some...)
	}
}

// plainLines is the same in the plainest way.
func plainLines(text string, max int) (all []string) {
	for in := newLineReader(strings.NewReader(text), max); ; {
		line, err := in.next()
		switch {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			line = []byte("!")
		}
		all = append(all, string(line))
	}
}

func TestBlocksGiveTheLinesOfTheText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Lines whose ends fall on, before and after the edges of blocks, some longer than a line may be, some than a block.
		size := rapid.OneOf(rapid.IntRange(0, 40), rapid.SampledFrom([]int{1000, blockSize / 2, blockSize - 1, blockSize, blockSize + 1, 2*blockSize + 3}))
		sizes := rapid.SliceOfN(size, 0, 12).Draw(t, "sizes")
		ends := rapid.SliceOfN(rapid.SampledFrom([]string{"\n", "\r\n", "\r", ""}), len(sizes), len(sizes)).Draw(t, "ends")
		var text strings.Builder
		for i, n := range sizes {
			text.WriteString(strings.Repeat(string(rune('a'+i)), n))
			text.WriteString(ends[i])
		}
		h := sha256.New()
		got, err := allLines(iotest.HalfReader(strings.NewReader(text.String())), blockSize/2, h)
		want := plainLines(text.String(), blockSize/2)
		if err != nil || len(got) != len(want) {
			t.Fatalf("got %d lines and %v, want %d lines", len(got), err, len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("line %d: got %d bytes, want %d", i, len(got[i]), len(want[i]))
			}
		}
		if sum := [32]byte(h.Sum(nil)); sum != sha256.Sum256([]byte(text.String())) {
			t.Errorf("what looks on saw other bytes")
		}
	})
}

func TestWhatWasReadBeforeAnErrorIsGivenFirst(t *testing.T) {
	broken := errors.New("the disk is broken")
	got, err := allLines(io.MultiReader(strings.NewReader("one\ntwo\nthr"), iotest.ErrReader(broken)), 100, nil)
	if !errors.Is(err, broken) || strings.Join(got, " ") != "one two" {
		t.Errorf("got %q and %v", got, err)
	}
}

func TestReadingMayStopAnywhere(t *testing.T) {
	text := bytes.Repeat([]byte("a line of a text\n"), 500_000)
	for _, n := range []int{0, 1, 3} {
		o := inOrder(blocksOf(bytes.NewReader(text), nil), func() func(textBlock) int { return func(b textBlock) int { return len(b.text) } })
		for range n {
			if _, err := o.next(); err != nil {
				t.Fatal(err)
			}
		}
		o.close() // waits for all that work, and must not wait for ever
		o.close()
	}
}
