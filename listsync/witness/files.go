package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// ErrDamaged: a file of a witness's memory is not what was written. Starting without it would be to forget what was signed.
var ErrDamaged = errors.New("is damaged")

// files is a folder with one file for each log: a line that names the format, a line with the SHA-256 of the rest, the rest.
// A file is replaced whole and is on the disk when write returns.
type files struct {
	dir, format string
	max         int64 // bytes of a file
}

func openFiles(dir, format string, max int64) (files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return files{}, fmt.Errorf("memory of checkpoints: %w", err)
	}
	return files{dir, format, max}, nil
}

// all reads every file of the folder: the rests, by name of the file.
func (f files) all() (map[string][]byte, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("memory of checkpoints: %w", err)
	}
	out := make(map[string][]byte)
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".head") {
			continue // what a crash left of a file that was being written
		}
		if len(out) == maxItems {
			return nil, fmt.Errorf("%s has more than %d files: %w", f.dir, maxItems, ErrTooLarge)
		}
		rest, err := f.read(filepath.Join(f.dir, e.Name()))
		if err != nil {
			return nil, err
		}
		out[e.Name()] = rest
	}
	return out, nil
}

func (f files) read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("memory of checkpoints: %w", err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, f.max+1))
	if err != nil {
		return nil, fmt.Errorf("memory of checkpoints: %s: %w", path, err)
	}
	text, ok := strings.CutPrefix(string(b), f.format+"\n")
	sum, rest, cut := strings.Cut(text, "\n")
	if !ok || !cut || int64(len(b)) > f.max || sum != sumOf(rest) {
		return nil, f.damaged(path)
	}
	return []byte(rest), nil
}

func (f files) damaged(path string) error {
	return fmt.Errorf("%s %w: restore it from a backup, newest first; without it this witness no longer knows what it has signed. "+
		"Only when there is none, remove the file: the log's next checkpoint is then taken as the first", path, ErrDamaged)
}

func sumOf(rest string) string {
	sum := sha256.Sum256([]byte(rest))
	return hex.EncodeToString(sum[:])
}

// name is the file of the log with this origin.
func (f files) name(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:16]) + ".head"
}

func (f files) write(origin string, rest []byte) (err error) {
	b := f.format + "\n" + sumOf(string(rest)) + "\n" + string(rest)
	if int64(len(b)) > f.max {
		return fmt.Errorf("checkpoints of %s: %d bytes, at most %d: %w", clip(origin), len(b), f.max, ErrTooLarge)
	}
	tmp, err := os.CreateTemp(f.dir, "new-*")
	if err != nil {
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	_, err = tmp.WriteString(b)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(f.dir, f.name(origin)))
	}
	if err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	d, err := os.Open(f.dir)
	if err != nil {
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	return nil
}
