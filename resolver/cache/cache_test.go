package cache

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/wire"
)

// sample is a packed answer and its summary.
func sample(t testing.TB, name string, ttl uint32, change ...func(m *dns.Msg)) ([]byte, *wire.Summary) {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, dns.TypeA)
	m.Response, m.Compress = true, true
	m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: 1, Ttl: ttl}, A: []byte{192, 0, 2, 1}}}
	for _, f := range change {
		f(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var s wire.Summary
	if err := wire.Scan(b, &s); err != nil {
		t.Fatal(err)
	}
	return b, &s
}

func TestAnEntryLivesExactlyItsTTL(t *testing.T) {
	c := New(Config{})
	msg, sum := sample(t, "a.test.", 30)
	c.Put([]byte("key"), msg, sum, 7, 100)
	for _, tt := range []struct {
		now  uint32
		want bool
	}{{100, true}, {129, true}, {130, false}, {99, false}} {
		if e := c.Get([]byte("key"), tt.now); (e != nil) != tt.want {
			t.Errorf("at %d: found %v, want %v", tt.now, e != nil, tt.want)
		}
	}
	e := c.Get([]byte("key"), 110)
	if e.Stamp() != 7 || e.Age(110) != 10 {
		t.Errorf("stamp %d, age %d, want 7, 10", e.Stamp(), e.Age(110))
	}
	if c.Get([]byte("kez"), 110) != nil {
		t.Error("another key is found")
	}
}

func TestLongTTLsAreLowered(t *testing.T) {
	c := New(Config{MaxTTL: 1000, MaxNegative: 60})
	msg, sum := sample(t, "a.test.", 5000)
	e := c.Put([]byte("long"), msg, sum, 0, 0)
	if got := binary.BigEndian.Uint32(e.Message()[e.TTLs()[0]:]); got != 1000 || c.Get([]byte("long"), 999) == nil || c.Get([]byte("long"), 1000) != nil {
		t.Errorf("TTL is %d, want 1000 and a life of as long", got)
	}
	msg, sum = sample(t, "a.test.", 0, func(m *dns.Msg) {
		m.Answer = nil
		m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: "test.", Rrtype: dns.TypeSOA, Class: 1, Ttl: 500}, Ns: "n.", Mbox: "m.", Minttl: 300}}
	})
	e = c.Put([]byte("negative"), msg, sum, 0, 0)
	if got := binary.BigEndian.Uint32(e.Message()[e.TTLs()[0]:]); got != 60 || c.Get([]byte("negative"), 60) != nil {
		t.Errorf("negative TTL is %d, want 60 and a life of as long", got)
	}
}

func TestFailuresAreRemembered(t *testing.T) {
	c := New(Config{})
	c.PutFailure(c.Hash([]byte("key")), []byte("key"), wire.EDENetworkError, LastFailure, 10)
	if ede, failed := c.Get([]byte("key"), 10).Failure(); !failed || ede != wire.EDENetworkError {
		t.Errorf("got %d, %v", ede, failed)
	}
	if c.Get([]byte("key"), 11) == nil || c.Get([]byte("key"), 12) != nil {
		t.Error("a failure does not live for a second, of which the first on the clock may be nearly over, or outlives it")
	}
	msg, sum := sample(t, "a.test.", 30)
	if _, failed := c.Put([]byte("key"), msg, sum, 0, 10).Failure(); failed {
		t.Error("an answer is a failure")
	}
}

// TestFailuresThatGoOnAreRememberedForLonger, up to half a minute, and from the beginning once there was a pause.
func TestFailuresThatGoOnAreRememberedForLonger(t *testing.T) {
	c, key, now := New(Config{}), []byte("key"), uint32(1<<32-40) // the clock wraps around on the way
	for i, want := range []uint32{1, 2, 4, 8, 16, 30, 30, 1, 2} {
		if i == 7 {
			now += LastFailure
		}
		c.PutFailure(c.Hash(key), key, wire.EDENetworkError, LastFailure, now)
		c.PutFailure(c.Hash(key), key, wire.EDENetworkError, LastFailure, now) // another one that waited for the same
		if c.Get(key, now+want) == nil || c.Get(key, now+want+1) != nil {
			t.Errorf("failure %d is not remembered for %d seconds, or for longer", i, want)
		}
		now += want + 1
	}
	now += LastFailure
	for i, want := range []uint32{1, 2, 4, 4, 4} {
		c.PutFailure(c.Hash(key), key, wire.EDENetworkError, 4, now)
		if c.Get(key, now+want) == nil || c.Get(key, now+want+1) != nil {
			t.Errorf("failure %d of four seconds at most is not remembered for %d seconds, or for longer", i, want)
		}
		now += want + 1
	}
}

// TestAFailureTakesNoAnswersPlace while that is alive: it is of a question that was asked earlier.
func TestAFailureTakesNoAnswersPlace(t *testing.T) {
	c, key := New(Config{MaxStale: 100}), []byte("key")
	msg, sum := sample(t, "a.test.", 30)
	c.Put(key, msg, sum, 0, 0)
	c.PutFailure(c.Hash(key), key, wire.EDENetworkError, LastFailure, 29)
	if e := c.Get(key, 29); e == nil || len(e.Message()) == 0 {
		t.Error("a failure took a live answer's place")
	}
	c.PutFailure(c.Hash(key), key, wire.EDENetworkError, LastFailure, 30)
	if e := c.Get(key, 30); e == nil || len(e.Message()) != 0 {
		t.Error("no failure in the place of an answer whose time is over")
	}
}

// TestAnAnswerThatIsNotKeptEndsTheOneBefore: what is served stale would be older than what was said last.
func TestAnAnswerThatIsNotKeptEndsTheOneBefore(t *testing.T) {
	c, key := New(Config{MaxStale: 100}), []byte("key")
	msg, sum := sample(t, "a.test.", 30)
	c.Put(key, msg, sum, 0, 0)
	if c.Stale(c.Hash(key), key, 40) == nil {
		t.Fatal("nothing stale")
	}
	msg, sum = sample(t, "a.test.", 0)
	if c.Put(key, msg, sum, 0, 40) != nil || c.Stale(c.Hash(key), key, 40) != nil || c.Len() != 0 || c.Bytes() != 0 {
		t.Errorf("%d answers of %d bytes are kept", c.Len(), c.Bytes())
	}
}

// TestAnAnswerIsThereWhileTheNextTakesItsPlace: who asks meanwhile would ask the upstream.
func TestAnAnswerIsThereWhileTheNextTakesItsPlace(t *testing.T) {
	c, key := New(Config{}), []byte("key")
	msg, sum := sample(t, "a.test.", 30)
	c.Put(key, msg, sum, 0, 0)
	var missing, looks atomic.Int64
	done := make(chan struct{})
	var work sync.WaitGroup
	for range 2 {
		work.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				for range 100 {
					if c.Get(key, 1) == nil {
						missing.Add(1)
					}
				}
				looks.Add(1)
			}
		})
	}
	for i := 0; i < 20_000 || looks.Load() < 200; i++ {
		c.Put(key, msg, sum, 0, 1)
	}
	close(done)
	work.Wait()
	if n := missing.Load(); n > 0 {
		t.Errorf("%d times there was nothing", n)
	}
}

func TestBytesStayWithinTheBound(t *testing.T) {
	for _, size := range []int64{1, 300 << 10, 2 << 20} {
		c := New(Config{Bytes: size})
		bound := max(size, minBytes)
		for i := range 40_000 {
			msg, sum := sample(t, fmt.Sprintf("n%d.test.", i), 300)
			c.Put(fmt.Appendf(nil, "key %d", i), msg, sum, 0, uint32(i/1000))
			if i%5000 == 0 && c.Bytes() > bound {
				t.Fatalf("%d bytes after %d entries, want at most %d", c.Bytes(), i, bound)
			}
		}
		if c.Bytes() > bound || c.Bytes() < bound/4 || c.Len() == 0 {
			t.Errorf("%d entries of %d bytes, bound %d", c.Len(), c.Bytes(), bound)
		}
		var n, b int64
		for i := range c.buckets {
			for j := range c.buckets[i].slots {
				if e := c.buckets[i].slots[j].Load(); e != nil {
					n++
					b += e.cost()
				}
			}
		}
		if int(n) != c.Len() || b != c.Bytes() {
			t.Errorf("counted %d entries of %d bytes, kept books say %d of %d", n, b, c.Len(), c.Bytes())
		}
	}
}

func TestAnAnswerAskedForStaysWhileOthersGo(t *testing.T) {
	c := New(Config{Bytes: minBytes})
	msg, sum := sample(t, "hot.test.", 3000)
	c.Put([]byte("hot"), msg, sum, 0, 0)
	for i := range 20_000 {
		if c.Get([]byte("hot"), 1) == nil {
			t.Fatalf("gone after %d others", i)
		}
		other, sum := sample(t, "other.test.", 3000)
		c.Put(fmt.Appendf(nil, "other %d", i), other, sum, 0, 1)
	}
}

// Likely may name another key's entry, and never misses the key's own.
func TestLookingAheadMissesNothing(t *testing.T) {
	c := New(Config{Bytes: minBytes})
	msg, sum := sample(t, "a.test.", 3000)
	found := 0
	for i := range 2000 {
		k := fmt.Appendf(nil, "key %d", i)
		h := c.Hash(k)
		if i%2 == 0 {
			c.Put(k, msg, sum, 0, 0)
		}
		c.Ahead(h)
		e := c.Likely(h)
		got := c.Find(h, k, 1)
		if got != c.Get(k, 1) {
			t.Fatal("Find and Get find different entries")
		}
		if got == nil {
			continue
		}
		found++
		if e == nil {
			t.Fatalf("key %d is in the cache, and Likely found nothing", i)
		}
		e.Ahead()
	}
	if found == 0 {
		t.Error("nothing was found")
	}
}

func TestTooLargeOrLifelessIsNotKept(t *testing.T) {
	c := New(Config{})
	msg, sum := sample(t, "a.test.", 0)
	if c.Put([]byte("key"), msg, sum, 0, 0) != nil || c.Len() != 0 {
		t.Error("an answer with TTL 0 was kept")
	}
	msg, sum = sample(t, "a.test.", 30, func(m *dns.Msg) {
		for range 1200 {
			m.Answer = append(m.Answer, m.Answer[0])
		}
	})
	if c.Put([]byte("key"), msg, sum, 0, 0) != nil || c.Len() != 0 {
		t.Errorf("an answer of %d bytes was kept", len(msg))
	}
}

func TestReadersAndWritersAtOnce(t *testing.T) {
	c := New(Config{Bytes: minBytes})
	msg, sum := sample(t, "a.test.", 30)
	var work sync.WaitGroup
	for w := range 4 {
		work.Go(func() {
			for i := range 5000 {
				k := fmt.Appendf(nil, "key %d", i*(w+1)%700)
				if e := c.Get(k, 1); e == nil {
					c.Put(k, msg, sum, uint64(i), 1)
				} else if string(e.key()) != string(k) || len(e.Message()) != sum.Cut {
					t.Errorf("key %q gave the entry of %q", k, e.key())
					return
				}
			}
		})
	}
	work.Wait()
}

func TestGetDoesNotAllocate(t *testing.T) {
	c := New(Config{})
	msg, sum := sample(t, "a.test.", 30)
	k := []byte("key")
	c.Put(k, msg, sum, 0, 0)
	if n := testing.AllocsPerRun(200, func() { c.Get(k, 1).SetStamp(1) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkGet(b *testing.B) {
	c := New(Config{})
	keys := make([][]byte, 10_000)
	msg, sum := sample(b, "a.test.", 30)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "\x07name%03d\x04test\x00 %d", i%1000, i)
		c.Put(keys[i], msg, sum, 0, 0)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Get(keys[i%len(keys)], 1)
	}
}

// What the collector needs for a full cache of the default size, each time.
func BenchmarkCollecting(b *testing.B) {
	c := New(Config{})
	msg, sum := sample(b, "name000000.test.", 3000)
	for i := 0; c.Bytes() < 60<<20 && i < 600_000; i++ {
		c.Put(fmt.Appendf(nil, "\x0aname%06d\x04test\x00 %d", i, i), msg, sum, 0, 0)
	}
	for b.Loop() {
		runtime.GC()
	}
	b.ReportMetric(float64(c.Len()), "entries")
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapInuse>>20), "MB-heap")
	b.ReportMetric(float64(c.Bytes()>>20), "MB-counted")
}

// TestAFloodOfUniqueNamesLeavesHotNames: names that are asked again while many times the cache's size of others goes through are still there.
func TestAFloodOfUniqueNamesLeavesHotNames(t *testing.T) {
	c := New(Config{Bytes: 1 << 20})
	msg, sum := sample(t, "a.test.", 3600, func(m *dns.Msg) {
		for range 20 { // so that the cache is out of bytes before it is out of slots
			m.Answer = append(m.Answer, m.Answer[0])
		}
	})
	hot := make([][]byte, 150)
	for i := range hot {
		hot[i] = fmt.Appendf(nil, "hot%d", i)
		c.Put(hot[i], msg, sum, 0, 0)
	}
	for _, k := range hot {
		c.Get(k, 0)
	}
	const flood = 60_000
	asked, lost := 0, 0
	for i := range flood {
		c.Put(fmt.Appendf(nil, "unique%d", i), msg, sum, 0, 0)
		if i%20 != 0 { // so each hot name is asked once in 3,000 questions, about twice what the cache holds
			continue
		}
		k := hot[i/20%len(hot)]
		if asked++; c.Get(k, 0) == nil {
			lost++
			c.Put(k, msg, sum, 0, 0)
		}
	}
	if filled := c.Len(); filled > 3_000 {
		t.Fatalf("the cache holds %d entries: the flood is no flood", filled)
	}
	if lost > asked/20 {
		t.Errorf("of %d questions for hot names %d found nothing, want one in twenty at most", asked, lost)
	}
}
