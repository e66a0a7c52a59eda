package resolver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

// TestScenarios plays the text files of testdata/scenarios, and those whose first line is "wire" over a pool and sockets as well. A line starts with
// a word, indented lines belong to it:
//
//	list [BASIS KIND NAME, ...]      a new set with these entries; "canary" may follow a name. "list" alone: an empty set
//	none                             no set in force
//	bypass                           the set of now with the kill switch on
//	prefetch                         first line: what is still asked for is asked for anew before its time is over
//	upstream NAME TYPE [RCODE] [ad] [ede N] [fails] [busy] [held] [only LIE] [first LIE ...]
//	  RECORD                         or "authority RECORD" or "additional RECORD" or "aliases N NAME NAME": a chain of N between two names
//	                                 a LIE is a name of lies; with "only" the reply is that, with "first" that comes before it (over the wire, UDP)
//	clock DURATION                   moves the clock
//	ask NAME TYPE [edns|do|cd|ad|nsid|tcp|size N|class C]
//	  RCODE [ad] [cd] [tc] [ede N]   then the whole answer and authority sections as records, or nothing
//	start ID NAME TYPE [...]         asks as "ask" does and goes on when the upstream holds the question back
//	release                          the upstream gives what it holds back
//	end ID                           the answer to "start ID", as below "ask"
//	calls N                          questions the upstream got since the last "calls"
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			play(t, f, string(text), newRigOf)
			if strings.HasPrefix(string(text), "wire\n") {
				t.Run("over the wire", func(t *testing.T) { play(t, f, string(text), newWireRig) })
			}
		})
	}
}

// step is one line with the lines indented below it.
type step struct {
	at    string
	words []string
	body  []string
}

func play(t *testing.T, file, text string, rigOf func(testing.TB, *fakeClock, Config) *rig) {
	var steps []step
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "":
		case line[0] == ' ' || line[0] == '\t':
			last := &steps[len(steps)-1]
			last.body = append(last.body, strings.Join(strings.Fields(trimmed), " "))
		default:
			steps = append(steps, step{at: fmt.Sprintf("%s:%d", file, i+1), words: strings.Fields(trimmed)})
		}
	}
	clock := newClock()
	// what is held back waits for "release", however long this machine takes to come to it
	g, calls := rigOf(t, clock, Config{Clock: clock.now, Patience: time.Hour, Prefetch: strings.HasPrefix(text, "prefetch\n")}), 0
	started := map[string]started{}
	for _, s := range steps {
		switch s.words[0] {
		case "wire":
		case "prefetch":
			g.asker = askable{g.up} // which is not waited for: the next line finds it done
		case "none":
			g.Swap(nil)
		case "list":
			g.Swap(makeSet(t, entries(t, s)...))
		case "bypass":
			g.Swap(g.Set().WithBypass(1<<32 - 1))
		case "clock":
			d, err := time.ParseDuration(s.words[1])
			if err != nil {
				t.Fatalf("%s: %v", s.at, err)
			}
			g.clock.step(d)
		case "calls":
			if got := g.up.calls() - calls; strconv.Itoa(got) != s.words[1] {
				t.Errorf("%s: upstream was asked %d times, want %s", s.at, got, s.words[1])
			}
			calls = g.up.calls()
		case "upstream":
			script(t, g, s)
		case "ask":
			query, tcp := s.question(t, s.words[1:])
			s.compare(t, g, g.ask(t, query, tcp))
		case "start":
			query, tcp := s.question(t, s.words[2:])
			started[s.words[1]] = g.start(query, tcp)
		case "release":
			g.up.release()
		case "end":
			a, ok := started[s.words[1]]
			if !ok {
				t.Fatalf("%s: %s was not started, or has ended", s.at, s.words[1])
			}
			delete(started, s.words[1])
			s.compare(t, g, checkAnswer(t, a.query, <-a.resp, a.tcp))
		default:
			t.Fatalf("%s: unknown word %q", s.at, s.words[0])
		}
	}
	for id := range started {
		t.Errorf("%s: %s never ends", file, id)
	}
}

// started is a question under way.
type started struct {
	query []byte
	tcp   bool
	resp  chan []byte
}

// start returns when the question is answered or the upstream holds it back.
func (g *rig) start(query []byte, tcp bool) started {
	a := started{query, tcp, make(chan []byte, 1)}
	if resp, done := g.Fast(nil, query, over(tcp)); done {
		a.resp <- resp
		return a
	}
	answered := make(chan struct{})
	g.Slow(context.Background(), query, over(tcp), func(resp []byte) {
		a.resp <- slices.Clone(resp)
		close(answered)
	})
	select {
	case <-answered:
	case <-g.up.holds:
	}
	return a
}

func entries(t *testing.T, s step) (out []entry) {
	for _, part := range strings.Split(strings.Join(s.words[1:], " "), ",") {
		w := strings.Fields(part)
		if len(w) == 0 {
			continue
		}
		basis, err := match.ParseBasis(w[0])
		if err != nil {
			t.Fatalf("%s: %v", s.at, err)
		}
		kind, err := canon.ParseKind(w[1])
		if err != nil {
			t.Fatalf("%s: %v", s.at, err)
		}
		out = append(out, entry{basis: basis, kind: kind, name: w[2], canary: len(w) > 3 && w[3] == "canary"})
	}
	return out
}

func script(t *testing.T, g *rig, s step) {
	var rcode, code int
	var ad, fails, held bool
	failure := upstream.ErrNoAnswer
	var only string
	var first []string
	for i := 3; i < len(s.words); i++ {
		switch w := s.words[i]; w {
		case "ad":
			ad = true
		case "fails":
			fails = true
		case "busy":
			fails, failure = true, upstream.ErrBusy
		case "held":
			held = true
		case "ede":
			i++
			code, _ = strconv.Atoi(s.words[i])
		case "only":
			i++
			only = s.words[i]
		case "first":
			first = s.words[i+1:]
			i = len(s.words)
		default:
			var ok bool
			if rcode, ok = dns.StringToRcode[w]; !ok {
				t.Fatalf("%s: unknown word %q", s.at, w)
			}
		}
	}
	for _, l := range append([]string{only}, first...) {
		if l != "" && lies[l] == nil {
			t.Fatalf("%s: %q is no lie", s.at, l)
		}
	}
	k := key(s.words[1], dns.StringToType[s.words[2]])
	g.up.mu.Lock()
	if g.up.first == nil {
		g.up.first = map[string][]string{}
	}
	g.up.first[k] = first
	g.up.mu.Unlock()
	records := aliases(s.body)
	g.up.set(k, func(q wire.Question) ([]byte, error) {
		if held {
			g.up.hold()
		}
		if fails {
			return nil, failure
		}
		b, err := reply(q, func(m *dns.Msg) {
			m.Rcode, m.AuthenticatedData = rcode, ad
			m.SetEdns0(1232, q.DO)
			if code != 0 {
				o := m.IsEdns0()
				o.Option = append(o.Option, &dns.EDNS0_EDE{InfoCode: uint16(code), ExtraText: "text of the upstream"})
			}
		}, records...)
		if err == nil && only != "" {
			b = lies[only](b)
		}
		return b, err
	})
}

// aliases writes out "aliases N FROM TO".
func aliases(body []string) (records []string) {
	for _, line := range body {
		w := strings.Fields(line)
		if w[0] != "aliases" {
			records = append(records, line)
			continue
		}
		n, _ := strconv.Atoi(w[1])
		for i := range n {
			from, to := fmt.Sprintf("alias%d.example.", i), fmt.Sprintf("alias%d.example.", i+1)
			if i == 0 {
				from = w[2]
			}
			if i == n-1 {
				to = w[3]
			}
			records = append(records, from+" 300 IN CNAME "+to)
		}
	}
	return records
}

// question packs what the words ask.
func (s step) question(t *testing.T, words []string) (query []byte, tcp bool) {
	t.Helper()
	m := new(dns.Msg).SetQuestion(dns.Fqdn(words[0]), dns.StringToType[words[1]])
	for i := 2; i < len(words); i++ {
		switch w := words[i]; w {
		case "edns":
			m.SetEdns0(4096, false)
		case "do":
			m.SetEdns0(4096, true)
		case "size":
			i++
			n, _ := strconv.Atoi(words[i])
			m.SetEdns0(uint16(n), false)
		case "nsid":
			m.SetEdns0(4096, false)
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID}}
		case "cd":
			m.CheckingDisabled = true
		case "ad":
			m.AuthenticatedData = true
		case "tcp":
			tcp = true
		case "class":
			i++
			m.Question[0].Qclass = dns.StringToClass[words[i]]
		default:
			t.Fatalf("%s: unknown word %q", s.at, w)
		}
	}
	query, err := m.Pack()
	if err != nil {
		t.Fatalf("%s: %v", s.at, err)
	}
	return query, tcp
}

// compare holds an answer to what the lines below the step say.
func (s step) compare(t *testing.T, g *rig, got *dns.Msg) {
	t.Helper()
	if len(s.body) == 0 {
		t.Fatalf("%s: nothing expected", s.at)
	}
	head := dns.RcodeToString[got.Rcode]
	for _, f := range []struct {
		set  bool
		name string
	}{{got.AuthenticatedData, "ad"}, {got.CheckingDisabled, "cd"}, {got.Truncated, "tc"}} {
		if f.set {
			head += " " + f.name
		}
	}
	if e := ede(got); e != 0 {
		head += fmt.Sprintf(" ede %d", e)
	}
	if head != s.body[0] {
		t.Errorf("%s: got %q, want %q", s.at, head, s.body[0])
	}
	want := []string{}
	for _, text := range aliases(s.body[1:]) {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatalf("%s: %v", s.at, err)
		}
		want = append(want, lines([]dns.RR{rr})...)
	}
	slices.Sort(want)
	if have := lines(slices.Concat(got.Answer, got.Ns, got.Extra)); !slices.Equal(have, want) {
		t.Errorf("%s: records are\n%s\nwant\n%s", s.at, strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
	if slices.Contains(s.words, "nsid") {
		checkNSID(t, g, got, s.at)
	}
}

func checkNSID(t *testing.T, g *rig, m *dns.Msg, at string) {
	for _, o := range m.IsEdns0().Option {
		if n, ok := o.(*dns.EDNS0_NSID); ok {
			if want := g.Set().StateID().String(); n.Nsid != want {
				t.Errorf("%s: NSID is %s, want the state id %s", at, n.Nsid, want)
			}
			return
		}
	}
	t.Errorf("%s: no NSID in the answer", at)
}
