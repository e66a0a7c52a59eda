package section_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/cordon-project/cordon/resolver/match/section"
)

const magic = "CORDTST1"

func file(tb testing.TB, lengths ...uint64) []byte {
	tb.Helper()
	w, err := section.New(magic, 0, lengths)
	if err != nil {
		tb.Fatal(err)
	}
	copy(w.Fields(), "fields")
	for i := range lengths {
		s := w.Section(i)
		for j := range s {
			s[j] = byte(i + 1)
		}
	}
	return w.Seal()
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	for _, lengths := range [][]uint64{nil, {0}, {1}, {64}, {65, 0, 63}, {0, 0, 0}, {1000, 1, 64}} {
		b := file(t, lengths...)
		if len(b)%section.Align != 0 {
			t.Errorf("%v: %d bytes, want a multiple of %d", lengths, len(b), section.Align)
		}
		r, err := section.Open(b, magic, len(lengths), 0)
		if err != nil {
			t.Fatalf("%v: %v", lengths, err)
		}
		if err := r.Verify(); err != nil {
			t.Errorf("%v: %v", lengths, err)
		}
		if !bytes.HasPrefix(r.Fields(), []byte("fields\x00")) || len(r.Fields()) != section.FieldsSize {
			t.Errorf("%v: fields %q", lengths, r.Fields())
		}
		for i, n := range lengths {
			if got, want := r.Section(i), bytes.Repeat([]byte{byte(i + 1)}, int(n)); !bytes.Equal(got, want) {
				t.Errorf("%v: section %d is %x, want %x", lengths, i, got, want)
			}
		}
	}
}

func TestAFileTooLargeIsNotLaidOut(t *testing.T) {
	for _, lengths := range [][]uint64{{section.MaxFile}, {section.MaxFile / 2, section.MaxFile / 2}, {1 << 63, 1 << 63}, {1<<64 - 1}} {
		if _, err := section.New(magic, 0, lengths); !errors.Is(err, section.ErrTooLarge) {
			t.Errorf("New(%v): %v, want %v", lengths, err, section.ErrTooLarge)
		}
	}
}

func TestOnlyTheOneValidFileOpens(t *testing.T) {
	good := file(t, 65, 3)
	for i := range good {
		b := slices.Clone(good)
		b[i] ^= 0x80
		if r, err := section.Open(b, magic, 2, 0); err == nil && r.Verify() == nil {
			t.Errorf("byte %d changed: opened", i)
		}
	}
	for n := range good {
		if _, err := section.Open(good[:n:n], magic, 2, 0); err == nil {
			t.Errorf("cut to %d bytes: opened", n)
		}
	}
	for _, n := range []int{0, 1, 3, 1000} {
		if _, err := section.Open(good, magic, n, 0); !errors.Is(err, section.ErrFormat) {
			t.Errorf("as %d sections: %v, want %v", n, err, section.ErrFormat)
		}
	}
	if _, err := section.Open(good, "CORDTST2", 2, 0); !errors.Is(err, section.ErrFormat) {
		t.Errorf("another magic: %v, want %v", err, section.ErrFormat)
	}
}

// TestBlocksAreTheFormatsOwnBusiness: a section that the format covers in blocks has no hash, every other byte has one,
// and a reader that expects it covered otherwise refuses the file.
func TestBlocksAreTheFormatsOwnBusiness(t *testing.T) {
	w, err := section.New(magic, 1, []uint64{65, 3})
	if err != nil {
		t.Fatal(err)
	}
	copy(w.Section(1), "abc")
	good := w.Seal()
	for i := range good {
		b := slices.Clone(good)
		b[i] ^= 0x80
		r, err := section.Open(b, magic, 2, 1)
		if opened := err == nil && r.Verify() == nil; opened != (b[i] != good[i] && bytes.ContainsAny(good[i:i+1], "abc") && len(good)-i <= 64) {
			t.Errorf("byte %d of %d changed: opened %v", i, len(good), opened)
		}
	}
	for _, covered := range []int{0, 2} {
		if _, err := section.Open(good, magic, 2, covered); !errors.Is(err, section.ErrFormat) {
			t.Errorf("as %d covered sections: %v, want %v", covered, err, section.ErrFormat)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(file(f, 65, 3))
	f.Add(file(f, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := section.Open(b, magic, 2, 0)
		if err != nil || r.Verify() != nil {
			return
		}
		// Exactly one file has this content: write it again.
		w, err := section.New(magic, 0, []uint64{uint64(len(r.Section(0))), uint64(len(r.Section(1)))})
		if err != nil {
			t.Fatal(err)
		}
		copy(w.Fields(), r.Fields())
		copy(w.Section(0), r.Section(0))
		copy(w.Section(1), r.Section(1))
		if again := w.Seal(); !bytes.Equal(again, b) {
			t.Errorf("another file with the same content opened: head length %d", binary.LittleEndian.Uint32(b[8:]))
		}
	})
}
