package resolver

import (
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
	"github.com/cordon-project/cordon/resolver/wire"
)

// TestScenarios plays the text files of testdata/scenarios. A line starts with a word, indented lines belong to it:
//
//	list [BASIS KIND NAME, ...]      a new set with these entries; "canary" may follow a name. "list" alone: an empty set
//	none                             no set in force
//	bypass                           the set of now with the kill switch on
//	upstream NAME TYPE [RCODE] [ad] [ede N] [fails]
//	  RECORD                         or "authority RECORD" or "additional RECORD"
//	clock DURATION                   moves the clock
//	ask NAME TYPE [edns|do|cd|ad|nsid|tcp|size N|class C]
//	  RCODE [ad] [cd] [tc] [ede N]   then the whole answer and authority sections as records, or nothing
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
			play(t, f, string(text))
		})
	}
}

// step is one line with the lines indented below it.
type step struct {
	at    string
	words []string
	body  []string
}

func play(t *testing.T, file, text string) {
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
	g, calls := newRig(t), 0
	for _, s := range steps {
		switch s.words[0] {
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
			askAndCompare(t, g, s)
		default:
			t.Fatalf("%s: unknown word %q", s.at, s.words[0])
		}
	}
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
	var ad, fails bool
	for i := 3; i < len(s.words); i++ {
		switch w := s.words[i]; w {
		case "ad":
			ad = true
		case "fails":
			fails = true
		case "ede":
			i++
			code, _ = strconv.Atoi(s.words[i])
		default:
			var ok bool
			if rcode, ok = dns.StringToRcode[w]; !ok {
				t.Fatalf("%s: unknown word %q", s.at, w)
			}
		}
	}
	k := key(s.words[1], dns.StringToType[s.words[2]])
	if fails {
		g.up.set(k, nil)
		return
	}
	g.up.set(k, func(q wire.Question) ([]byte, error) {
		return reply(q, func(m *dns.Msg) {
			m.Rcode, m.AuthenticatedData = rcode, ad
			m.SetEdns0(1232, q.DO)
			if code != 0 {
				o := m.IsEdns0()
				o.Option = append(o.Option, &dns.EDNS0_EDE{InfoCode: uint16(code), ExtraText: "text of the upstream"})
			}
		}, s.body...)
	})
}

func askAndCompare(t *testing.T, g *rig, s step) {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(s.words[1]), dns.StringToType[s.words[2]])
	var tcp, nsid bool
	for i := 3; i < len(s.words); i++ {
		switch w := s.words[i]; w {
		case "edns":
			m.SetEdns0(4096, false)
		case "do":
			m.SetEdns0(4096, true)
		case "size":
			i++
			n, _ := strconv.Atoi(s.words[i])
			m.SetEdns0(uint16(n), false)
		case "nsid":
			nsid = true
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
			m.Question[0].Qclass = dns.StringToClass[s.words[i]]
		default:
			t.Fatalf("%s: unknown word %q", s.at, w)
		}
	}
	query, err := m.Pack()
	if err != nil {
		t.Fatalf("%s: %v", s.at, err)
	}
	got := g.ask(t, query, tcp)
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
	for _, text := range s.body[1:] {
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
	if nsid {
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
