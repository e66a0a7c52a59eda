package unbound

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/cordon-project/cordon/resolver/wire"
)

// identity asks a server for the identity it was configured with (RFC 4892); Unbound answers it without asking anybody.
var identity = wire.Question{Name: []byte("\x02id\x06server\x00"), Type: 16, Class: 3}

// probe is nil when what answers at the address knows the word.
func probe(ctx context.Context, at netip.AddrPort, word string, within time.Duration) error {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", at.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	id := uint16(rand.Uint32())
	if _, err := conn.Write(identity.AppendQuery(nil, id, wire.MaxUDP)); err != nil {
		return err
	}
	var buf [wire.MaxUDP]byte
	n, err := conn.Read(buf[:])
	if err != nil {
		return err
	}
	if reply := buf[:n]; !identity.Answers(reply, id) || !bytes.Contains(reply, append([]byte{byte(len(word))}, word...)) {
		return errors.New("something else answers")
	}
	return nil
}

// maxStats is more than the answer of a thousand threads.
const maxStats = 4 << 20

// counts asks the process in dir for its counters, over its control socket (unbound-control(8), stats_noreset).
func counts(ctx context.Context, dir string, within time.Duration) (Counts, error) {
	var c Counts
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socketPath(dir))
	if err != nil {
		return c, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write([]byte("UBCT1 stats_noreset\n")); err != nil {
		return c, err
	}
	return readCounts(conn)
}

func readCounts(from interface{ Read([]byte) (int, error) }) (Counts, error) {
	var c Counts
	var probes uint64 // the only questions of class CH: an edge hands none on
	into := map[string]*uint64{
		"total.num.queries": &c.Queries, "total.num.cachehits": &c.Hits, "num.query.udpout": &c.Asked, "num.query.tcpout": &c.Asked,
		"num.query.class.CH":       &probes,
		"num.answer.rcode.NOERROR": &c.Found, "num.answer.rcode.NXDOMAIN": &c.Found, "num.answer.rcode.SERVFAIL": &c.ServFail, "num.answer.bogus": &c.Bogus, "num.answer.secure": &c.Secure, "unwanted.replies": &c.Unwanted,
	}
	lines, size, seen := bufio.NewScanner(from), 0, 0
	for lines.Scan() {
		if size += len(lines.Bytes()); size > maxStats {
			return Counts{}, errors.New("read counters of unbound: too many")
		}
		key, value, ok := strings.Cut(lines.Text(), "=")
		if to := into[key]; ok && to != nil {
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return Counts{}, fmt.Errorf("read counters of unbound: %s: %w", key, err)
			}
			*to += n
			seen++
		}
	}
	if err := lines.Err(); err != nil {
		return Counts{}, fmt.Errorf("read counters of unbound: %w", err)
	}
	if seen == 0 {
		return Counts{}, errors.New("read counters of unbound: none came")
	}
	for _, n := range []*uint64{&c.Queries, &c.Hits, &c.Found} {
		*n -= min(*n, probes)
	}
	return c, nil
}
