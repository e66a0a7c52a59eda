package api

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/program"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/cluster/transport"
	"github.com/cordon-project/cordon/resolver/match"
)

// Appeal is one appeal of the register, for people and programs.
type Appeal struct {
	Ref      audit.AppealRef `json:"ref"`
	List     match.ListID    `json:"list,omitempty"`
	Entry    string          `json:"entry,omitempty"` // id, hex
	Received time.Time       `json:"received"`
	Due      time.Time       `json:"due"`
	Leaf     uint64          `json:"leaf"`
	Outcome  audit.Outcome   `json:"outcome,omitempty"` // left out while it is open
	By       []string        `json:"by,omitempty"`      // officers who decided
	At       time.Time       `json:"at,omitzero"`       // when they did
	Decided  uint64          `json:"decided_leaf,omitempty"`
	Overdue  bool            `json:"overdue"`
}

// Appeals counts the register.
type Appeals struct {
	Open    int       `json:"open"`
	Overdue int       `json:"overdue"`
	Decided int       `json:"decided"`
	Next    time.Time `json:"next_due,omitzero"` // of the open ones; zero when there is none
}

func countAppeals(view *state.View, now time.Time) Appeals {
	r := view.Register
	c := Appeals{Open: r.Open, Decided: r.Count - r.Open}
	for a := range r.All() {
		if a.Outcome != "" {
			continue
		}
		if due := time.Unix(a.Due, 0).UTC(); c.Next.IsZero() || due.Before(c.Next) {
			c.Next = due
		}
		if a.Overdue(now.Unix()) {
			c.Overdue++
		}
	}
	return c
}

// Program is what a node says it runs.
type Program struct {
	Role    string    `json:"role"`
	Name    string    `json:"name"`
	Program string    `json:"program"`
	Version string    `json:"version"`
	SHA256  string    `json:"sha256"`
	Since   time.Time `json:"since"` // when it said so, by its own clock
}

// registerRequest is an act that a person hands in.
type registerRequest struct {
	Act string `cbor:"act"`
	D   []byte `cbor:"d"` // its fields, as in the leaf
}

// register takes an appeal or a decision; whether it fits is decided by every replica.
func (s *Server) register(w http.ResponseWriter, r *http.Request, who caller) error {
	var req registerRequest
	if err := readBody(r, &req); err != nil {
		return err
	}
	if req.Act != audit.ActAppeal && req.Act != audit.ActDecision {
		return fail(http.StatusBadRequest, "%q is nothing that a person hands in", req.Act)
	}
	a, err := audit.DecodeAdmin(req.Act, who.name, s.node.Status().Name, req.D)
	if err != nil {
		return fail(http.StatusBadRequest, "%w", err)
	}
	leaf, again, err := s.node.Register(r.Context(), who.name, a.Said)
	if err != nil {
		return err
	}
	return writeBody(w, Ordered{Leaf: leaf, Again: again})
}

// keptDecided is how many decided appeals an answer holds, the newest ones; the log has all of them.
const keptDecided = 1000

// appeals are the open ones and the last that were decided, by reference.
func (s *Server) appeals(w http.ResponseWriter, _ *http.Request, _ caller) error {
	now := s.clock()
	all := s.node.View().Register
	var decided []uint64
	for a := range all.All() {
		if a.Outcome != "" {
			decided = append(decided, a.Decided)
		}
	}
	slices.Sort(decided)
	oldest := uint64(0)
	if len(decided) > keptDecided {
		oldest = decided[len(decided)-keptDecided]
	}
	out := []Appeal{}
	for a := range all.All() {
		if a.Outcome == "" || a.Decided >= oldest {
			out = append(out, appealOf(a, now))
		}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(out)
}

func appealOf(a audit.AppealState, now time.Time) Appeal {
	out := Appeal{
		Ref: a.Ref, List: a.List, Entry: hex.EncodeToString(a.Entry), Received: time.Unix(a.Received, 0).UTC(), Due: time.Unix(a.Due, 0).UTC(),
		Leaf: a.Leaf, Outcome: a.Outcome, By: a.By, Decided: a.Decided, Overdue: a.Overdue(now.Unix()),
	}
	if a.Outcome != "" {
		out.At = time.Unix(a.At, 0).UTC()
	}
	return out
}

// programs are what members say they run.
func programs(view *state.View) []Program {
	out := []Program{}
	for _, b := range view.Register.Builds {
		if view.Key(b.Role, b.Name) != nil {
			out = append(out, Program{b.Role, b.Name, b.Program, b.Version, hex.EncodeToString(b.Digest[:]), time.Unix(b.Time, 0).UTC()})
		}
	}
	return out
}

// buildHeader carries what an edge says of its program, signed, with a request that it makes anyway.
const buildHeader = "Cordon-Build"

// noteBuild hands an edge's statement on to the log. One that is not good costs the edge nothing else.
func (s *Server) noteBuild(r *http.Request, who caller) {
	text := r.Header.Get(buildHeader)
	if text == "" || who.role != transport.RoleEdge {
		return
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return
	}
	signed, err := audit.DecodeSignedBuild(raw)
	if err != nil {
		return
	}
	if b, err := signed.Build(); err != nil || b.Role != audit.RoleEdge || b.Name != who.name {
		return
	}
	if err := s.node.AddBuild(signed); err != nil && !errors.Is(err, cluster.ErrBusy) {
		s.log.DebugContext(r.Context(), "program of edge not recorded", slog.String("edge", who.name), slog.Any("error", err))
	}
}

// Running has the client tell each node it asks for a manifest which program this edge runs, signed anew each time, or nothing when sign fails.
// Call it before the client is used.
func (c *Client) Running(sign func() (audit.SignedBuild, error)) *Client {
	return c.tell(buildHeader, func() string {
		build, err := sign()
		if err != nil {
			return ""
		}
		return base64.StdEncoding.EncodeToString(build.Encode())
	})
}

// EdgeBuild is what an edge says of its program at this time.
func EdgeBuild(clusterID, edge string, p program.Program, at time.Time) audit.Build {
	return audit.Build{Cluster: clusterID, Role: audit.RoleEdge, Name: edge, Program: p.Name, Version: p.Version, Digest: p.Digest, Time: at.Unix()}
}

// Register hands in an appeal or a decision on one.
func (c *Client) Register(ctx context.Context, act audit.Act) (Ordered, error) {
	var done Ordered
	a := audit.NewAdmin("", "", act)
	b, err := c.post(ctx, "/v1/register", registerRequest{Act: a.Act, D: a.D})
	if err != nil {
		return done, err
	}
	if err := decMode.Unmarshal(b, &done); err != nil {
		return done, fmt.Errorf("read answer of %s: %w", c.base, err)
	}
	return done, nil
}

// Appeals are those that are open and the last thousand that were decided, by reference.
func (c *Client) Appeals(ctx context.Context) ([]Appeal, error) {
	b, err := c.get(ctx, "/v1/appeals")
	if err != nil {
		return nil, err
	}
	var out []Appeal
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, fmt.Errorf("read appeals of %s: %w", c.base, err)
	}
	return out, nil
}
