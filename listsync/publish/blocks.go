package publish

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
)

// blockSize is how much text a worker takes at a time: about 2,000 entries, so that handing blocks over costs nothing, and little enough
// that what is on its way stays in a few megabytes.
const blockSize = 512 << 10

// textBlock is whole lines of a text. It is the worker's.
type textBlock struct {
	text string
	long bool // instead of text: one line longer than blockSize, dropped
}

// lines calls each for every line of the block without its LF or CRLF, with its number in the block from 0 on, until each says false. A
// line longer than max is given as errLineTooLong.
func (b textBlock) lines(max int, each func(n int, line string, err error) bool) {
	if b.long {
		each(0, "", errLineTooLong)
		return
	}
	rest := b.text
	for n := 0; rest != ""; n++ {
		line := rest
		if end := strings.IndexByte(rest, '\n'); end >= 0 {
			line, rest = rest[:end], rest[end+1:]
			if end > 0 && line[end-1] == '\r' {
				line = line[:end-1]
			}
		} else {
			rest = ""
		}
		var err error
		if len(line) > max {
			line, err = "", errLineTooLong
		}
		if !each(n, line, err) {
			return
		}
	}
}

// ordered is what came of many pieces of work, done on all processors, in the order in which they were fed. It is its reader's alone and
// must be closed; at most 2 pieces a processor are on their way.
type ordered[T any] struct {
	out  chan chan T
	stop chan struct{}
	once sync.Once
	wg   sync.WaitGroup
	err  error // of feed; set before out is closed
}

// inOrder gives each piece that feed gives use to one of the workers that worker makes. feed runs beside its caller, ends when use says
// false, and its error comes after all that it fed.
func inOrder[J, T any](feed func(use func(J) bool) error, worker func() func(J) T) *ordered[T] {
	type job struct {
		in  J
		out chan T
	}
	n := runtime.GOMAXPROCS(0)
	o := &ordered[T]{out: make(chan chan T, 2*n), stop: make(chan struct{})}
	jobs := make(chan job)
	for range n {
		work := worker()
		o.wg.Go(func() {
			for j := range jobs {
				j.out <- work(j.in)
			}
		})
	}
	o.wg.Go(func() {
		defer close(o.out)
		defer close(jobs)
		o.err = feed(func(in J) bool {
			j := job{in, make(chan T, 1)}
			select {
			case o.out <- j.out: // waits when the reader is slow
			case <-o.stop:
				return false
			}
			jobs <- j
			return true
		})
	})
	return o
}

// blocksOf is a feed for inOrder: the blocks of whole lines of r. beside, when not nil, sees all bytes of r in order.
func blocksOf(r io.Reader, beside io.Writer) func(func(textBlock) bool) error {
	return func(use func(textBlock) bool) error { return cutBlocks(r, beside, use) }
}

// next gives the next piece's result; io.EOF ends.
func (o *ordered[T]) next() (T, error) {
	done, ok := <-o.out
	if !ok {
		var none T
		if o.err != nil {
			return none, o.err
		}
		return none, io.EOF
	}
	return <-done, nil
}

// close stops what still works and waits for it. It may be called again.
func (o *ordered[T]) close() {
	o.once.Do(func() { close(o.stop) })
	for range o.out { // lets the one that cuts go on to see stop
	}
	o.wg.Wait()
}

// cutBlocks reads r to its end and gives use blocks of whole lines until it says false. What was read before an error is given first.
func cutBlocks(r io.Reader, beside io.Writer, use func(textBlock) bool) error {
	buf := make([]byte, blockSize)
	held := 0     // bytes in buf
	long := false // inside of a line that is longer than buf
	for {
		n, err := io.ReadFull(r, buf[held:])
		if beside != nil {
			if _, err := beside.Write(buf[held : held+n]); err != nil {
				return err
			}
		}
		held += n
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		from := 0
		if long { // drop the rest of it
			end := bytes.IndexByte(buf[:held], '\n')
			if end < 0 && err == nil {
				held = 0
				continue
			}
			if from = end + 1; end < 0 {
				from = held
			}
			long = false
			if !use(textBlock{long: true}) {
				return nil
			}
		}
		whole := held
		if !ended {
			whole = max(from, bytes.LastIndexByte(buf[:held], '\n')+1)
		}
		if whole > from && !use(textBlock{text: string(buf[from:whole])}) {
			return nil
		}
		switch {
		case ended:
			return nil
		case err != nil:
			return err
		}
		if held = copy(buf, buf[whole:held]); held == len(buf) {
			held, long = 0, true
		}
	}
}
