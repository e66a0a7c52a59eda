package api

import (
	"cmp"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// LookupsADay is how many names one auditor's certificate may look up at one node in a day (UTC): enough to follow complaints, far too few
	// to try a dictionary. It starts anew with the node.
	LookupsADay = 200

	maxAuditors = 1000 // remembered a day; the operator's authority has given out so few
)

// Lookups is how often an auditor has looked a name up at this node today.
type Lookups struct {
	Auditor string `json:"auditor"`
	N       int    `json:"n"`
	Most    int    `json:"most"`
}

// lookups counts by certificate and day, and nothing else: no name is kept.
type lookups struct {
	mu  sync.Mutex // guards what follows
	day int64
	of  map[string]int
}

// take is one lookup of an auditor; false when the day's are used up.
func (l *lookups) take(name string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn(now)
	if _, known := l.of[name]; !known && len(l.of) >= maxAuditors || l.of[name] >= LookupsADay {
		return false
	}
	l.of[name]++
	return true
}

func (l *lookups) turn(now time.Time) {
	if day := now.Unix() / 86400; day != l.day || l.of == nil {
		l.day, l.of = day, map[string]int{}
	}
}

func (l *lookups) today(now time.Time) []Lookups {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn(now)
	out := []Lookups{}
	for name, n := range l.of {
		out = append(out, Lookups{name, n, LookupsADay})
	}
	slices.SortFunc(out, func(a, b Lookups) int { return cmp.Compare(a.Auditor, b.Auditor) })
	return out
}

// lookup answers an auditor with proof. The name is in the body and goes no further than the lists.
func (s *Server) lookup(w http.ResponseWriter, r *http.Request, who caller) error {
	var req whichRequest
	if err := readBody(r, &req); err != nil {
		return err
	}
	if !s.lookups.take(who.name, s.clock()) {
		return fail(http.StatusTooManyRequests, "auditor %s has used up today's %d lookups at this node", who.name, LookupsADay)
	}
	s.log.InfoContext(r.Context(), "lookup", slog.String("auditor", who.name))
	a, err := s.node.Lookup(r.Context(), req.Name)
	if err != nil {
		return err
	}
	b, err := a.Encode()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/cbor")
	_, err = s.reading(w).Write(b)
	return err
}
