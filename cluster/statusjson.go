package cluster

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Seconds is a duration that JSON shows as a number of seconds, to the millisecond.
type Seconds time.Duration

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(s).Round(time.Millisecond).Seconds())
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	var n float64
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("seconds: %w", err)
	}
	*s = Seconds(time.Duration(n * float64(time.Second)).Round(time.Millisecond))
	return nil
}

// Refusal is one refusal in the log, as Status shows it.
type Refusal struct{ state.Refused }

type refusalJSON struct {
	Leaf    uint64          `json:"leaf"`
	Time    time.Time       `json:"time,omitzero"`
	Hotline trust.HotlineID `json:"hotline"`
	List    match.ListID    `json:"list"`
	Seq     uint64          `json:"seq"`
	Stage   string          `json:"stage"`
	Reason  string          `json:"reason"`
	Detail  string          `json:"detail"`
	Node    string          `json:"node"`
}

// MarshalJSON implements json.Marshaler.
func (r Refusal) MarshalJSON() ([]byte, error) {
	return json.Marshal(refusalJSON{
		Leaf: r.Leaf, Time: time.Unix(r.Time, 0).UTC(), Hotline: r.Hotline, List: r.List, Seq: r.Seq,
		Stage: r.Stage, Reason: r.Reason, Detail: r.Detail, Node: r.Node,
	})
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *Refusal) UnmarshalJSON(b []byte) error {
	var j refusalJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("refusal: %w", err)
	}
	r.Refused = state.Refused{
		Leaf: j.Leaf, Time: j.Time.Unix(), Hotline: j.Hotline, List: j.List, Seq: j.Seq,
		Stage: j.Stage, Reason: j.Reason, Detail: j.Detail, Node: j.Node,
	}
	return nil
}
