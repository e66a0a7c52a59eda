package cluster

import (
	"time"

	"github.com/cordon-project/cordon/resolver/match"
)

// Status is one moment of a node for people: a snapshot, owned by the caller.
type Status struct {
	Name, Role    string // Role: leader, follower, candidate, stopped
	Term          uint64
	Leader        string // empty when there is none
	LeaderlessFor time.Duration
	LeaderlessAt  time.Time // zero while there is a leader
	Halted        string    // why this replica stopped applying; empty when it has not
	HaltedAt      time.Time
	Fenced        bool // the log's disk stalls; this node is cut off from the others

	LogSize        uint64    // leaves in this replica's own tree
	LastTime       time.Time // cluster time: that of the last command
	CheckpointSize uint64
	CheckpointAt   time.Time // when its quorum was reached, by the cosigners' clocks
	CheckpointAge  time.Duration

	Members []MemberStatus // all members in the order of the cluster file, this one too
	Lists   []ListStatus   // in force, by id
	Alarms  []Alarm        // what a person must look at, oldest first

	Refused  uint64        // refusals in the log
	Refusals []RefusalNote // the last ones, newest first, at most 16

	Receipts ReceiptStatus
}

// MemberStatus is what this node knows of one member.
type MemberStatus struct {
	Name         string
	Self, Leader bool
	LastContact  time.Time // last time it answered this node
	FailingSince time.Time // zero while it answers
	Problem      string    // one plain sentence with its since, empty when all is well
}

// ListStatus is one list in force.
type ListStatus struct {
	List    match.ListID
	Hotline string
	Seq     uint64
	Epoch   uint32
	Entries uint64
	Since   time.Time // time of its publish leaf
	Expires time.Time // earliest expiry of the hotline's accepted metadata: no new list after it
}

// Alarm is a condition that lasts.
type Alarm struct {
	What  string // stable word: halted fork fenced leaderless stale_checkpoint clock keys
	Text  string // one plain sentence
	Since time.Time
}

// RefusalNote is one refusal, without anything of the refused object.
type RefusalNote struct {
	Reason string
	Time   time.Time
	Leaf   uint64
}

// ReceiptStatus counts the edges' receipts on this node.
type ReceiptStatus struct {
	Queued, Accepted, Dropped uint64
}
