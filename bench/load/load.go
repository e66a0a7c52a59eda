// Package load asks a DNS server at a fixed rate and says how long answers took.
//
// In come a server, a transport and questions; out come percentiles. Question i is due at start + i/rate, whatever became of those before it,
// and its answer's time counts from when it was due: a server that stalls is not asked less meanwhile, and each question that had to wait
// shows (no "coordinated omission"). Whoever was held up itself, as a machine without a processor for a while is, asks what is due at twice the
// rate at most (beyond the first 20 ms), so that it floods no one. It keeps to loopback and one's own network: it is a tool for one's own servers.
package load

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Config of a run. All fields but Patience are needed.
type Config struct {
	Server     string        // host:port; the host is what certificates must be for
	Over       string        // one of Transports
	Rate       float64       // questions a second
	Time       time.Duration // of asking
	Conns      int           // sockets or connections, used in turn
	Households int           // addresses of loopback (127.1.0.1 and on) that connections come from in turn; 0: whatever the system gives
	CA         string        // PEM file with the authority of the server's certificate; "" for none: it is not verified
	Questions  [][]byte      // messages, asked in turn with other ids
	Patience   time.Duration // for the last answers; default 2 s

	// Wrong looks at the answer to question i of Questions, which it must not keep: true counts it as wrong. From any goroutine; nil for no look.
	Wrong func(i int, answer []byte) bool
}

// Transports that can be asked over.
var Transports = []string{"udp", "tcp", "tls", "https", "h3", "quic"}

// Result of a run.
type Result struct {
	Sent, Answered, Lost int
	Failed               int           // answers other than NOERROR and NXDOMAIN
	Wrong                int           // as Config.Wrong has it
	Late                 time.Duration // at most, from when a question was due until it was asked
	Times

	begin time.Time
	rate  float64
	took  []uint32        // microseconds to the answer of each question, 0 for none
	late  []time.Duration // of each second, as Late
}

// Times are percentiles of how long answers took from when their questions were due, to the microsecond.
type Times struct {
	P50, P90, P99, P999, Max time.Duration
}

// String is a part of a line for people.
func (t Times) String() string {
	us := time.Duration.Microseconds
	return fmt.Sprintf("µs: p50 %d, p90 %d, p99 %d, p99.9 %d, most %d", us(t.P50), us(t.P90), us(t.P99), us(t.P999), us(t.Max))
}

// Of are the times of those answers, n of them, whose questions were due when within says so.
func (r *Result) Of(within func(due time.Time) bool) (t Times, n int) {
	some := make([]uint32, 0, len(r.took))
	for i, us := range r.took {
		if us > 0 && within(due(r.begin, i, r.rate)) {
			some = append(some, us)
		}
	}
	slices.Sort(some)
	at := func(share float64) time.Duration {
		if len(some) == 0 {
			return 0
		}
		return time.Duration(some[min(len(some)-1, int(math.Ceil(share*float64(len(some))))-1)]) * time.Microsecond
	}
	return Times{P50: at(.5), P90: at(.9), P99: at(.99), P999: at(.999), Max: at(1)}, len(some)
}

func due(begin time.Time, i int, rate float64) time.Time {
	return begin.Add(time.Duration(float64(i) / rate * 1e9))
}

// String is a line for people.
func (r *Result) String() string {
	line := fmt.Sprintf("%d asked, %d answered, %d lost, %d failed, %d wrong; %v; asked at most %d µs late",
		r.Sent, r.Answered, r.Lost, r.Failed, r.Wrong, r.Times, r.Late.Microseconds())
	for i, l := range r.losses() {
		if i == 10 {
			return line + "\n..."
		}
		line += fmt.Sprintf("\nlost of the second at %s: %d; asked at most %d µs late then", l.at.UTC().Format("15:04:05.0"), l.n, l.late.Microseconds())
	}
	return line
}

// loss are the questions of a second that were not answered.
type loss struct {
	at   time.Time
	n    int
	late time.Duration
}

func (r *Result) losses() (out []loss) {
	last := -1
	for i, us := range r.took[:min(r.Sent, len(r.took))] {
		if us > 0 {
			continue
		}
		second := int(due(r.begin, i, r.rate).Sub(r.begin) / time.Second)
		if second != last {
			out = append(out, loss{at: r.begin.Add(time.Duration(second) * time.Second), late: r.late[second]})
			last = second
		}
		out[len(out)-1].n++
	}
	return out
}

// conn asks over one socket or connection. ask may be called by one goroutine at a time; done is called once for each answer, from any,
// which has a whole header; with nil when none is waited for any more, because the next question has its id.
type conn interface {
	ask(message []byte, done func(answer []byte)) error
	io.Closer
}

// maxOpen bounds the questions without an answer: beyond it they count as lost at once.
const maxOpen = 60000

// Run asks until the time is over, then waits for what is due.
func Run(ctx context.Context, c Config) (*Result, error) {
	if c.Rate <= 0 || c.Time <= 0 || c.Conns < 1 || len(c.Questions) == 0 {
		return nil, errors.New("ask a server: give a rate, a time, connections and questions")
	}
	if c.Patience == 0 {
		c.Patience = 2 * time.Second
	}
	conns := make([]conn, c.Conns)
	for i := range conns {
		var err error
		if conns[i], err = dial(ctx, &c, i); err != nil {
			return nil, fmt.Errorf("ask %s over %s: %w", c.Server, c.Over, err)
		}
		defer conns[i].Close()
	}
	run := &run{took: make([]uint32, int(c.Rate*c.Time.Seconds())+1)}
	res := Result{begin: time.Now(), rate: c.Rate, late: make([]time.Duration, int(c.Time/time.Second)+1)}
	pace := pace{rate: 2 * c.Rate}
	for i := 0; ; i++ {
		due := due(res.begin, i, c.Rate)
		if due.Sub(res.begin) >= c.Time || ctx.Err() != nil {
			break
		}
		late := pace.wait(due)
		res.Late = max(res.Late, late)
		second := &res.late[due.Sub(res.begin)/time.Second]
		*second = max(*second, late)
		res.Sent++
		if run.open.Load() >= maxOpen {
			continue
		}
		run.open.Add(1)
		n := i % len(c.Questions)
		if err := conns[i%len(conns)].ask(c.Questions[n], func(answer []byte) {
			if answer == nil {
				run.open.Add(-1)
				return
			}
			took := time.Since(due)
			run.answer(i, took, answer[3]&15, c.Wrong != nil && c.Wrong(n, answer))
		}); err != nil {
			run.open.Add(-1) // it counts as lost
		}
	}
	for end := time.Now().Add(c.Patience); run.open.Load() > 0 && time.Now().Before(end) && ctx.Err() == nil; {
		time.Sleep(10 * time.Millisecond)
	}
	run.mu.Lock()
	res.took, run.took = run.took, nil
	res.Answered, res.Failed, res.Wrong = run.answered, run.failed, run.wrong
	run.mu.Unlock()
	res.Lost = res.Sent - res.Answered
	res.Times, _ = res.Of(func(time.Time) bool { return true })
	return &res, ctx.Err()
}

// heldUp is how late a question is when whoever asks was held up.
const heldUp = 20 * time.Millisecond

// pace is when questions are asked: when they are due, and after a time in which none could be, one after the other at a rate until they are due
// again.
type pace struct {
	rate  float64
	since time.Time // when those that are late began to be asked; zero: none are
	n     int       // of them asked
}

// wait returns when a question that is due is to be asked, and how late that is.
func (p *pace) wait(at time.Time) time.Duration {
	now, next := time.Now(), at
	if now.Sub(at) > heldUp && p.since.IsZero() {
		p.since, p.n = now, 0
	}
	if !p.since.IsZero() {
		next = due(p.since, p.n, p.rate)
		if now.Sub(next) > heldUp { // and once more
			p.since, p.n, next = now, 0, now
		}
		if p.n++; !next.After(at) {
			p.since, next = time.Time{}, at
		}
	}
	if wait := next.Sub(now); wait > 0 {
		time.Sleep(wait)
	}
	return max(time.Since(at), 0)
}

type run struct {
	open     atomic.Int64
	mu       sync.Mutex // guards the rest
	took     []uint32   // as in Result; nil when the run is over
	answered int
	failed   int
	wrong    int
}

func (r *run) answer(i int, took time.Duration, rcode byte, wrong bool) {
	r.open.Add(-1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if i >= len(r.took) {
		return
	}
	r.took[i] = uint32(max(took.Microseconds(), 1))
	r.answered++
	if rcode != 0 && rcode != 3 {
		r.failed++
	}
	if wrong {
		r.wrong++
	}
}

// Read makes questions of lines "NAME TYPE" (A, AAAA, HTTPS, TXT or MX), with EDNS and RD, padded when padded is set (RFC 8467).
func Read(r io.Reader, padded bool) (out [][]byte, err error) {
	types := map[string]uint16{"A": 1, "MX": 15, "TXT": 16, "AAAA": 28, "HTTPS": 65}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		if len(words) != 2 || types[words[1]] == 0 {
			return nil, fmt.Errorf("line %d: %q is not a name and a type (A, AAAA, HTTPS, TXT, MX)", n, lines.Text())
		}
		q, err := question(words[0], types[words[1]], padded)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, q)
	}
	return out, lines.Err()
}

const paddedTo = 128 // RFC 8467 4.1

func question(name string, typ uint16, padded bool) ([]byte, error) {
	q := []byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if len(label) == 0 || len(label) > 63 {
			return nil, fmt.Errorf("%q is not a host name", name)
		}
		q = append(append(q, byte(len(label))), label...)
	}
	q = binary.BigEndian.AppendUint16(append(q, 0), typ)
	q = append(q, 0, 1)                                   // class IN
	q = append(q, 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0) // OPT, 1232 bytes
	if padded {
		n := paddedTo - (len(q)+4)%paddedTo
		binary.BigEndian.PutUint16(q[len(q)-2:], uint16(n+4))
		q = append(q, 0, 12, 0, byte(n))
		q = append(q, make([]byte, n)...)
	}
	return q, nil
}
