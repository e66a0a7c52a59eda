package api

import (
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/listsync"
	"github.com/cordon-project/cordon/resolver/match"
)

// Status is what GET /v1/status answers: the node's own view, and each edge's last receipt.
type Status struct {
	Node     cluster.Status    `json:"node"`
	Keys     KeyCare           `json:"keys"`     // how this node keeps its keys
	Edges    []EdgeStatus      `json:"edges"`    // enrolled edges, by name
	Hotlines []listsync.Health `json:"hotlines"` // as this node reaches them

	LeftOut     int           `json:"left_out"`    // entries that stay out because later versions than the one gone back to left them out
	Removals    int           `json:"removals"`    // entries of lists in force that are withdrawn
	Withdrawals []Withdrawal  `json:"withdrawals"` // the last one of each list
	Witness     WitnessStatus `json:"witness"`
	Owed        []Owed        `json:"owed"`     // withdrawals that lack their second officer's signature
	Appeals     Appeals       `json:"appeals"`  // how many wait for a decision
	Programs    []Program     `json:"programs"` // what members say they run, by role and name
	Lookups     []Lookups     `json:"lookups"`  // of auditors at this node today, by name
}

// Withdrawal is the last withdrawal of a list.
type Withdrawal struct {
	List   match.ListID `json:"list"`
	Number uint64       `json:"number"`
	At     time.Time    `json:"at"`
}

// Owed is a withdrawal that one officer alone has signed.
type Owed struct {
	List    match.ListID `json:"list"`
	Number  uint64       `json:"number"`
	Entries int          `json:"entries"`
	At      time.Time    `json:"at"`
}

// EdgeStatus is what the log knows of one edge.
type EdgeStatus struct {
	Name      string     `json:"name"`
	Since     time.Time  `json:"since,omitzero"`        // enrolled
	Counter   uint64     `json:"counter"`               // of its last receipt, 0 before the first
	State     string     `json:"state"`                 // state id of the last receipt, hex
	At        time.Time  `json:"at,omitzero"`           // time of the last receipt, by the edge's clock
	Current   bool       `json:"current"`               // the last receipt is of what is in force now
	Foreign   bool       `json:"foreign"`               // the last receipt names a state that nobody computes from the signed lists
	Beyond    int        `json:"beyond_log"`            // withdrawals it took straight from a hotline, while there was no quorum
	Keys      KeyCare    `json:"keys,omitzero"`         // how it keeps its keys, as it told the node that was asked; left out when it has not
	Recursion *Recursion `json:"recursion,omitempty"`   // how its own resolver is doing, as it told the node that was asked; left out when it has none
	Encrypted *Encrypted `json:"encrypted,omitempty"`   // how its encrypted transports are doing, as it told the node that was asked; left out when it has none
	Traffic   *Traffic   `json:"traffic,omitempty"`     // what went through it since it started, and how its upstreams are doing, as it told the node that was asked
	Guard     *Guard     `json:"guard,omitempty"`       // what it held back since it started, as it told the node that was asked
	Behind    time.Time  `json:"behind_since,omitzero"` // since when something is in force that the edge has not confirmed; zero when it has
}

// EdgeChange enrols or removes an edge.
type EdgeChange struct {
	Action    string `cbor:"action"` // add, remove
	Name      string `cbor:"name"`
	Key       []byte `cbor:"key"`       // Ed25519 public key; empty on remove
	Recipient string `cbor:"recipient"` // age recipient; empty on remove
}

// Ordered is what became of an order.
type Ordered struct {
	Leaf  uint64 `cbor:"leaf"`  // number of its leaf in the log
	Again bool   `cbor:"again"` // it was accepted before
}

type whichRequest struct {
	Name string `cbor:"name"`
}

type keysRequest struct {
	List  match.ListID `cbor:"list"`
	Epoch uint32       `cbor:"epoch"`
}

type cosignRequest struct {
	Size uint64 `cbor:"size"`
	Root []byte `cbor:"root"`
}

// problem is the body of every answer that is not 200.
type problem struct {
	Error string `json:"error"`
}
