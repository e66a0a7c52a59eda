//go:build linux

package locked

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapping is what the kernel says of the mapping at an address: its first line and its flags.
func mapping(t *testing.T, at unsafe.Pointer) (head, flags string) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inside := false
	for s := bufio.NewScanner(f); s.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(s.Text(), "%x-%x ", &from, &to); n == 2 {
			if inside = from <= uintptr(at) && uintptr(at) < to; inside {
				head = s.Text()
			}
		} else if rest, ok := strings.CutPrefix(s.Text(), "VmFlags: "); ok && inside {
			return head, " " + rest + " "
		}
	}
	t.Fatalf("no mapping at %p", at)
	return "", ""
}

// withMode is a page as one of the two ways makes it, whatever New would choose here; false when this machine does not allow that way.
func withMode(t *testing.T, put func(pages) (Mode, error)) (pages, bool) {
	t.Helper()
	m := pages{size: pageSize}
	var err error
	if m.base, err = unix.MmapPtr(-1, 0, nil, m.size+2*pageSize, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.free)
	if m.mode, err = put(m); err != nil {
		t.Logf("not allowed here: %v", err)
		return m, false
	}
	return m, true
}

// What the kernel says of each kind of page: locked, in no core file, not in a child; secret ones by name.
func TestTheKernelKeepsThePages(t *testing.T) {
	for _, test := range []struct {
		name string
		put  func(pages) (Mode, error)
		want Mode
		head string
	}{
		{"secret", mapSecret, Secret, "secretmem"},
		{"pinned", mapPinned, Pinned, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, ok := withMode(t, test.put)
			if !ok || m.mode != test.want {
				t.Logf("mode %v: this machine does not allow %v", m.mode, test.want)
				return
			}
			m.bytes()[0] = 1
			head, flags := mapping(t, m.data())
			for _, flag := range []string{" lo ", " dd ", " dc "} {
				if !strings.Contains(flags, flag) {
					t.Errorf("flags%swithout%s", flags, flag)
				}
			}
			if !strings.Contains(head, test.head) {
				t.Errorf("mapping %q, want one named %q", head, test.head)
			}
		})
	}
}

// Not even root reads secret memory through /proc, while it does read other memory of the same process the same way.
func TestSecretMemoryCannotBeReadFromOutside(t *testing.T) {
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	var b [4]byte
	for _, put := range []func(pages) (Mode, error){mapSecret, mapPinned} {
		m, ok := withMode(t, put)
		if !ok {
			continue
		}
		copy(m.bytes(), "seen")
		_, err := mem.ReadAt(b[:], int64(uintptr(m.data())))
		if m.mode == Secret && err == nil {
			t.Error("secret memory was read through /proc/self/mem")
		} else if m.mode != Secret && (err != nil || string(b[:]) != "seen") {
			t.Errorf("the reader of this test reads nothing at all: %q, %v", b, err)
		}
	}
}

// A read or write past either end faults instead of reaching other memory.
func TestGuardPagesStopAnOverrun(t *testing.T) {
	v, err := New[[64]byte]()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	first := unsafe.Pointer(v.Get())
	faults := func(at unsafe.Pointer) (yes bool) {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() { yes = recover() != nil }()
		*(*byte)(at)++
		return false
	}
	if faults(first) {
		t.Fatal("the value itself faults")
	}
	if !faults(unsafe.Add(first, -1)) || !faults(unsafe.Add(first, pageSize)) {
		t.Error("the page beside the value can be touched")
	}
}

// The last owner's Close ends the mapping; those before do not.
func TestTheLastOwnerReleases(t *testing.T) {
	v, err := New[[48]byte]()
	if err != nil {
		t.Fatal(err)
	}
	v.Get()[47] = 7
	again := v.Share()
	at := unsafe.Pointer(v.Get())
	if err := v.Close(); err != nil || again.Get()[47] != 7 {
		t.Fatalf("after one of two closed: %v, %v", again.Get()[47], err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	var kept byte
	if _, _, err := unix.Syscall(unix.SYS_MINCORE, uintptr(at), pageSize, uintptr(unsafe.Pointer(&kept))); err != unix.ENOMEM {
		t.Errorf("mincore of released memory: %v, want ENOMEM", err)
	}
	for _, misuse := range []func(){func() { v.Close() }, func() { v.Share() }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("used after its last owner closed it, and no panic")
				}
			}()
			misuse()
		}()
	}
}

// With no right to lock anything the value is there all the same, and says how it is kept.
func TestWithoutTheRightToLockTheModeSaysSo(t *testing.T) {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 0, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old)
	v, err := New[[48]byte]()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	v.Get()[0] = 1
	_, flags := mapping(t, unsafe.Pointer(v.Get()))
	if locked := strings.Contains(flags, " lo "); locked != (v.Mode() != Plain) {
		t.Errorf("mode %v, flags%s", v.Mode(), flags)
	}
	if !strings.Contains(flags, " dd ") {
		t.Errorf("flags%s: in core files", flags)
	}
	if os.Geteuid() != 0 && v.Mode() != Plain {
		t.Errorf("mode %v without any right", v.Mode())
	}
}

func TestAValueNeverPrintsItself(t *testing.T) {
	v, err := New[[4]byte]()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	copy(v.Get()[:], "key!")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, v); got != "locked(redacted)" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}
