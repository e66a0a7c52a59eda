package cluster

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// The alarms, by their stable words.
const (
	AlarmHalted     = "halted"           // this replica has stopped applying
	AlarmFork       = "fork"             // a member holds another log
	AlarmRejoin     = "rejoin"           // this node has lost its log and has no vote until it has it again
	AlarmKeys       = "keys"             // a member cannot open a list's keys
	AlarmSnapshot   = "snapshot"         // a snapshot from another member was refused
	AlarmFenced     = "fenced"           // the log's disk stalls
	AlarmDisk       = "disk"             // something cannot be written
	AlarmClock      = "clock"            // this node's clock and the cluster's time or the members' clocks differ
	AlarmLeaderless = "leaderless"       // nothing can be agreed
	AlarmCheckpoint = "stale_checkpoint" // no quorum cosigns
	AlarmExpiry     = "expiry"           // a hotline's metadata has expired: no new list from it
	AlarmLogFull    = "log_full"         // the log has used half of its room
	AlarmOwed       = "owed"             // a withdrawal's second signature is still missing
	AlarmHeld       = "held"             // a brake holds a list version back
	AlarmBypass     = "bypass"           // everything passes
	AlarmReturned   = "returned"         // an earlier version is in force than the newest
	AlarmPolicy     = "policy"           // this node checks lists against another never-block list than the officers decided on
)

// Status is one moment of a node for people and, as JSON, for programs: the
// names in it are stable, times are RFC 3339 and left out when unknown,
// durations are seconds. A snapshot, owned by the caller.
type Status struct {
	Name          string    `json:"name"`
	Role          string    `json:"role"` // leader, follower, candidate, stopped
	Term          uint64    `json:"term"`
	Leader        string    `json:"leader"`                 // empty when there is none
	LeaderlessAt  time.Time `json:"leaderless_at,omitzero"` // since when; zero while there is a leader
	LeaderlessFor Seconds   `json:"leaderless_seconds,omitzero"`
	Halted        string    `json:"halted"` // why this replica stopped applying; empty when it has not
	HaltedAt      time.Time `json:"halted_at,omitzero"`
	Fenced        bool      `json:"fenced"` // the log's disk stalls; this node is cut off from the others

	LogSize        uint64    `json:"log_size"`           // leaves in this replica's own tree
	LogFilled      int       `json:"log_filled_percent"` // of the log's room
	LastTime       time.Time `json:"last_time,omitzero"` // cluster time: that of the last command
	CheckpointSize uint64    `json:"checkpoint_size"`
	CheckpointAt   time.Time `json:"checkpoint_at,omitzero"` // a quorum says that the log was like this then or later; zero before the first
	CheckpointAge  Seconds   `json:"checkpoint_age_seconds,omitzero"`
	CosignedBy     []string  `json:"cosigned_by"`

	Members []MemberStatus `json:"members"` // in the order of the cluster file, this one too
	Lists   []ListStatus   `json:"lists"`   // in force, by id
	Alarms  []Alarm        `json:"alarms"`  // what a person must look at, oldest first

	Refused  uint64    `json:"refused"`  // refusals met, logged or not
	Refusals []Refusal `json:"refusals"` // the last ones in the log, newest first, at most 16

	Held   []HeldStatus `json:"held"` // versions that a brake holds back, by list
	Orders OrderStatus  `json:"orders"`

	Known       []KnownHotline `json:"hotlines"`    // whose lists may come into force, by id
	Development bool           `json:"development"` // a throw-away cluster

	Receipts     ReceiptStatus `json:"receipts"`
	ConnsRefused uint64        `json:"connections_refused"` // connections on the Raft port that were no member's
}

// MemberStatus is what this node knows of one member.
type MemberStatus struct {
	Name         string    `json:"name"`
	Self         bool      `json:"self"`
	Leader       bool      `json:"leader"`
	LastContact  time.Time `json:"last_contact,omitzero"`  // last time it answered this node; zero when not since the start
	FailingSince time.Time `json:"failing_since,omitzero"` // zero while it answers
	Problem      string    `json:"problem"`                // one plain sentence with its since, empty when all is well
}

// ListStatus is one list in force.
type ListStatus struct {
	List    match.ListID       `json:"list"`
	Hotline trust.HotlineID    `json:"hotline"`
	Seq     uint64             `json:"seq"`
	Epoch   uint32             `json:"epoch"`
	Entries uint64             `json:"entries"`
	Leaf    uint64             `json:"leaf"`
	Index   string             `json:"index"`            // hash of the index that a quorum of members compiled, hex
	Bases   []audit.BasisCount `json:"bases"`            // entries by legal basis
	Since   time.Time          `json:"since,omitzero"`   // time of its publish leaf
	Expires time.Time          `json:"expires,omitzero"` // of the hotline's newest accepted metadata: no new list after it
	Newest  uint64             `json:"newest"`           // the newest version that ever was in force: another one than Seq when officers went back
	Logged  uint64             `json:"public_log"`       // size of the hotline's public log at its last accepted version; 0 when the charter names none
	Missing int                `json:"missing_files"`    // files of it that this node does not hold
}

// Alarm is a condition that lasts.
type Alarm struct {
	What  string    `json:"what"` // one of the Alarm words
	Text  string    `json:"text"` // one plain sentence
	Since time.Time `json:"since,omitzero"`
}

// ReceiptStatus counts the edges' receipts on this node. Dropped are those
// that were refused or came too soon after another.
type ReceiptStatus struct {
	Queued   int    `json:"queued"`
	Accepted uint64 `json:"accepted"`
	Dropped  uint64 `json:"dropped"`
}

// contacted is what is known of one member.
type contacted struct {
	last, failing time.Time
	problem       string
}

// contact notes how a call to a member ended.
func (n *Node) contact(member string, err error) {
	if n.ctx.Err() != nil {
		return // the call ended with this node
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.contacts[member]
	now := n.c.Clock()
	switch {
	case err == nil:
		c = contacted{last: now}
	case c.failing.IsZero():
		c.failing = now
		fallthrough
	default:
		c.problem = reasonOf(err)
	}
	n.contacts[member] = c
}

// reasonOf is an error in words, bounded: it may come from another node.
func reasonOf(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "does not answer in time"
	}
	return plainText(strings.SplitN(err.Error(), "\n", 2)[0])
}

// alarm raises an alarm, or renews the text of one that is up.
func (n *Node) alarm(what, text string) { n.raise(what, what, text) }

// raise is alarm for one of several causes of the same alarm.
func (n *Node) raise(cause, what, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a, up := n.alarms[cause]
	if !up {
		a = Alarm{What: what, Since: n.c.Clock()}
	}
	a.Text = text
	n.alarms[cause] = a
}

func (n *Node) clear(cause string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.alarms, cause)
}

// watchRoom raises the alarm about a log that fills up while there is time to act.
func (n *Node) watchRoom(view *state.View) {
	if view.Filled < logAlarmAt {
		n.clear(AlarmLogFull)
		return
	}
	n.alarm(AlarmLogFull, fmt.Sprintf("the log has used %d percent of its room: from %d percent on it takes no receipts, at the end no new list; make a new cluster before that",
		view.Filled, state.ReceiptsUntil))
}

// logAlarmAt leaves as long as it took to come here.
const logAlarmAt = 50

// Leading reports whether this node leads now.
func (n *Node) Leading() bool { return n.raft.State() == raft.Leader }

// Status is a snapshot for people.
func (n *Node) Status() Status { return n.status(n.fsm.view()) }

func (n *Node) status(view *state.View) Status {
	n.watchRoom(view)
	now := n.c.Clock()
	_, leader := n.raft.LeaderWithID()
	s := Status{
		Name: n.c.Name, Role: role(n.raft.State()), Term: n.raft.CurrentTerm(), Leader: string(leader),
		Fenced: n.stream.Fenced(), LogSize: view.Size, LogFilled: view.Filled, LastTime: time.Unix(view.Time, 0).UTC(),
		Refused: view.Refused, ConnsRefused: n.stream.Refused(),
		CosignedBy: []string{}, Lists: n.lists(view), Alarms: []Alarm{}, Refusals: []Refusal{}, Held: held(view), Orders: n.orders(view),
		Known: knownHotlines(view), Development: n.c.Cluster.Development,
	}
	for _, r := range view.Refusals {
		s.Refusals = append(s.Refusals, Refusal{r})
	}
	if p := n.published(); p != nil {
		s.CheckpointSize, s.CheckpointAt, s.CosignedBy = p.size, p.fresh, slices.Clone(p.signedBy)
		s.CheckpointAge = Seconds(max(now.Sub(p.fresh), 0))
	}
	n.receiptMu.Lock()
	s.Receipts = n.receiptStatus
	s.Receipts.Queued = len(n.queue)
	n.receiptMu.Unlock()

	n.mu.Lock()
	defer n.mu.Unlock()
	if leader == "" {
		s.LeaderlessAt = n.leaderless
		s.LeaderlessFor = Seconds(max(now.Sub(n.leaderless), 0))
	}
	for _, a := range n.alarms {
		s.Alarms = append(s.Alarms, a)
		if a.What == AlarmHalted {
			s.HaltedAt = a.Since
		}
	}
	if view.Halted != nil {
		s.Halted = view.Halted.Error()
	}
	s.Alarms = append(s.Alarms, n.conditions(&s, view, now)...)
	slices.SortFunc(s.Alarms, func(a, b Alarm) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.What, b.What)) })
	for _, m := range n.c.Cluster.Members {
		s.Members = append(s.Members, n.member(m.Name, string(leader), now))
	}
	return s
}

// conditions are the alarms that can be read off the status itself.
func (n *Node) conditions(s *Status, view *state.View, now time.Time) []Alarm {
	var out []Alarm
	if s.Leader == "" {
		out = append(out, Alarm{AlarmLeaderless, "there is no leader: nothing new can be agreed, what is in force stays", s.LeaderlessAt})
	}
	if s.Fenced {
		out = append(out, Alarm{AlarmFenced, "the disk of this node's log does not answer in time: it is cut off from the others", n.fencedAt})
	}
	if limit := 3 * n.c.Timeouts.Checkpoint; !s.CheckpointAt.IsZero() && time.Duration(s.CheckpointAge) > limit {
		out = append(out, Alarm{AlarmCheckpoint, "no quorum of members has cosigned the log since then", s.CheckpointAt})
	}
	out = append(out, n.orderConditions(view)...)
	out = append(out, registerConditions(view, now)...)
	for _, h := range view.Hotlines {
		if h.Verified == nil {
			continue
		}
		if !now.Before(h.Verified.Expires) {
			out = append(out, Alarm{AlarmExpiry, fmt.Sprintf("what hotline %s signed has expired: its lists stay in force, new ones need a renewal", h.ID), h.Verified.Expires})
		}
		for _, w := range h.Withdrawals {
			for _, o := range w.Owed {
				if at := time.Unix(o.At, 0).UTC().Add(owedWithin); now.After(at) {
					out = append(out, Alarm{AlarmOwed, fmt.Sprintf("withdrawal %d of list %s still lacks its second signature", o.Number, w.List), at})
				}
			}
		}
	}
	return out
}

// owedWithin is when the second signature of a withdrawal is due.
const owedWithin = 24 * time.Hour

func (n *Node) member(name, leader string, now time.Time) MemberStatus {
	m := MemberStatus{Name: name, Self: name == n.c.Name, Leader: name == leader}
	if m.Self {
		m.LastContact = now
		return m
	}
	c := n.contacts[name]
	m.LastContact, m.FailingSince = c.last, c.failing
	if !c.failing.IsZero() {
		m.Problem = fmt.Sprintf("has not answered since %s: %s", c.failing.UTC().Format(time.RFC3339), c.problem)
	}
	return m
}

func (n *Node) lists(view *state.View) []ListStatus {
	out := []ListStatus{}
	for _, l := range n.inForce().Lists {
		s := ListStatus{List: l.List, Hotline: l.Hotline, Seq: l.Seq, Epoch: l.Epoch, Leaf: l.Leaf, Newest: l.High(), Bases: []audit.BasisCount{}}
		if p, at, ok := view.Publish(l.List); ok && p.Seq == l.Seq {
			s.Entries, s.Since, s.Index, s.Bases = entriesOf(p), at, hex.EncodeToString(p.Index[:]), p.Bases
		}
		if h, ok := view.Hotline(l.Hotline); ok && h.Verified != nil {
			s.Expires = h.Verified.Expires
			if h.Verified.Charter.Log != "" {
				s.Logged = h.PublicLog.Size
			}
		}
		if t, err := n.target(l); err == nil {
			for _, f := range n.filesOf(t) {
				if !n.c.Files.Has(f.SHA256) {
					s.Missing++
				}
			}
		}
		out = append(out, s)
	}
	return out
}

func role(s raft.RaftState) string {
	switch s {
	case raft.Leader:
		return "leader"
	case raft.Follower:
		return "follower"
	case raft.Candidate:
		return "candidate"
	}
	return "stopped"
}
