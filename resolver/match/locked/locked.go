// Package locked holds the few bytes of a process that nobody else may ever read: list keys and the keys that open them.
//
// In goes a type; out comes one value of it in memory outside of the Go heap, which the garbage collector neither moves nor copies, which the
// kernel never writes to swap or to a core file, between two pages whose touch ends the process. The last owner's Close overwrites it.
//
// What it cannot promise: arithmetic with a key happens in registers and on stacks. What a library copies to the heap meanwhile is erased only in
// programs built with GOEXPERIMENT=runtimesecret, as make builds them, and then when the garbage collector comes by (see Do).
package locked

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// Mode is how well memory is kept from others, best last.
type Mode uint8

// The modes. Which one a machine allows is found out at each New: limits change while a process runs.
const (
	// Plain: kept out of core files where the system can do that, and nothing more; it may be swapped.
	Plain Mode = iota
	// Pinned: mlock, and kept out of core files and of child processes. Root can read it, as it can any memory.
	Pinned
	// Secret: memfd_secret. The kernel takes the pages out of its own map: not even root reads them through /proc, and the
	// machine does not hibernate while they exist.
	Secret
)

// String is the mode in one word, as logs and status show it.
func (m Mode) String() string {
	switch m {
	case Secret:
		return "secret"
	case Pinned:
		return "pinned"
	}
	return "plain"
}

// Value is one T in locked memory. It belongs to its owners: whoever made it, and whoever Shared it. It may be used by any number of
// goroutines at once until its last owner closes it; afterwards a touch of what Get gave ends the process.
//
// T must hold no pointers: the garbage collector does not look here.
type Value[T any] struct {
	p *T
	pages
	left atomic.Int32 // owners
}

// New makes a zero T in the best memory that the system allows now; Mode says which. An error only when there is no memory at all.
func New[T any]() (*Value[T], error) {
	var zero T
	m, err := allocate(max(int(unsafe.Sizeof(zero)), 1))
	if err != nil {
		return nil, fmt.Errorf("locked memory: %w", err)
	}
	v := &Value[T]{p: (*T)(m.data()), pages: m}
	v.left.Store(1)
	return v, nil
}

// Get is the value itself. Nobody keeps the pointer for longer than they own v.
func (v *Value[T]) Get() *T { return v.p }

// Mode is how well this memory is kept.
func (v *Value[T]) Mode() Mode { return v.mode }

// Share makes the caller one more owner, who calls Close too. The caller must be sure of an owner meanwhile.
func (v *Value[T]) Share() *Value[T] {
	if v.left.Add(1) <= 1 {
		panic("locked: shared after its last owner closed it")
	}
	return v
}

// Close gives up one share. The last one overwrites the value and returns the memory. The error is always nil: it has the form of io.Closer.
func (v *Value[T]) Close() error {
	switch n := v.left.Add(-1); {
	case n > 0:
		return nil
	case n < 0:
		panic("locked: closed more often than owned")
	}
	clear(unsafe.Slice((*byte)(unsafe.Pointer(v.p)), unsafe.Sizeof(*v.p)))
	v.free()
	return nil
}

// Format hides the value from every verb of fmt.
func (v *Value[T]) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("locked(redacted)")) }
