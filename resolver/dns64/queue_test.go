package dns64

import (
	"context"
	"fmt"
	"testing"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

// line is an upstream that keeps questions until they are answered together, as upstream.Pool does with the replies of one call.
type line struct {
	world
	questions []wire.Question
	waiting   []upstream.Waiter
	flushes   int
}

func (l *line) Queue(_ context.Context, q wire.Question, w upstream.Waiter) {
	q.Name = append([]byte(nil), q.Name...)
	l.questions, l.waiting = append(l.questions, q), append(l.waiting, w)
}
func (l *line) Flush() { l.flushes++ }

func (l *line) answer() {
	questions, waiting := l.questions, l.waiting
	l.questions, l.waiting = nil, nil
	for i, w := range waiting {
		reply, err := l.world.answer(questions[i])
		var sum wire.Summary
		if err == nil {
			err = wire.Scan(reply, &sum)
		}
		w.Told(reply, &sum, err)
		clear(reply) // it ended with Told
	}
	for _, w := range waiting {
		w.Flush()
	}
}

// client is who waits.
type client struct {
	told, flushed int
	err           error
	got           dns.Msg
}

func (c *client) Told(reply []byte, _ *wire.Summary, err error) {
	c.told++
	if c.err = err; err == nil {
		c.err = c.got.Unpack(reply)
	}
}
func (c *client) Flush() { c.flushed++ }

// TestQuestionsThatComeTogetherLeaveTogether, for IPv6 and then for IPv4; each client is told once and flushed once behind it.
func TestQuestionsThatComeTogetherLeaveTogether(t *testing.T) {
	const n = 20
	l := &line{world: world{records: map[string][]string{}}}
	d, err := New(l, WellKnown)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		name := fmt.Sprintf("n%d.test.", i)
		l.records[name+" A"] = []string{fmt.Sprintf("%s 300 IN A 192.0.2.%d", name, i)}
		if i%4 == 3 {
			l.records[name+" AAAA"] = []string{fmt.Sprintf("%s 300 IN AAAA 64:ff9b::c000:2%02x", name, i)}
		}
	}
	for range 3 { // what was used is used again
		clients := make([]*client, n)
		l.flushes = 0
		for i := range clients {
			clients[i] = new(client)
			d.Queue(t.Context(), question(t, fmt.Sprintf("n%d.test. AAAA", i)), clients[i])
		}
		if d.Flush(); len(l.waiting) != n || l.flushes != 1 {
			t.Fatalf("%d questions wait, flushed %d times", len(l.waiting), l.flushes)
		}
		l.answer()
		if len(l.waiting) != n-n/4 || l.flushes != 2 {
			t.Fatalf("%d questions for IPv4 wait, flushed %d times, want %d, once more", len(l.waiting), l.flushes, n-n/4)
		}
		l.answer()
		for i, c := range clients {
			if want := fmt.Sprintf("n%d.test.\t300\tIN\tAAAA\t64:ff9b::c000:2%02x", i, i); c.told != 1 || c.flushed != 1 || c.err != nil || len(c.got.Answer) != 1 || c.got.Answer[0].String() != want {
				t.Errorf("client %d was told %d times, flushed %d times: %v, %v, want %s", i, c.told, c.flushed, c.err, c.got.Answer, want)
			}
		}
	}
}

// TestWhoIsGoneOrFindsNoRoomIsAskedForNoMore: a second question would find no room either.
func TestWhoIsGoneOrFindsNoRoomIsAskedForNoMore(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		ctx context.Context
		err error
	}{{t.Context(), upstream.ErrBusy}, {gone, context.Canceled}} {
		n := 0
		d, err := New(exchange(func(wire.Question) ([]byte, error) { n++; return nil, tt.err }), WellKnown)
		if err != nil {
			t.Fatal(err)
		}
		c := new(client)
		d.Queue(tt.ctx, question(t, "a.test. AAAA"), c)
		if c.told != 1 || c.flushed != 1 || c.err != tt.err || n != 1 {
			t.Errorf("%v: told %d times with %v, flushed %d times, %d questions", tt.err, c.told, c.err, c.flushed, n)
		}
	}
}

// TestTranslationsAllocateNothing: of two questions nothing is left for the collector.
func TestTranslationsAllocateNothing(t *testing.T) {
	six, _ := new(dns.Msg).SetReply(new(dns.Msg).SetQuestion("a.test.", dns.TypeAAAA)).Pack()
	m := new(dns.Msg).SetReply(new(dns.Msg).SetQuestion("a.test.", dns.TypeA))
	m.Answer = parse(t, []string{"a.test. 300 IN CNAME a-rather-long-name.of-some.network.test.", "a-rather-long-name.of-some.network.test. 300 IN A 192.0.2.1"})
	four, _ := m.Pack()
	d, err := New(exchange(func(q wire.Question) ([]byte, error) {
		if q.Type == wire.TypeA {
			return four, nil
		}
		return six, nil
	}), WellKnown)
	if err != nil {
		t.Fatal(err)
	}
	q, w := question(t, "a.test. AAAA"), &counting{}
	if got := testing.AllocsPerRun(1000, func() { d.Queue(t.Context(), q, w) }); got >= 1 && !raceEnabled { // whose pools drop what they hold
		t.Errorf("%v allocations", got)
	}
	if w.told < 1000 || w.told != w.flushed {
		t.Errorf("told %d times, flushed %d times", w.told, w.flushed)
	}
}

type counting struct{ told, flushed int }

func (c *counting) Told([]byte, *wire.Summary, error) { c.told++ }
func (c *counting) Flush()                            { c.flushed++ }
