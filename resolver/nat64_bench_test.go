package resolver

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/cache"
	"github.com/cordon-project/cordon/resolver/dns64"
	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

// BenchmarkMissesBehindANAT64 asks batches of 64 AAAA questions for new names of an upstream on loopback, which answers one at a time: for names that
// have IPv6 addresses, and for names that have IPv4 alone, which take two questions. cpu-ns/op is the processor time of a question in this whole
// process, the upstream's in it.
func BenchmarkMissesBehindANAT64(b *testing.B) {
	for _, six := range []bool{true, false} {
		b.Run(map[bool]string{true: "IPv6", false: "IPv4"}[six], func(b *testing.B) { benchmarkMisses(b, six) })
	}
}

func benchmarkMisses(b *testing.B, six bool) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadBuffer(1 << 20)
	go addresses(conn, six)
	pool, err := upstream.Open(upstream.Config{Servers: []netip.AddrPort{conn.LocalAddr().(*net.UDPAddr).AddrPort()}, Attempt: time.Minute, Total: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	translated, err := dns64.New(pool, dns64.WellKnown)
	if err != nil {
		b.Fatal(err)
	}
	r, err := New(Config{Stop: testStop, Upstream: translated, NAT64: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, Cache: cache.New(cache.Config{})})
	if err != nil {
		b.Fatal(err)
	}
	r.Swap(makeSet(b))
	const n = 64
	w, batch := r.Worker(), make([]wire.Ask, n)
	var work sync.WaitGroup
	for i := range batch {
		batch[i] = wire.Ask{Query: question(b, fmt.Sprintf("n%09d.example", i), dns.TypeAAAA, edns), From: over(false), Later: counted{&work}}
	}
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	b.ReportAllocs()
	asked := 0
	for b.Loop() {
		i := asked % n
		for at, x := 9, asked; at > 0; at, x = at-1, x/10 {
			batch[i].Query[wire.HeaderLen+1+at] = byte('0' + x%10)
		}
		batch[i].Resp, batch[i].Done = batch[i].Resp[:0], false
		if asked++; i == n-1 {
			work.Add(n)
			w.Answer(batch)
			w.Slow(context.Background(), batch)
			work.Wait()
		}
	}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	cpu := func(u syscall.Rusage) int64 { return u.Utime.Nano() + u.Stime.Nano() }
	b.ReportMetric(float64(cpu(after)-cpu(before))/float64(b.N), "cpu-ns/op")
}

// counted is a client that is waited for.
type counted struct{ work *sync.WaitGroup }

func (counted) Answer([]byte) {}
func (c counted) Flush()      { c.work.Done() }

// addresses answers AAAA questions with an address, or with none, and A questions with one.
func addresses(conn *net.UDPConn, six bool) {
	buf := make([]byte, wire.MaxUDP)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		end := wire.HeaderLen
		for end < n && buf[end] != 0 {
			end += 1 + int(buf[end])
		}
		end += 5
		typ := binary.BigEndian.Uint16(buf[end-4:])
		out := buf[:end]
		out[2], out[3] = 0x81, 0x80
		clear(out[6:12])
		out = append(out, 0xc0, wire.HeaderLen)
		switch {
		case typ == wire.TypeA:
			out[7] = 1
			out = append(out, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1)
		case six:
			out[7] = 1
			out = append(out, 0, 28, 0, 1, 0, 0, 1, 44, 0, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
		default:
			out[9] = 1
			out = append(out, 0, 6, 0, 1, 0, 0, 1, 44, 0, 22, 0, 0)
			out = append(out, make([]byte, 16)...)
			out = append(out, 0, 0, 1, 44)
		}
		_, _ = conn.WriteToUDPAddrPort(out, from)
	}
}
