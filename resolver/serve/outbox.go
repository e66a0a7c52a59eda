package serve

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// What waits for room in a socket at the most, whatever comes: a second's answers of a busy one. More are dropped and counted: those before them are
// on their way as soon as anything leaves, and their clients have asked again by then.
const (
	maxUnsent      = 8192
	maxUnsentBytes = 4 << 20
)

// outbox sends answers that are ready later than those of their batch, as many a call as have come together. Nobody who brings one waits for a socket.
type outbox struct {
	raw    syscall.RawConn
	server *Server
	held   sync.Pool // of *held

	mu      sync.Mutex // guards the rest
	waiting []letter
	bytes   []byte // of the answers waiting
	sending bool   // somebody will take what waits

	// Owned by who sends:
	out     *answers
	letters []letter // taken from waiting
	text    []byte   // of them
	at      int      // of letters: the next
	try     func(fd uintptr)
}

func newOutbox(raw syscall.RawConn, s *Server) *outbox {
	o := &outbox{raw: raw, server: s, out: newAnswers()}
	o.try = func(fd uintptr) { o.out.send(fd) }
	o.held.New = func() any { return &held{box: o} }
	return o
}

// held is a question that has a slot and waits: its packet and where the answer goes. It is used again once it has flushed.
type held struct {
	box   *outbox
	query []byte
	address
}

// hold copies a question that a slot was taken for.
func (o *outbox) hold(query []byte, name *unix.RawSockaddrInet6, control []byte) *held {
	h := o.held.Get().(*held)
	h.query = append(h.query[:0], query...)
	h.name, h.length = *name, uint8(copy(h.control[:], control))
	return h
}

// Answer is wire.Later's.
func (h *held) Answer(resp []byte) {
	if len(resp) > 0 {
		h.box.add(resp, &h.address)
	}
}

// Flush is wire.Later's. The slot is given back when the answer is on its way.
func (h *held) Flush() {
	o := h.box
	o.flush()
	o.held.Put(h)
	o.server.giveSlot()
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

// add copies an answer, which leaves with the next flush. Any goroutine may call it.
func (o *outbox) add(resp []byte, to *address) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := len(o.bytes)
	if len(o.waiting) >= maxUnsent || at+len(resp) > maxUnsentBytes {
		o.server.counts.unsent.Add(1)
		return
	}
	o.bytes = append(o.bytes, resp...)
	o.waiting = append(o.waiting, letter{at, len(o.bytes), *to})
}

// flush sends what waits, unless somebody is at it already.
func (o *outbox) flush() {
	o.mu.Lock()
	mine := !o.sending && len(o.waiting) > 0
	o.sending = o.sending || mine
	o.mu.Unlock()
	if mine {
		o.send()
	}
}

// send sends until nothing waits. It does not wait for room in the socket, nor for a worker that does: then a goroutine that the server's end waits
// for goes on.
func (o *outbox) send() {
	for o.load() {
		if o.raw.Control(o.try) != nil { // Write would wait for who has the socket's lock
			o.drop()
		}
		if o.out.n > 0 {
			o.server.work.Go(func() {
				if o.raw.Write(o.out.put) != nil {
					o.drop()
				}
				o.send()
			})
			return
		}
	}
}

// drop gives up what should be sent: the socket is closed, or the server ends and nothing has left for too long.
func (o *outbox) drop() {
	o.server.counts.unsent.Add(uint64(o.out.n - o.out.sent))
	o.out.n, o.out.sent = 0, 0
}

// load puts the next answers into out; false when nothing waits.
func (o *outbox) load() bool {
	if o.at == len(o.letters) && !o.take() {
		return false
	}
	for ; o.out.n < batchSize && o.at < len(o.letters); o.at++ {
		l := &o.letters[o.at]
		o.out.add(o.text[l.from:l.to], &l.name, l.control[:l.length])
	}
	return true
}

// take exchanges what was sent for what waits.
func (o *outbox) take() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if cap(o.text) > keepBytes {
		o.letters, o.text = nil, nil
	}
	o.at = 0
	o.letters, o.text, o.waiting, o.bytes = o.waiting, o.bytes, o.letters[:0], o.text[:0]
	o.sending = len(o.letters) > 0
	return o.sending
}
