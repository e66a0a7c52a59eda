package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Opened is what became of an opening that was posted.
type Opened struct {
	List  match.ListID `json:"list"`
	Seq   uint64       `json:"seq"`
	State string       `json:"state"` // TakenAgreed or TakenKnown
}

// postOpening takes a hotline's statement that it showed entries to a reviewer from whoever brings it: its signatures say what it is worth.
// It is verified before anything is proposed, and shares the bound of posted withdrawals.
func (s *Server) postOpening(w http.ResponseWriter, r *http.Request, _ caller) error {
	if !s.mayPost(r) {
		w.Header().Set("Retry-After", "1")
		return fail(http.StatusTooManyRequests, "too many statements are posted; try again in a second")
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, trust.MaxOpening))
	if err != nil {
		return fmt.Errorf("read opening: %w", err)
	}
	said, err := trust.DecodeOpening(raw)
	if err != nil {
		return fail(http.StatusBadRequest, "this is no statement of an opening: %s", trust.Reason(err))
	}
	h, ok := s.node.View().Hotline(trust.HotlineID(said.List.Hotline()))
	if !ok || h.Verified == nil {
		return fail(http.StatusBadRequest, "this cluster has accepted nothing of that hotline")
	}
	if _, _, err := trust.VerifyOpening(h.Verified.Officers, raw, s.clock()); err != nil {
		return fail(http.StatusBadRequest, "the hotline's officers have not signed this, or it is out of its time: %s", trust.Reason(err))
	}
	id, err := trust.OpeningID(raw)
	if err != nil {
		return err
	}
	o := Opened{List: said.List, Seq: said.Seq, State: TakenKnown}
	if !h.Opened(id) {
		ctx, cancel := context.WithTimeout(r.Context(), postTimeout)
		defer cancel()
		if err := s.node.Open(ctx, raw); err != nil {
			return err
		}
		o.State = TakenAgreed
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(o)
}
