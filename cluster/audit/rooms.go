package audit

import (
	"slices"
	"sync"
)

// rooms lends the memory of list files: versions come and go one after the other, each nearly as large as the one before, and a collector
// would find their memory only when there is half as much again. Any number of goroutines may lend at once. The zero value is ready.
type rooms struct {
	mu   sync.Mutex // guards free
	free [][]byte   // at most maxRooms: beyond that the collector takes what comes back
}

const maxRooms = 4 // two versions, two files each

// lend gives so many zero bytes. Large ones, which list files are, begin at a page.
func (r *rooms) lend(size int) ([]byte, error) {
	r.mu.Lock()
	best := -1
	for i, b := range r.free {
		if cap(b) >= size && cap(b) <= size+size/2 && (best < 0 || cap(b) < cap(r.free[best])) {
			best = i
		}
	}
	if best < 0 {
		r.mu.Unlock()
		return make([]byte, size, size+size/32), nil // the next version is a little larger
	}
	b := r.free[best][:size]
	r.free = slices.Delete(r.free, best, best+1)
	r.mu.Unlock()
	clear(b)
	return b, nil
}

// back takes memory that nobody reads any more, lent here or not.
func (r *rooms) back(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.free) < maxRooms && cap(b) > 0 {
		r.free = append(r.free, b)
	}
}
