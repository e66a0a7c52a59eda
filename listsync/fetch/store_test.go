package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/cordon-project/cordon/listsync/fetch"
)

func openStore(t *testing.T) (*fetch.Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "files")
	s, err := fetch.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

// wantFiles compares the whole directory with the contents that should be there.
func wantFiles(t *testing.T, dir string, contents ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, c := range contents {
		want[fmt.Sprintf("%x", sha256.Sum256([]byte(c)))] = true
	}
	for _, e := range entries {
		if !want[e.Name()] {
			t.Errorf("left behind: %s", e.Name())
		}
		delete(want, e.Name())
	}
	for name := range want {
		t.Errorf("missing: %s", name)
	}
}

func TestStoredFileIsWhatWasPut(t *testing.T) {
	s, dir := openStore(t)
	ctx := context.Background()
	body := bytes.Repeat([]byte("cordon "), 100_000)
	sum := sha256.Sum256(body)
	if s.Has(sum) {
		t.Fatal("has what nobody put")
	}
	if err := s.Put(ctx, sum, int64(len(body)), iotest.HalfReader(bytes.NewReader(body))); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Add(ctx, nil); err != nil || got != sha256.Sum256(nil) {
		t.Fatalf("empty file: got %x, %v", got, err)
	}
	wantFiles(t, dir, string(body), "")
	for _, want := range [][]byte{body, {}} {
		sum := sha256.Sum256(want)
		if !s.Has(sum) || s.Check(sum) != nil {
			t.Error("not there, or not whole")
		}
		if got, err := s.ReadFile(sum); err != nil || !bytes.Equal(got, want) {
			t.Errorf("read: got %d bytes, %v, want %d", len(got), err, len(want))
		}
		f, err := s.Open(sum)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, want) {
			t.Errorf("open: got %d bytes, %v", len(got), err)
		}
		f.Close()
		mapped, closer, err := s.Map(sum)
		if err != nil || !bytes.Equal(mapped, want) {
			t.Fatalf("map: got %d bytes, %v", len(mapped), err)
		}
		if err := s.Remove(sum); err != nil { // what is mapped stays mapped
			t.Fatal(err)
		}
		if !bytes.Equal(mapped, want) {
			t.Error("mapping changed when the file was removed")
		}
		if err := errors.Join(closer.Close(), closer.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
		if s.Has(sum) || s.Remove(sum) != nil {
			t.Error("not removed, or removing twice fails")
		}
	}
	wantFiles(t, dir)
}

func TestFilePutAgainIsNotReadAgain(t *testing.T) {
	s, _ := openStore(t)
	sum, err := s.Add(context.Background(), []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(context.Background(), sum, 1, iotest.ErrReader(errors.New("read"))); err != nil {
		t.Errorf("got %v, want no read", err)
	}
}

// endless gives bytes for ever.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestBadFilesLeaveNothingBehind(t *testing.T) {
	s, dir := openStore(t)
	stopped, stop := context.WithCancel(context.Background())
	stop()
	broken := errors.New("connection reset")
	body := []byte("0123456789")
	sum := sha256.Sum256(body)
	tests := []struct {
		name string
		ctx  context.Context
		size int64
		r    io.Reader
		want error
	}{
		{"wrong hash", context.Background(), 10, bytes.NewReader([]byte("0123456780")), fetch.ErrHash},
		{"shorter", context.Background(), 11, bytes.NewReader(body), fetch.ErrTruncated},
		{"longer", context.Background(), 9, bytes.NewReader(body), fetch.ErrTooLarge},
		{"endless", context.Background(), 10, endless{}, fetch.ErrTooLarge},
		{"breaks off", context.Background(), 10, io.MultiReader(bytes.NewReader(body[:5]), iotest.ErrReader(broken)), broken},
		{"breaks off after the end", context.Background(), 10, io.MultiReader(bytes.NewReader(body), iotest.ErrReader(broken)), broken},
		{"stopped", stopped, 10, bytes.NewReader(body), context.Canceled},
		{"larger than any file", context.Background(), fetch.MaxFile + 1, endless{}, fetch.ErrTooLarge},
		{"negative size", context.Background(), -1, bytes.NewReader(body), fetch.ErrTooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := s.Put(test.ctx, sum, test.size, test.r); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			wantFiles(t, dir)
		})
	}
}

func TestCrashLeftoversAreClearedAway(t *testing.T) {
	s, dir := openStore(t)
	if _, err := s.Add(context.Background(), []byte("whole")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tmp-123", "tmp-"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := fetch.OpenStore(dir); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, "whole")
}

func TestDamageOnDiskIsFound(t *testing.T) {
	s, _ := openStore(t)
	sum, err := s.Add(context.Background(), []byte("whole"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Path(sum), []byte("whale"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(sum); !errors.Is(err, fetch.ErrHash) {
		t.Errorf("check: got %v, want %v", err, fetch.ErrHash)
	}
	if _, err := s.ReadFile(sum); !errors.Is(err, fetch.ErrHash) {
		t.Errorf("read: got %v, want %v", err, fetch.ErrHash)
	}
}

func TestAbsentFilesAreSaidToBeAbsent(t *testing.T) {
	s, _ := openStore(t)
	_, openErr := s.Open([32]byte{})
	_, readErr := s.ReadFile([32]byte{})
	_, _, mapErr := s.Map([32]byte{})
	for _, err := range []error{openErr, readErr, mapErr, s.Check([32]byte{})} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v, want %v", err, fs.ErrNotExist)
		}
	}
}

func TestOnlyWhatIsKeptStays(t *testing.T) {
	s, dir := openStore(t)
	keep := map[[32]byte]bool{}
	for _, c := range []string{"a", "b", "c"} {
		sum, err := s.Add(context.Background(), []byte(c))
		if err != nil {
			t.Fatal(err)
		}
		keep[sum] = c == "b"
	}
	if err := s.RemoveExcept(keep); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, "b")
}

func TestSameFileIsPutByManyAtOnce(t *testing.T) {
	s, dir := openStore(t)
	var wg sync.WaitGroup
	errs := make(chan error, 16)
	for i := range 16 {
		wg.Go(func() {
			_, err := s.Add(context.Background(), bytes.Repeat([]byte{byte(i % 2)}, 100_000))
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	wantFiles(t, dir, string(bytes.Repeat([]byte{0}, 100_000)), string(bytes.Repeat([]byte{1}, 100_000)))
}

func TestStoredFilesAreForTheOwnerOnly(t *testing.T) {
	s, dir := openStore(t)
	sum, err := s.Add(context.Background(), []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{dir: 0o700, s.Path(sum): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
}

func TestDamagedFilesAreFound(t *testing.T) {
	s, err := fetch.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var sums [][32]byte
	for _, text := range []string{"one", "two", "three"} {
		sum, err := s.Add(t.Context(), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, sum)
	}
	if damaged, err := s.CheckAll(t.Context()); err != nil || len(damaged) > 0 {
		t.Fatalf("sound store: %x, %v", damaged, err)
	}
	path := s.Path(sums[1])
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("twO"), 0o600); err != nil {
		t.Fatal(err)
	}
	if damaged, err := s.CheckAll(t.Context()); err != nil || len(damaged) != 1 || damaged[0] != sums[1] {
		t.Errorf("damaged %x, %v, want %x", damaged, err, sums[1])
	}
}
