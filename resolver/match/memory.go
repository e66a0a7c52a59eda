package match

import "github.com/cordon-project/cordon/resolver/match/section"

// Memory is where a list is made of another. The zero value is the heap.
type Memory struct {
	Room section.Room // for the new list
	// Write puts columns of the new list into what Room gave, from byte at on; nil copies them there. Where that is a mapped file, its own
	// write takes half the time: no page is mapped only to be filled.
	Write  func(b []byte, at int64) error
	Copied func() // called after each column, when nothing of the old list is needed for now: a caller that mapped it may let it go
}

// stretch is how much of a column is put together before it is written, in whole pages but for a column's ends. With 200 changed records a list
// of a million is 800 runs of records that stay; when each was written for itself, with a page at both ends that two writes share, a million took
// 36 ms instead of 20. Four times as much at once is 2 ms faster, and holds up whoever waits for this thread.
const stretch = 64 << 10

// column is one column of a new list on its way into Memory, from its first byte to the last.
type column struct {
	m    Memory
	room []byte // what is not filled yet, without Write
	wait []byte // what is put and not written, with Write
	at   int64  // of wait in the file
	err  error
}

func (m Memory) column(room []byte, at int64) *column {
	c := &column{m: m, room: room, at: at}
	if m.Write != nil {
		c.wait = make([]byte, 0, stretch)
	}
	return c
}

// put appends b.
func (c *column) put(b []byte) {
	if c.m.Write == nil {
		section.Copy(c.room, b)
		c.room = c.room[len(b):]
		return
	}
	for len(b) > 0 && c.err == nil {
		n := min(len(b), stretch-int(c.at%stretch)-len(c.wait))
		c.wait = append(c.wait, b[:n]...)
		b = b[n:]
		if int(c.at%stretch)+len(c.wait) == stretch {
			c.err = c.write()
		}
	}
}

func (c *column) write() error {
	err := c.m.Write(c.wait, c.at)
	c.at, c.wait = c.at+int64(len(c.wait)), c.wait[:0]
	return err
}

// end writes the rest.
func (c *column) end() error {
	if c.err == nil && len(c.wait) > 0 {
		c.err = c.write()
	}
	return c.err
}
