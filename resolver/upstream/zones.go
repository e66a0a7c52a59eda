package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/wire"
)

// Zone is a name whose questions, and those for names below it, go to servers of its own; those for its DS records, which are the parent's, do not.
type Zone struct {
	Name    string
	Servers []netip.AddrPort
}

// Zones asks the pool of the longest zone that a name lies in, and the rest of the world elsewhere. All methods may be called concurrently.
type Zones struct {
	rest  *Pool
	zones map[string]*Pool // by wire name, lower case
	named []namedPool
}

type namedPool struct {
	name string
	pool *Pool
}

// OpenZones makes the pools. Config is that of the rest; those of the zones have other servers, which are asked in clear and whenever: they
// are of the own network.
func OpenZones(c Config, zones []Zone) (_ *Zones, err error) {
	rest, err := Open(c)
	if err != nil {
		return nil, err
	}
	z := &Zones{rest: rest, zones: make(map[string]*Pool)}
	defer func() {
		if err != nil {
			_ = z.Close()
		}
	}()
	for _, one := range zones {
		var name [wire.MaxName + 1]byte
		n, err := dns.PackDomainName(dns.Fqdn(strings.ToLower(one.Name)), name[:], 0, nil, false)
		if err != nil || n == 1 {
			return nil, fmt.Errorf("open upstream: zone %q is no name below the root", one.Name)
		}
		if z.zones[string(name[:n])] != nil {
			return nil, fmt.Errorf("open upstream: zone %s is there twice", one.Name)
		}
		c.Servers, c.TLS, c.Ready = one.Servers, nil, nil
		p, err := Open(c)
		if err != nil {
			return nil, fmt.Errorf("zone %s: %w", one.Name, err)
		}
		z.zones[string(name[:n])] = p
		z.named = append(z.named, namedPool{one.Name, p})
	}
	return z, nil
}

// pool is who is asked: of a name's DS records the zone above it, which has them (RFC 4035 3.1.4.1).
func (z *Zones) pool(q wire.Question) *Pool {
	if len(z.zones) == 0 {
		return z.rest
	}
	name := q.Name
	if q.Type == wire.TypeDS && len(name) > 1 {
		name = name[1+int(name[0]):]
	}
	for len(name) > 1 {
		if p := z.zones[string(name)]; p != nil {
			return p
		}
		name = name[1+int(name[0]):]
	}
	return z.rest
}

// Ask is Pool.Ask.
func (z *Zones) Ask(ctx context.Context, q wire.Question, done func(reply []byte, err error)) {
	z.pool(q).Ask(ctx, q, done)
}

// Queue is Pool.Queue.
func (z *Zones) Queue(ctx context.Context, q wire.Question, w Waiter) {
	z.pool(q).Queue(ctx, q, w)
}

// Flush is Pool.Flush.
func (z *Zones) Flush() {
	z.rest.Flush()
	for _, p := range z.zones {
		p.Flush()
	}
}

// Exchange is Pool.Exchange.
func (z *Zones) Exchange(ctx context.Context, q wire.Question) ([]byte, error) {
	return z.pool(q).Exchange(ctx, q)
}

// Counts are those of the rest of the world: a zone's servers say nothing of how names in general are answered.
func (z *Zones) Counts() Counts { return z.rest.Counts() }

// ZoneCounts are those of each zone, in the order of OpenZones.
func (z *Zones) ZoneCounts() []ZoneCounts {
	out := make([]ZoneCounts, len(z.named))
	for i, one := range z.named {
		out[i] = ZoneCounts{Zone: one.name, Counts: one.pool.Counts()}
	}
	return out
}

// ZoneCounts are the Counts of a zone's servers.
type ZoneCounts struct {
	Zone string
	Counts
}

// Close closes all pools.
func (z *Zones) Close() error {
	err := z.rest.Close()
	for _, p := range z.zones {
		err = errors.Join(err, p.Close())
	}
	return err
}
