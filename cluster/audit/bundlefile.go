package audit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// ReadCheckpoint takes the checkpoint out of a bundle, and ReadFiles the files of these hashes; nil for one that is not there. They are for
// a bundle that was verified: what they give hashes to what was asked for, and nothing else is checked.
func ReadCheckpoint(bundle io.Reader) ([]byte, error) {
	b := newBundleReader(bundle)
	for {
		m, err := b.next()
		if err != nil {
			return nil, fmt.Errorf("read checkpoint of the bundle: %w", err)
		}
		if m.class == classCheckpoint {
			return b.read()
		}
	}
}

// ReadFiles is described at ReadCheckpoint.
func ReadFiles(bundle io.Reader, hashes ...[32]byte) ([][]byte, error) {
	out := make([][]byte, len(hashes))
	b := newBundleReader(bundle)
	for {
		m, err := b.next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read files of the bundle: %w", err)
		}
		for i, want := range hashes {
			if m.class != classFile || m.hash != want || out[i] != nil {
				continue
			}
			data, err := b.read()
			if err != nil {
				return nil, err
			}
			if sha256.Sum256(data) != want {
				return nil, fmt.Errorf("read files of the bundle: %x: %w", want[:8], ErrMismatch)
			}
			out[i] = data
			break
		}
	}
}

// ReadMetadata takes the metadata with this hash (trust.Metadata.Hash) out of a bundle that was verified.
func ReadMetadata(bundle io.Reader, hash [32]byte) ([]byte, error) {
	b := newBundleReader(bundle)
	for {
		m, err := b.next()
		if err != nil {
			return nil, fmt.Errorf("read metadata %x of the bundle: %w", hash[:8], err)
		}
		if m.class != classMetadata || m.hash != hash {
			continue
		}
		data, err := b.read()
		if err == nil {
			_, err = decodeMetadata(data, hash)
		}
		return data, err
	}
}
