package load

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// echo answers each datagram with itself as an answer of the given code; every tenth gets none when some are to be lost.
func echo(t *testing.T, rcode byte, lose bool) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		in := make([]byte, 2000)
		for i := 1; ; i++ {
			n, from, err := c.ReadFrom(in)
			if err != nil {
				return
			}
			if lose && i%10 == 0 {
				continue
			}
			in[2] |= 0x80
			in[3] = in[3]&0xf0 | rcode
			if _, err := c.WriteTo(in[:n], from); err != nil {
				return
			}
		}
	}()
	return c.LocalAddr().String()
}

func TestEveryQuestionIsAskedAndTheLostAreCounted(t *testing.T) {
	questions, err := Read(strings.NewReader("www.a.test A\n\nb.test AAAA\n"), false)
	if err != nil || len(questions) != 2 {
		t.Fatal(questions, err)
	}
	for _, tt := range []struct {
		rcode        byte
		lost, failed int
		patience     time.Duration // all of it is waited for what is lost
	}{{0, 10, 0, 5 * time.Second}, {2, 0, 100, time.Minute}, {3, 0, 0, time.Minute}} {
		r, err := Run(t.Context(), Config{
			Server: echo(t, tt.rcode, tt.lost > 0), Over: "udp", Rate: 1000, Time: 100 * time.Millisecond, Conns: 2, Questions: questions, Patience: tt.patience,
			Wrong: func(i int, answer []byte) bool { return i == 1 && answer[2]&0x80 != 0 },
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Sent != 100 || r.Answered != 100-tt.lost || r.Lost != tt.lost || r.Failed != tt.failed {
			t.Errorf("rcode %d: got %v, want %d lost and %d failed", tt.rcode, r, tt.lost, tt.failed)
		}
		if r.Wrong == 0 || r.Wrong > 50 {
			t.Errorf("%d wrong, want those to the second question", r.Wrong)
		}
		if r.P50 <= 0 || r.P50 > r.P99 || r.P99 > r.Max {
			t.Errorf("percentiles are out of order: %v", r)
		}
	}
}

func TestPercentilesAreThoseOfTheSample(t *testing.T) {
	r := Result{begin: time.Now(), rate: 1000}
	for i := range 2000 { // a question each millisecond; those that are not answered count nowhere
		r.took = append(r.took, 0)
		if i%2 == 0 {
			r.took[i] = uint32(i/2 + 1)
		}
	}
	us := time.Microsecond
	if got, n := r.Of(func(time.Time) bool { return true }); n != 1000 || got != (Times{500 * us, 900 * us, 990 * us, 999 * us, 1000 * us}) {
		t.Errorf("of %d: %v", n, got)
	}
	second := r.begin.Add(time.Second)
	if got, n := r.Of(func(due time.Time) bool { return !due.Before(second) }); n != 500 || got != (Times{750 * us, 950 * us, 995 * us, 1000 * us, 1000 * us}) {
		t.Errorf("of the second half, %d: %v", n, got)
	}
	if got, n := r.Of(func(time.Time) bool { return false }); n != 0 || got != (Times{}) {
		t.Errorf("of none, %d: %v", n, got)
	}
}

func TestWhoWasHeldUpFloodsNoOne(t *testing.T) {
	p := pace{rate: 2000}
	begin := time.Now().Add(-100 * time.Millisecond)
	var asked []time.Time
	for n := 0; n == 0 || !p.since.IsZero(); n++ { // questions 1 ms apart, the first 100 ms ago
		if late := p.wait(due(begin, n, 1000)); n == 0 && late < 100*time.Millisecond {
			t.Errorf("the first is %v late", late)
		}
		if asked = append(asked, time.Now()); n == 50 {
			p.since = p.since.Add(-100 * time.Millisecond) // as if it had been held up once more
		}
	}
	if len(asked) < 150 {
		t.Errorf("%d were late, want 200 about", len(asked))
	}
	for i := range asked { // 20 ms at twice the rate are 40
		if j := i + 50; j < len(asked) && asked[j].Sub(asked[i]) < 4*time.Millisecond {
			t.Fatalf("50 were asked within %v, at 2000 a second", asked[j].Sub(asked[i]))
		}
	}
}

// An id comes round every 65,536 questions; who waits for an answer with it in vain does so once.
func TestALostQuestionIsLostOnce(t *testing.T) {
	here, there := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, there) }()
	m := newMatched(here, false)
	defer m.Close()
	lost := 0
	for range 3 << 16 {
		if err := m.ask(make([]byte, 12), func(answer []byte) {
			if answer == nil {
				lost++
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if lost != 2<<16 {
		t.Errorf("%d of %d are told to be lost, want %d", lost, 3<<16, 2<<16)
	}
}

func TestLossesAreTold(t *testing.T) {
	r := Result{Sent: 3000, begin: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), rate: 1000, took: make([]uint32, 3001), late: []time.Duration{0, time.Second, 0, 0}}
	for i := range 3000 {
		if i != 5 && i != 1200 && i != 1900 {
			r.took[i] = 1
		}
	}
	for _, want := range []string{"lost of the second at 03:04:05.0: 1; asked at most 0 µs late", "lost of the second at 03:04:06.0: 2; asked at most 1000000 µs late"} {
		if got := r.String(); !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
}

func TestPaddedQuestionsHaveOneLength(t *testing.T) {
	qs, err := Read(strings.NewReader("a.test A\n"+strings.Repeat("x", 60)+".test HTTPS\n"), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range qs {
		if len(q)%paddedTo != 0 {
			t.Errorf("length %d", len(q))
		}
	}
}

func TestBadLinesAreNamed(t *testing.T) {
	for _, text := range []string{"a.test\n", "a.test A x\n", "a.test NSEC9\n", "a..test A\n", strings.Repeat("x", 64) + ".test A\n"} {
		if _, err := Read(strings.NewReader("ok.test A\n"+text), false); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestHouseholdsAskFromAddressesOfTheirOwn(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	from := map[string]int{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		in := make([]byte, 2000)
		for range 12 {
			n, a, err := c.ReadFrom(in)
			if err != nil {
				return
			}
			from[a.(*net.UDPAddr).IP.String()]++
			_, _ = c.WriteTo(in[:n], a)
		}
	}()
	questions, err := Read(strings.NewReader("www.a.test A\n"), false)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(context.Background(), Config{Server: c.LocalAddr().String(), Over: "udp", Rate: 1000, Time: 12 * time.Millisecond, Conns: 4, Households: 2, Questions: questions, Patience: time.Minute})
	if err != nil || r.Answered != 12 {
		t.Fatalf("got %v, %v", r, err)
	}
	<-done
	if from["127.1.0.1"] != 6 || from["127.1.0.2"] != 6 {
		t.Errorf("asked from %v, want two addresses in turn", from)
	}
}
