package resolver

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/upstream/upstreamtest"
	"github.com/cordon-project/cordon/resolver/wire"
)

// lies are what an upstream, or somebody who guesses, can make of a reply with a name in its question. Each gets a copy of its own.
var lies = map[string]func(b []byte) []byte{
	"id":        func(b []byte) []byte { b[1]++; return b },
	"query":     func(b []byte) []byte { b[2] &^= 0x80; return b },
	"notify":    func(b []byte) []byte { b[2] |= 4 << 3; return b },
	"name":      func(b []byte) []byte { b[wire.HeaderLen+1] ^= 1; return b },
	"case":      func(b []byte) []byte { return swapCase(b) },
	"type":      func(b []byte) []byte { b[questionEnd(b)-3]++; return b },
	"unasked":   func(b []byte) []byte { return append(header(b, 0), b[questionEnd(b):]...) }, // the question is left out
	"twice":     func(b []byte) []byte { return again(b) },                                    // and there two times
	"half":      func(b []byte) []byte { return b[:len(b)/2] },
	"head":      func(b []byte) []byte { return b[:wire.HeaderLen] },
	"nothing":   func([]byte) []byte { return nil },
	"more":      func(b []byte) []byte { b[7] += 3; return b }, // than there is
	"garbage":   func(b []byte) []byte { return append(b[:wire.HeaderLen], bytes.Repeat([]byte{0xa5}, 60)...) },
	"loop":      func(b []byte) []byte { return withName(b, 0xc0, 0) },          // a name that points to itself
	"ahead":     func(b []byte) []byte { return withName(b, 0xc0, 2) },          // and one that points to what follows
	"swing":     func(b []byte) []byte { return withName(b, 1, 'x', 0xc0, 0) },  // x.x.x.x...
	"reserved":  func(b []byte) []byte { return withName(b, 0x80, 1, 'x', 0) },  // a kind of label that does not exist
	"truncated": func(b []byte) []byte { b[2] |= 2; return b },                  // and the rest over TCP
	"endless":   func(b []byte) []byte { return withName(b, longName(128)...) }, // 256 bytes
}

func questionEnd(b []byte) int {
	at := wire.HeaderLen
	for b[at] != 0 {
		at += 1 + int(b[at])
	}
	return at + 5
}

func header(b []byte, questions byte) []byte {
	h := slices.Clone(b[:wire.HeaderLen])
	h[5] = questions
	return h
}

func again(b []byte) []byte {
	end := questionEnd(b)
	return slices.Concat(header(b, 2), b[wire.HeaderLen:end], b[wire.HeaderLen:])
}

func swapCase(b []byte) []byte {
	for i := wire.HeaderLen; i < questionEnd(b)-5; i++ {
		if c := b[i] | 0x20; c >= 'a' && c <= 'z' {
			b[i] ^= 0x20
		}
	}
	return b
}

// withName replaces all records by one address whose owner is these bytes; a pointer's second byte is counted from the name.
func withName(b []byte, name ...byte) []byte {
	end := questionEnd(b)
	name = slices.Clone(name)
	if n := len(name); n >= 2 && name[n-2] == 0xc0 {
		name[n-1] += byte(end)
	}
	b = slices.Concat(header(b, 1), b[wire.HeaderLen:end], name, []byte{0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 66})
	binary.BigEndian.PutUint16(b[6:], 1)
	clear(b[8:12])
	return b
}

func longName(labels int) (name []byte) {
	for range labels {
		name = append(name, 1, 'x')
	}
	return append(name, 0)
}

// newWireRig is a rig whose upstream is asked by a pool, over sockets: with the lies that come before a reply. Behind all of it over UDP comes a
// reply that is cut, so that who has had nothing that he can use does not wait for more; but to a silent upstream, which has its real time.
func newWireRig(t testing.TB, clock *fakeClock, c Config) *rig {
	t.Helper()
	g := newRigOf(t, clock, c)
	server := upstreamtest.Start(t, func(q upstreamtest.Query) (out upstreamtest.Reply) {
		packed, err := q.Pack()
		if err != nil {
			return out
		}
		asked := wire.Question{Name: wire.AppendLower(nil, packed[wire.HeaderLen:questionEnd(packed)-4]), Type: q.Question[0].Qtype, Class: q.Question[0].Qclass, CD: q.CheckingDisabled}
		asked.DO = q.IsEdns0() != nil && q.IsEdns0().Do()
		b, err := g.up.Exchange(t.Context(), asked)
		if err != nil || len(b) == 0 {
			return out
		}
		same := slices.Clone(b)
		binary.BigEndian.PutUint16(same, q.Id)
		if name := packed[wire.HeaderLen : questionEnd(packed)-4]; len(same) > wire.HeaderLen+len(name) && bytes.Equal(same[wire.HeaderLen:wire.HeaderLen+len(name)], asked.Name) {
			copy(same[wire.HeaderLen:], name) // in the case it was asked in
		}
		g.up.mu.Lock()
		first := g.up.first[key(q.Question[0].Name, q.Question[0].Qtype)]
		g.up.mu.Unlock()
		if q.TCP { // nobody guesses there
			first = nil
		}
		for _, l := range first {
			out.Packets = append(out.Packets, lies[l](slices.Clone(same)))
		}
		if !slices.Contains(first, "truncated") {
			out.Packets = append(out.Packets, same)
		}
		if !q.TCP {
			cut := append(slices.Clone(packed[:questionEnd(packed)]), 0xc0, wire.HeaderLen)
			cut[2], cut[7] = cut[2]|0x80, 1 // one record
			clear(cut[8:wire.HeaderLen])
			out.Packets = append(out.Packets, cut)
		}
		return out
	})
	pool, err := upstream.Open(upstream.Config{Servers: []netip.AddrPort{server.Addr()}, Attempt: 5 * time.Second, Total: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	g.asker = pool
	return g
}
