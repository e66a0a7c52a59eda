package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/cordon-project/cordon/listsync/witness"
)

// Witness is a node's part in the witnessing of logs, as the API serves it. All may be called concurrently.
type Witness interface {
	http.Handler // add-checkpoint (C2SP tlog-witness)
	Status() WitnessStatus
	Seen() [][]byte // the newest checkpoint of each foreign log that this node has seen, signed
}

// WitnessStatus is what a node says of witnessing.
type WitnessStatus struct {
	Keys    []string        `json:"keys"`                   // under which this node witnesses
	Log     []string        `json:"log"`                    // keys of this cluster's own log, for those who witness it
	Watched []WatchedLog    `json:"watched"`                // by origin
	Asked   []WitnessHealth `json:"asked"`                  // in the policy's order; empty when this node asks none
	Met     time.Time       `json:"met,omitzero"`           // last time the policy was met by a checkpoint of this node
	Failing time.Time       `json:"failing_since,omitzero"` // since when it has not been; zero while it is
	Problem string          `json:"problem"`                // which witnesses are missing; empty while it is met
	Peers   []PeerHealth    `json:"peers"`                  // whom this node compares with
	Forks   []ForkStatus    `json:"forks"`                  // logs that told two stories
}

// WatchedLog is a log that this node witnesses.
type WatchedLog struct {
	Origin string    `json:"origin"`
	Size   uint64    `json:"size"` // last cosigned; 0 while nothing was
	At     time.Time `json:"at,omitzero"`
}

// WitnessHealth is one witness that this node asks.
type WitnessHealth struct {
	Name         string    `json:"name"`                   // in the policy
	At           time.Time `json:"at,omitzero"`            // of its last cosignature
	FailingSince time.Time `json:"failing_since,omitzero"` // zero while it answers
	Problem      string    `json:"problem"`
}

// PeerHealth is one other operator's node that this one compares with.
type PeerHealth struct {
	URL          string    `json:"url"`
	At           time.Time `json:"at,omitzero"` // last answer
	FailingSince time.Time `json:"failing_since,omitzero"`
	Problem      string    `json:"problem"`
}

// ForkStatus is a log that has signed two trees of one size.
type ForkStatus struct {
	Origin  string `json:"origin"`
	Size    uint64 `json:"size"`
	Hotline string `json:"hotline"`        // whose public log it is; empty for other logs
	Logged  bool   `json:"logged"`         // the evidence is in the cluster's log
	With    uint64 `json:"with,omitzero"`  // size of the log in the hotline's repository that does not continue the one of Size; zero for two roots at Size
	From    string `json:"from,omitempty"` // who was shown the other one
}

// maxSeen bounds the answer about foreign checkpoints: 256 logs of at most 8 KiB.
const maxSeen = 4 << 20

type seenAnswer struct {
	V     int      `json:"v"`     // 1
	Notes []string `json:"notes"` // signed checkpoints of foreign logs
}

func (s *Server) addCheckpoint(w http.ResponseWriter, r *http.Request, _ caller) error {
	if s.witness == nil {
		return fail(http.StatusNotFound, "this node witnesses no log")
	}
	if !s.asks.take(r.RemoteAddr, s.clock()) {
		w.Header().Set("Retry-After", "5")
		return fail(http.StatusTooManyRequests, "too many checkpoints from your address; ask again in a few seconds")
	}
	s.witness.ServeHTTP(w, r)
	return nil
}

func (s *Server) seen(w http.ResponseWriter, r *http.Request, _ caller) error {
	if !s.asks.take(r.RemoteAddr, s.clock()) {
		w.Header().Set("Retry-After", "5")
		return fail(http.StatusTooManyRequests, "too many requests from your address; ask again in a few seconds")
	}
	a := seenAnswer{V: 1, Notes: []string{}}
	if s.witness != nil {
		for _, b := range s.witness.Seen() {
			a.Notes = append(a.Notes, string(b))
		}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(a)
}

// Seen asks a node which checkpoints of foreign logs it has seen; nothing about them is verified yet.
func (c *Client) Seen(ctx context.Context) ([][]byte, error) {
	b, err := c.get(ctx, "/v1/seen")
	if err != nil {
		return nil, err
	}
	var a seenAnswer
	if len(b) > maxSeen {
		return nil, fmt.Errorf("read what %s has seen: %d bytes, at most %d", c.base, len(b), maxSeen)
	}
	if err := json.Unmarshal(b, &a); err != nil || a.V != 1 {
		return nil, fmt.Errorf("read what %s has seen: not an answer of this version", c.base)
	}
	out := make([][]byte, 0, len(a.Notes))
	for _, n := range a.Notes {
		if len(n) <= witness.MaxNote {
			out = append(out, []byte(n))
		}
	}
	return out, nil
}

const (
	askBurst  = 30   // requests of one household at once
	askRate   = 2    // a second, from then on
	maxHouses = 4096 // remembered; beyond them strangers share one place
)

// asks limits requests by household: an IPv4 address or an IPv6 /56, remembered in memory while it has asked a moment ago.
type asks struct {
	burst, rate float64 // 0: askBurst, askRate

	mu   sync.Mutex // guards from
	from map[netip.Prefix]*spent
}

// spent is how much of its room a household has used.
type spent struct {
	n  float64
	at time.Time
}

func (a *asks) take(remote string, now time.Time) bool {
	house, burst, rate := houseOf(remote), cmp.Or(a.burst, askBurst), cmp.Or(a.rate, askRate)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.from == nil {
		a.from = map[netip.Prefix]*spent{}
	}
	s, ok := a.from[house]
	if !ok {
		if len(a.from) >= maxHouses {
			for p, o := range a.from {
				if o.left(now, rate) <= 0 {
					delete(a.from, p)
				}
			}
		}
		if len(a.from) >= maxHouses {
			house = netip.Prefix{}
		}
		if s = a.from[house]; s == nil {
			s = &spent{at: now}
			a.from[house] = s
		}
	}
	s.n, s.at = s.left(now, rate), now
	if s.n+1 > burst {
		return false
	}
	s.n++
	return true
}

func (s *spent) left(now time.Time, rate float64) float64 {
	return max(0, s.n-max(0, now.Sub(s.at).Seconds())*rate)
}

func houseOf(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.WithZone("").Unmap()
	bits := 32
	if ip.Is6() {
		bits = 56
	}
	p, _ := ip.Prefix(bits)
	return p
}
