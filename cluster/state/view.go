package state

import (
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// View is one moment of a State: immutable, shared by all readers.
type View struct {
	Cluster  *audit.Cluster
	Size     uint64   // leaves in the log
	Root     [32]byte // tree root at Size
	Time     int64    // cluster time, unix seconds
	InForce  audit.InForce
	Hotlines []Hotline // by id
	Edges    []Edge    // enrolled, by name
	Refused  uint64    // refusals met, logged or not
	Refusals []Refused // last 16, newest first
	Halted   error     // ErrUnknown or ErrDiverged once the replica has stopped; else nil
}

// Hotline is what the cluster has accepted of one hotline.
type Hotline struct {
	ID           trust.HotlineID
	Anchor       []byte // pinned root of the cluster file
	Root         []byte // newest accepted root
	High         trust.HighWater
	Metadata     [32]byte // hash of the newest accepted metadata; zero before the first
	Expires      time.Time
	Officers     trust.Officers
	LastWithdraw []WithdrawMark // by list
}

// WithdrawMark is the number of the last withdrawal accepted for a list.
type WithdrawMark struct {
	List   match.ListID
	Number uint64
}

// Edge is an enrolled edge.
type Edge struct {
	Name      string
	Key       []byte
	Recipient string
	Since     int64
	Counter   uint64               // of its last accepted receipt
	Receipt   *audit.SignedReceipt // the last accepted one, nil before
}

// Refused is one refusal.
type Refused struct {
	Leaf   uint64
	Time   int64
	Reason string
	Stage  string
}
