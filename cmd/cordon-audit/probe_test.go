package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/probe"
)

// What a resolver says of itself is held to the log: each state it can name has its own words.
func TestAProbeSaysWhichStateOfTheLogIsServed(t *testing.T) {
	l := audittest.New("probed")
	l.Publish(20)
	first := l.State(l.InForce)
	l.Receipts(audittest.E1)
	l.Publish(30)
	second, changed := l.State(l.InForce), l.Now
	l.Receipts(audittest.E2)
	l.Publish(40)
	third := l.State(l.InForce)
	for _, c := range []struct {
		name   string
		states []match.StateID
		blocks bool
		later  time.Duration // than the second version
		pass   bool
		says   string
	}{
		{"what is in force", []match.StateID{third}, true, time.Hour, true, "is what the log says should be served since leaf"},
		{"one version behind, as its edge says", []match.StateID{second}, true, 10 * time.Minute, true, "edge e2 says so itself and has yet to follow"},
		{"behind for a day", []match.StateID{second}, true, 24 * time.Hour, false, "has been behind for more than 1h0m0s"},
		{"stopped long ago", []match.StateID{first}, true, 24 * time.Hour, false, "an old state"},
		{"another index", []match.StateID{{1}}, true, 0, false, "another index"},
		{"no state", nil, true, 0, true, "nothing binds this resolver to the log"},
		{"not Cordon", nil, false, 0, false, "not a Cordon resolver"},
		{"right state, and no canary stopped", []match.StateID{third}, false, 0, false, "is what the log says"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := audit.Verify(t.Context(), bytes.NewReader(l.Bundle()), l.TrustFile(), audit.Options{Now: l.Now})
			if err != nil || !r.Pass {
				t.Fatalf("got %v, %v", r, err)
			}
			found := &probe.Result{Blocks: c.blocks, Answered: true, Began: changed.Add(c.later), Checks: []probe.Check{{Name: probe.CheckNSID, Pass: true}}}
			for _, s := range c.states {
				found.States = append(found.States, s[:])
			}
			p := judged(r, found, "192.0.2.1")
			if p.Pass != c.pass || !strings.Contains(p.Meaning, c.says) {
				t.Errorf("got pass %t, %q; want %t and %q", p.Pass, p.Meaning, c.pass, c.says)
			}
			var out bytes.Buffer
			if err := p.write(&out, true); (err == nil) != c.pass {
				t.Errorf("write: %v", err)
			}
			var back probed
			if err := json.Unmarshal(out.Bytes(), &back); err != nil || back.Pass != p.Pass || back.Size != r.Checkpoint.Size {
				t.Errorf("JSON: %v, %+v", err, back)
			}
		})
	}
}

func TestAProbeOfABypassAndOfABadBundle(t *testing.T) {
	l := audittest.New("probed")
	l.Publish(20)
	l.Order(order.Bypass{})
	id := l.State(l.InForce)
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
		pass   bool
		says   string
	}{
		{"bypass", func(b []byte) []byte { return b }, true, "EVERYTHING PASSES"},
		{"a changed list", func(b []byte) []byte { b[bytes.Index(b, []byte("CORDEDG2"))+2000] ^= 1; return b }, false, "EVERYTHING PASSES"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := known{bases: map[[32]byte]bases{}, names: map[[32]byte][]string{}}
			r, err := audit.Verify(t.Context(), bytes.NewReader(c.change(l.Bundle())), l.TrustFile(), audit.Options{Now: l.Now, Watch: k.watch()})
			if err != nil {
				t.Fatal(err)
			}
			if got := k.canaries(r.Served()); c.pass && (len(got) != 1 || got[0].Name != listtest.Canary || got[0].Law == got[0].Voluntary) {
				t.Errorf("canaries: got %+v", got)
			}
			p := judged(r, &probe.Result{Blocks: true, States: [][]byte{id[:]}, Began: l.Now}, "192.0.2.1")
			if p.Pass != c.pass || !strings.Contains(p.Meaning, c.says) {
				t.Errorf("got pass %t, %q", p.Pass, p.Meaning)
			}
		})
	}
}

func TestAddressesAndNamesForAProbe(t *testing.T) {
	for _, c := range []struct {
		at, name string
		ok       bool
	}{
		{"192.0.2.1", "", true}, {"192.0.2.1:5353", "Open.Example.", true}, {"2001:db8::1", "", true}, {"[2001:db8::1]:53", "bücher.example", true},
		{"", "", false}, {"resolver.example", "", false}, {"192.0.2.1:0", "", false}, {"192.0.2.1:70000", "", false},
		{"192.0.2.1", "a b.test", false}, {"192.0.2.1", "http://a.test/", false},
	} {
		var names []string
		if c.name != "" {
			names = []string{c.name}
		}
		if _, err := probeConfig(c.at, names, names, nil, time.Second); (err == nil) != c.ok {
			t.Errorf("%q %q: got %v", c.at, c.name, err)
		}
	}
}
