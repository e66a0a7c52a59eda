// Package load asks a DNS server at a fixed rate and says how long answers took.
//
// In come a server, a transport and questions; out come percentiles. Question i is due at start + i/rate, whatever became of those before it,
// and its answer's time counts from when it was due: a server that stalls is not asked less meanwhile, and each question that had to wait
// shows (no "coordinated omission"). It keeps to loopback and one's own network: it is a tool for one's own servers.
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

// Result of a run. Times are from when the question was due.
type Result struct {
	Sent, Answered, Lost int
	Failed               int // answers other than NOERROR and NXDOMAIN
	Wrong                int // as Config.Wrong has it
	Late                 time.Duration
	P50, P90, P99, P999  time.Duration
	Max                  time.Duration
}

// String is a line for people.
func (r *Result) String() string {
	us := func(d time.Duration) float64 { return float64(d) / 1e3 }
	return fmt.Sprintf("%d asked, %d answered, %d lost, %d failed, %d wrong; µs: p50 %.0f, p90 %.0f, p99 %.0f, p99.9 %.0f, most %.0f; asked at most %.0f µs late",
		r.Sent, r.Answered, r.Lost, r.Failed, r.Wrong, us(r.P50), us(r.P90), us(r.P99), us(r.P999), us(r.Max), us(r.Late))
}

// conn asks over one socket or connection. ask may be called by one goroutine at a time; done is called once for each answer, from any,
// which has a whole header.
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
	run := &run{times: make([]time.Duration, 0, int(c.Rate*c.Time.Seconds())+1)}
	begin := time.Now()
	var res Result
	for i := 0; ; i++ {
		due := begin.Add(time.Duration(float64(i) / c.Rate * 1e9))
		if due.Sub(begin) >= c.Time || ctx.Err() != nil {
			break
		}
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		} else {
			res.Late = max(res.Late, -wait)
		}
		res.Sent++
		if run.open.Load() >= maxOpen {
			continue
		}
		run.open.Add(1)
		n := i % len(c.Questions)
		if err := conns[i%len(conns)].ask(c.Questions[n], func(answer []byte) {
			took := time.Since(due)
			run.answer(took, answer[3]&15, c.Wrong != nil && c.Wrong(n, answer))
		}); err != nil {
			run.open.Add(-1) // it counts as lost
		}
	}
	for end := time.Now().Add(c.Patience); run.open.Load() > 0 && time.Now().Before(end) && ctx.Err() == nil; {
		time.Sleep(10 * time.Millisecond)
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	slices.Sort(run.times)
	res.Answered, res.Failed, res.Wrong = len(run.times), run.failed, run.wrong
	res.Lost = res.Sent - res.Answered
	res.P50, res.P90, res.P99, res.P999, res.Max = run.at(.5), run.at(.9), run.at(.99), run.at(.999), run.at(1)
	return &res, ctx.Err()
}

type run struct {
	open   atomic.Int64
	mu     sync.Mutex // guards the rest
	times  []time.Duration
	failed int
	wrong  int
}

func (r *run) answer(took time.Duration, rcode byte, wrong bool) {
	r.open.Add(-1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times = append(r.times, took)
	if rcode != 0 && rcode != 3 {
		r.failed++
	}
	if wrong {
		r.wrong++
	}
}

func (r *run) at(share float64) time.Duration {
	if len(r.times) == 0 {
		return 0
	}
	return r.times[min(len(r.times)-1, int(math.Ceil(share*float64(len(r.times))))-1)]
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
