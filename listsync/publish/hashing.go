package publish

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
)

// hashReader gives what r gives and hashes it beside the reader: the entries of a million pages are 300 MB, which take as long to hash
// as to decode. Sum waits for the hash and must be called once, after the last Read.
type hashReader struct {
	r    io.Reader
	full chan []byte // at most two blocks on their way; a slow hash makes Read wait
	free chan []byte
	done chan [32]byte
}

const hashBlock = 256 << 10

func newHashReader(r io.Reader) *hashReader {
	h := &hashReader{r: r, full: make(chan []byte, 2), free: make(chan []byte, 3), done: make(chan [32]byte, 1)}
	for range cap(h.free) {
		h.free <- nil
	}
	go func() { // ends with Sum
		sum := sha256.New()
		for b := range h.full {
			sum.Write(b)
			h.free <- b[:0]
		}
		h.done <- [32]byte(sum.Sum(nil))
	}()
	return h
}

func (h *hashReader) Read(p []byte) (int, error) {
	n, err := h.r.Read(p[:min(len(p), hashBlock)])
	if n > 0 {
		h.full <- append(<-h.free, p[:n]...)
	}
	return n, err
}

// Sum is the SHA-256 of all that was read.
func (h *hashReader) Sum() [32]byte {
	close(h.full)
	return <-h.done
}

// sameBytes reports whether a file holds exactly want. Comparing is ten times as fast as hashing.
func sameBytes(path string, want []byte) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return sameContent(f, bytes.NewReader(want))
}

// sameFiles reports whether two files hold the same; a file that is not there is an empty one.
func sameFiles(a, b string) (bool, error) {
	var in [2]io.Reader
	for i, path := range []string{a, b} {
		if !exists(path) {
			in[i] = bytes.NewReader(nil)
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			return false, err
		}
		defer f.Close()
		in[i] = f
	}
	return sameContent(in[0], in[1])
}

func sameContent(a, b io.Reader) (bool, error) {
	x, y := bufio.NewReaderSize(a, hashBlock), bufio.NewReaderSize(b, hashBlock)
	for {
		p, err1 := x.Peek(hashBlock)
		q, err2 := y.Peek(hashBlock)
		for _, err := range []error{err1, err2} {
			if err != nil && !errors.Is(err, io.EOF) {
				return false, err
			}
		}
		if !bytes.Equal(p, q) {
			return false, nil
		}
		if len(p) < hashBlock { // both have ended
			return true, nil
		}
		if _, err := x.Discard(len(p)); err != nil {
			return false, err
		}
		if _, err := y.Discard(len(q)); err != nil {
			return false, err
		}
	}
}
