package fetch_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/listsync/fetch"
)

// resident is what the kernel says of the memory behind b: bytes that are mapped in, and bytes that it may not take away.
func resident(t *testing.T, b []byte) (here, locked int) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	start := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	inside, rss := false, 0
	for s := bufio.NewScanner(f); s.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(s.Text(), "%x-%x ", &from, &to); n == 2 {
			inside = start <= from && to <= start+uintptr(len(b)+unix.Getpagesize()-1)
		}
		if !inside {
			continue
		}
		if n, _ := fmt.Sscanf(s.Text(), "Rss: %d kB", &rss); n == 1 {
			here += rss << 10
		}
		if flags, ok := strings.CutPrefix(s.Text(), "VmFlags:"); ok && strings.Contains(flags+" ", " lo ") {
			locked += rss << 10
		}
	}
	return here, locked
}

// mapped is a file of 16 pages in memory, each page touched.
func mapped(t *testing.T) ([]byte, *fetch.Mapping) {
	t.Helper()
	s, _ := openStore(t)
	content := bytes.Repeat([]byte("sixteen bytes.. "), 16*unix.Getpagesize()/16)
	sum := sha256.Sum256(content)
	if err := s.Put(t.Context(), sum, int64(len(content)), bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	b, m, err := s.Map(sum)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	if !bytes.Equal(b, content) {
		t.Fatal("mapped bytes differ")
	}
	return b, m
}

func TestPinnedPartsStayInMemoryAndTheRestIsGivenBack(t *testing.T) {
	b, m := mapped(t)
	page := unix.Getpagesize()
	want := bytes.Clone(b)
	// one part that crosses a page's end, one that shares its last page, one at the end
	if err := m.Pin(b[14*page+1:], nil, b[2*page+100:3*page+100], b[3*page+200:3*page+300]); err != nil {
		t.Fatalf("4 pages, which every system lets everybody lock: %v", err)
	}
	for range 2 {
		if err := m.Unload(); err != nil {
			t.Fatal(err)
		}
		if here, locked := resident(t, b); here != 4*page || locked != 4*page {
			t.Errorf("%d bytes in memory, %d of them locked; want the 4 pages that are pinned, %d", here, locked, 4*page)
		}
	}
	if !bytes.Equal(b, want) {
		t.Error("bytes changed")
	}
}

// A thread without the right to lock memory has the file all the same.
func TestWithoutTheRightToPinTheFileIsThere(t *testing.T) {
	b, m := mapped(t)
	want := bytes.Clone(b)
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with what was taken from it
		failed <- withoutLocking(func() error { return m.Pin(b[:4096], b[8192:]) })
	}()
	if err := <-failed; err == nil {
		t.Error("pinned without the right to")
	}
	if _, locked := resident(t, b); locked != 0 {
		t.Errorf("%d bytes are locked after an error", locked)
	}
	if err := m.Unload(); err != nil {
		t.Fatal(err)
	}
	if here, _ := resident(t, b); here != 0 {
		t.Errorf("%d bytes in memory after Unload", here)
	}
	if !bytes.Equal(b, want) {
		t.Error("bytes changed")
	}
}

// withoutLocking calls f on this thread with all that lets it lock memory taken away, but one page.
func withoutLocking(f func() error) error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&head, &caps[0]); err != nil {
		return nil
	}
	caps[0].Effective &^= 1 << unix.CAP_IPC_LOCK
	if err := unix.Capset(&head, &caps[0]); err != nil {
		return nil
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old); err != nil {
		return nil
	}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: uint64(unix.Getpagesize()), Max: old.Max}); err != nil {
		return nil
	}
	defer unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old)
	return f()
}
