package publish

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
)

// maxSmall bounds every configuration, key, request and metadata file: far above any real one.
const maxSmall = 1 << 20

// readSmall reads a whole file of at most maxSmall bytes.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSmall+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(b) > maxSmall {
		return nil, fmt.Errorf("read %s: larger than %d bytes", path, maxSmall)
	}
	return b, nil
}

// decodeJSON reads one JSON object: no unknown member, no repeated member, nothing after it.
func decodeJSON(b []byte, into any) error {
	if err := uniqueKeys(b); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

// uniqueKeys refuses what encoding/json lets pass: repeated members, trailing data, deep nesting.
func uniqueKeys(b []byte) error {
	type level struct {
		object bool
		key    bool // the next token is a member name
		seen   map[string]bool
	}
	const maxDepth = 16
	var stack []level
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	for first := true; ; first = false {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			if first || len(stack) > 0 {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		if err != nil {
			return err
		}
		if !first && len(stack) == 0 {
			return errors.New("data after the JSON value")
		}
		if n := len(stack); n > 0 && stack[n-1].object && stack[n-1].key {
			if name, ok := tok.(string); ok {
				if stack[n-1].seen[name] {
					return fmt.Errorf("member %q twice", name)
				}
				if strings.ToLower(name) != name { // encoding/json would take "ID" for "id"
					return fmt.Errorf("unknown member %q", name)
				}
				stack[n-1].seen[name] = true
				stack[n-1].key = false
				continue
			}
		}
		switch tok {
		case json.Delim('{'):
			stack = append(stack, level{object: true, key: true, seen: map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, level{})
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
			fallthrough
		default:
			if n := len(stack); n > 0 {
				stack[n-1].key = true
			}
		}
		if len(stack) > maxDepth {
			return errors.New("nested too deep")
		}
	}
}

// readJSON reads a small file with one JSON object.
func readJSON(path string, into any) error {
	b, err := readSmall(path)
	if err != nil {
		return err
	}
	if err := decodeJSON(b, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// writeJSON writes v so that a person can read it, whole or not at all.
func writeJSON(path string, v any, mode fs.FileMode) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(b, '\n'), mode)
}

// writeFile replaces path by rename, after its bytes are on disk.
func writeFile(path string, b []byte, mode fs.FileMode) error {
	return renameio.WriteFile(path, b, mode, renameio.IgnoreUmask())
}

// placeFile puts a copy of from at to by rename; the two may lie on different file systems. Where the file system shares blocks
// between copies, io.Copy has the kernel do that.
func placeFile(from, to string, mode fs.FileMode) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := renameio.NewPendingFile(to, renameio.WithPermissions(mode), renameio.IgnoreUmask())
	if err != nil {
		return err
	}
	defer dst.Cleanup()
	if _, err := io.Copy(dst, src); err != nil {
		return fmt.Errorf("copy %s to %s: %w", from, to, err)
	}
	return dst.CloseAtomicallyReplace()
}

// linkFile gives from, which is on disk already, the further name to, by rename; on another file system it is placeFile. The two are one
// file from then on, and so is their mode.
func linkFile(from, to string, mode fs.FileMode) error {
	name := filepath.Join(filepath.Dir(to), "."+filepath.Base(to)+".link")
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a command that was killed here
		return err
	}
	if err := os.Link(from, name); err != nil {
		return placeFile(from, to, mode)
	}
	err := os.Chmod(name, mode)
	if err == nil {
		err = os.Rename(name, to)
	}
	if gone := os.Remove(name); err == nil && !errors.Is(gone, fs.ErrNotExist) { // rename leaves it when to is the same file already
		err = gone
	}
	return err
}

// syncDir makes renames in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// exists reports whether path is there at all.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// freshDir makes dir, which must not exist or be empty, for what (an article and a noun).
func freshDir(dir, what, known string) error {
	names, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fault(CodeFailure, err, "name a directory that can be read", "cannot look into %s", dir)
	case known != "" && exists(filepath.Join(dir, known)):
		return sentence(CodeInput, ErrForeign, "name a new directory", "%s holds %s already and is left as it is", dir, what)
	case len(names) > 0:
		return sentence(CodeInput, ErrForeign, "name a new or an empty directory",
			"%s holds other files (%s, ...) and is not touched", dir, names[0].Name())
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault(CodeFailure, err, "name a place where you may write", "cannot make %s", dir)
	}
	return nil
}
