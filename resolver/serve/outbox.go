package serve

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// outbox sends answers that come from other goroutines than the socket's worker, as many a call as have come together. It has no bound of its
// own: only questions that have a slot are answered here.
type outbox struct {
	raw  syscall.RawConn
	work func(func()) // runs a sender that the server's end waits for

	mu      sync.Mutex // guards the rest
	waiting []letter
	bytes   []byte // of the answers waiting
	sending bool   // somebody will take what waits

	spare      []letter // of the last time, to be used again
	spareBytes []byte

	out *answers // owned by the sender
}

type letter struct {
	from, to int // of bytes
	address
}

// address is where an answer goes, and from which of our addresses.
type address struct {
	name    unix.RawSockaddrInet6
	control [controlSize]byte
	length  uint8 // of control
}

// keepBytes is how much memory an outbox keeps between bursts.
const keepBytes = 256 << 10

// add copies an answer and returns at once. Any goroutine may call it.
func (o *outbox) add(resp []byte, to *address) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := len(o.bytes)
	o.bytes = append(o.bytes, resp...)
	o.waiting = append(o.waiting, letter{at, len(o.bytes), *to})
	if !o.sending {
		o.sending = true
		o.work(o.send)
	}
}

// send sends until nothing waits.
func (o *outbox) send() {
	for {
		o.mu.Lock()
		letters, bytes := o.waiting, o.bytes
		if len(letters) == 0 {
			o.sending = false
			o.mu.Unlock()
			return
		}
		o.waiting, o.bytes = o.spare[:0], o.spareBytes[:0]
		o.spare, o.spareBytes = nil, nil
		o.mu.Unlock()
		if o.out == nil {
			o.out = newAnswers()
		}
		for i := range letters {
			l := &letters[i]
			o.out.add(bytes[l.from:l.to], &l.name, l.control[:l.length])
			if o.out.n == batchSize || i == len(letters)-1 {
				if o.raw.Write(o.out.put) != nil {
					o.out.n, o.out.sent = 0, 0 // the socket is closed
				}
			}
		}
		o.mu.Lock()
		if cap(bytes) <= keepBytes {
			o.spare, o.spareBytes = letters, bytes
		}
		o.mu.Unlock()
	}
}
