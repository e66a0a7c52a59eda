package api

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/resolver/match"
)

// Held is what GET /v1/held answers about one version that a brake holds back.
type Held struct {
	cluster.HeldStatus
	Judgement *cluster.Judgement `json:"judgement"` // null when this node cannot say more; Problem says why
	Problem   string             `json:"problem,omitempty"`
}

// Simulated is what GET /v1/simulate answers about one list: what the version that its hotline publishes now would change.
type Simulated struct {
	List      match.ListID       `json:"list"`
	Seq       uint64             `json:"seq"`
	InForce   bool               `json:"in_force"`  // it is in force already: there is nothing to simulate
	Judgement *cluster.Judgement `json:"judgement"` // null when it is in force, or cannot be checked; Problem says why
	Problem   string             `json:"problem,omitempty"`
}

// patience bounds a simulation: the files of a large list may have to be fetched, and other lists may be checked first.
const patience = 15 * time.Minute

func (s *Server) held(w http.ResponseWriter, r *http.Request, _ caller) error {
	view := s.node.View()
	out := []Held{}
	for _, h := range s.node.Status().Held {
		one := Held{HeldStatus: h}
		if j, err := s.judged(r.Context(), view, h); err != nil {
			one.Problem = err.Error()
		} else {
			one.Judgement = &j
		}
		out = append(out, one)
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(out)
}

// judged is what this node found about a held version, when it staged it or, after a restart, now.
func (s *Server) judged(ctx context.Context, view *state.View, h cluster.HeldStatus) (cluster.Judgement, error) {
	edge, err := hex.DecodeString(h.Edge)
	if err != nil || len(edge) != 32 {
		return cluster.Judgement{}, fmt.Errorf("held version has no edge list")
	}
	if j, ok := s.node.Judged(h.List, h.Seq, [32]byte(edge)); ok {
		return j, nil
	}
	all, err := s.simulated(ctx, view, h.List)
	if err != nil {
		return cluster.Judgement{}, err
	}
	for _, one := range all {
		if one.Judgement != nil && one.Seq == h.Seq && one.Judgement.Edge == h.Edge {
			return *one.Judgement, nil
		}
	}
	return cluster.Judgement{}, fmt.Errorf("this node has not checked version %d since its start, and the hotline publishes another by now", h.Seq)
}

func (s *Server) simulate(w http.ResponseWriter, r *http.Request, _ caller) error {
	only := match.ListID(r.FormValue("list"))
	if only != "" {
		if _, err := match.ParseListID(string(only)); err != nil {
			return fail(http.StatusBadRequest, "list is not HOTLINE/LIST")
		}
	}
	out, err := s.simulated(r.Context(), s.node.View(), only)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(out)
}

// simulated checks what hotlines publish now: all lists, or one.
func (s *Server) simulated(ctx context.Context, view *state.View, only match.ListID) ([]Simulated, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out := []Simulated{}
	for _, h := range view.Hotlines {
		if only != "" && only.Hotline() != string(h.ID) {
			continue
		}
		p, err := s.preview(ctx, h.ID, only)
		if err != nil {
			return nil, fail(http.StatusBadGateway, "%v", err)
		}
		for _, t := range p.Lists {
			one := Simulated{List: t.List, Seq: t.Seq}
			if l, ok := view.InForce.List(t.List); ok && l.Seq == t.Seq {
				one.InForce = true
			} else if j, err := s.node.Simulate(ctx, p.Metadata, t.List); err != nil {
				one.Problem = err.Error()
			} else {
				one.Judgement = &j
			}
			out = append(out, one)
		}
	}
	if only != "" && !slices.ContainsFunc(out, func(o Simulated) bool { return o.List == only }) {
		return nil, fail(http.StatusNotFound, "no hotline of this cluster publishes list %s", only)
	}
	return out, nil
}
