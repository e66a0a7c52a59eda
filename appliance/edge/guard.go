package edge

import (
	"context"
	"log/slog"
	"slices"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/guard"
)

// openGuard makes the guard of an edge. Who has forgotten to name its clients is told: an edge on a public address that serves nobody there
// looks broken.
func openGuard(ctx context.Context, c *config.Edge, log *slog.Logger) (*guard.Guard, error) {
	for _, a := range c.DNSListen {
		if ip := a.Addr(); len(c.Clients.Allow) == 0 && !ip.IsUnspecified() && !slices.ContainsFunc(guard.Local(), guard.Holds(ip)) {
			log.WarnContext(ctx, "dns_listen has a public address and clients.allow is empty: only private addresses are answered, all others get REFUSED",
				slog.Any("dns_listen", a))
			break
		}
	}
	return guard.New(guardConfig(&c.Clients))
}

func guardConfig(c *config.Clients) guard.Config {
	none := func(n int) int {
		if n == 0 {
			return -1
		}
		return n
	}
	return guard.Config{
		Clients: c.Allow, Strangers: c.Deny, DropStrangers: c.Drop, Exempt: c.Exempt, IPv4Bits: c.IPv4Bits, IPv6Bits: c.IPv6Bits,
		Questions: none(c.Questions), Answers: none(c.Answers), Large: none(c.LargeAnswers), Errors: none(c.Errors), Slip: c.Slip, Budget: none(c.ListedADay),
	}
}

// held is what an edge tells control nodes of its guard.
func held(r *resolver.Resolver, g *guard.Guard, a *exempting) api.Guard {
	c := g.Counts()
	return api.Guard{
		Questions: r.Counts().Queries, Strangers: c.Strangers, Limited: c.Limited, Slowed: c.Slowed, Dropped: c.Dropped, Truncated: c.Slipped, Budgets: c.Sources, Exempt: a.number(),
	}
}
