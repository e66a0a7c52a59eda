// Package state applies commands: the pure heart of a control node. The same
// commands in the same order give the same bytes on every machine. Apply uses
// the time inside the command, the cluster file and what it applied before;
// no clock, disk, network, randomness or map order.
package state

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/trust"
)

var (
	// ErrHalted: the state has met a command it does not know or has proof
	// that it differs from the quorum; it applies nothing any more.
	ErrHalted = errors.New("state has stopped applying")
	// ErrDiverged: a quorum-cosigned checkpoint names another root.
	ErrDiverged = errors.New("own log differs from the quorum's")
	// ErrSnapshot: a snapshot that is malformed, of another cluster, or
	// claims what its own leaves do not prove.
	ErrSnapshot = errors.New("snapshot refused")
	// ErrNotFound: no metadata with this hash was ever accepted.
	ErrNotFound = errors.New("not found")
)

// Limits on what one day of cluster time may add to the log, so that neither
// a mirror full of garbage nor an online key that signs every minute fills it.
const (
	maxRejects  = 500 // refusals a day; beyond, they are counted and not logged
	maxRenewals = 200 // metadata renewals a day and hotline
	// maxAlone is how many entries one officer may withdraw a day without a
	// second signature.
	maxAlone = trust.MaxSingleWithdrawal
	// reserve is the end of the log that only publications and withdrawals may
	// use; a quarter of it is for withdrawals. See room.
	reserve = 4096

	day          = 24 * 60 * 60
	keptRefusals = 16
)

// State is one replica. Apply, Snapshot and Restore are for its one owner;
// View may be called by anyone at any time.
type State struct {
	cluster audit.Cluster
	id      string
	quorum  audit.Quorum

	tree      *audit.Tree
	archive   *archive
	leafBytes int // of all leaves, in a snapshot
	room      room
	time      int64
	inForce   audit.InForce
	force     [32]byte         // inForce.Hash()
	hotlines  []*hotline       // by id
	edges     []Edge           // by name; copied before it is changed, readers hold it
	retired   map[retired]Edge // removed edges: each goes on counting when it comes back with that key
	rejected  map[rejection]struct{}
	rejects   tally
	refused   uint64
	refusals  []Refused // newest first; copied before it is changed
	orders    audit.Orders
	register  audit.Register
	lastOrder map[order.Kind][32]byte // hash of the last statement of each kind
	halted    error
	published atomic.Pointer[View]
}

// hotline is what was accepted of one hotline.
type hotline struct {
	id        trust.HotlineID
	roots     trust.Roots // from the cluster file's pin to the newest accepted
	high      trust.HighWater
	last      accepted
	verified  *trust.Verified // of last; nil before the first
	metadata  trust.Metadata  // of last
	publicLog publiclog.Head  // at the last version that had a proof
	forked    []string        // logs of its charters that have signed two histories; replaced, never altered
	renewals  tally
	alone     map[string]tally // entries withdrawn alone today, by officer's key id

	withdrawals []withdrawals // by list

	opened   map[[32]byte]int64 // when statements of openings expire, by trust.OpeningID; replaced, never altered
	openings tally
}

// accepted names metadata and the time it was verified at.
type accepted struct {
	metadata [32]byte
	at       int64
}

type rejection struct {
	object [32]byte
	reason string
}

// tally counts within one day of cluster time.
type tally struct {
	day int64
	n   int
}

// add returns the tally with n more at time t.
func (y tally) add(t int64, n int) tally {
	if d := t / day; d != y.day {
		y = tally{day: d}
	}
	y.n += n
	return y
}

// Result is what became of one command.
type Result struct {
	Leaf      uint64 // number of the last leaf appended; valid when Logged
	Logged    bool   // a leaf was appended
	Duplicate bool   // already so: nothing was appended, nothing is wrong
	Err       error  // *Refusal when refused, ErrHalted when the state has stopped
}

// Refusal says that a command was well-formed and is not accepted.
type Refusal struct {
	Reason string // stable word, also in the reject leaf
	Detail string // for people
}

func (r *Refusal) Error() string {
	if r.Detail == "" {
		return "refused: " + r.Reason
	}
	return "refused: " + r.Reason + ": " + r.Detail
}

// Reasons of this package; all others are trust.Reason's.
const (
	ReasonVerdicts       = "verdicts"        // no quorum of members approved these files
	ReasonIndex          = "index"           // members approve these files and compile different indexes of them
	ReasonSequence       = "sequence"        // does not follow what is in force
	ReasonUnknownHotline = "unknown_hotline" // not in the cluster file, and not pinned since
	ReasonUnknownList    = "unknown_list"    // the metadata signs no such list
	ReasonEquivocation   = "equivocation"    // one version number with two contents
	ReasonCommand        = "command"         // bytes in the log that are no command
	ReasonLimit          = "limit"           // a daily bound is used up
	ReasonLogFull        = "log_full"        // the log is at its bound
	ReasonMember         = "member"          // a membership change that cannot be
	ReasonReceipt        = "receipt"         // a receipt that is not true or not the edge's
	ReasonCheckpoint     = "checkpoint"      // an assertion without its quorum
	ReasonOrder          = "order"           // an order whose number was used, or that does not fit what is in force
	ReasonAdmin          = "admin"           // an act that does not fit the register of appeals and builds
	ReasonHeld           = "held"            // held back by a brake, and the operator's officers have not approved it
)

// New is the state before any command: the genesis leaves of the cluster file.
// A cluster file that is not valid is an error.
func New(c audit.Cluster) (*State, error) {
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	s := &State{
		cluster: c, id: c.ID(), quorum: c.Quorum(),
		tree: new(audit.Tree), archive: newArchive(), room: room{MaxSnapshot, audit.MaxLeaves}, inForce: audit.Genesis(),
		retired: map[retired]Edge{}, rejected: map[rejection]struct{}{}, lastOrder: map[order.Kind][32]byte{},
	}
	s.force = s.inForce.Hash()
	for _, h := range c.Hotlines {
		roots, err := trust.PinRoot(h.Root)
		if err != nil {
			return nil, fmt.Errorf("open state: hotline %s: %w", h.ID, err)
		}
		s.hotlines = append(s.hotlines, &hotline{id: h.ID, roots: roots, alone: map[string]tally{}})
	}
	sortHotlines(s.hotlines)
	for _, leaf := range c.Genesis() {
		body, err := leaf.Body()
		if err != nil {
			return nil, fmt.Errorf("open state: genesis leaf %d: %w", leaf.N, err)
		}
		b, err := audit.EncodeLeaf(leaf)
		if err != nil {
			return nil, fmt.Errorf("open state: %w", err)
		}
		if err := s.enter(leaf, body, b); err != nil {
			return nil, fmt.Errorf("open state: %w", err)
		}
	}
	s.publishView()
	return s, nil
}

// Apply applies one encoded command. It is pure; see the package comment. It
// does not keep cmd.
func (s *State) Apply(cmd []byte) Result {
	if s.halted != nil {
		return Result{Err: fmt.Errorf("%w: %w", ErrHalted, s.halted)}
	}
	defer s.publishView()
	c, err := command.Decode(cmd)
	switch {
	case errors.Is(err, command.ErrUnknown):
		return s.halt(err)
	case err != nil:
		return s.reject(s.time, audit.Reject{
			Object: sha256.Sum256(cmd), Stage: "apply", Reason: ReasonCommand,
		})
	}
	s.time = max(s.time, c.Time) // command time never decreases
	switch b := c.Body.(type) {
	case command.Publish:
		return s.publish(s.time, b)
	case command.Withdraw:
		return s.withdraw(s.time, b)
	case command.Member:
		return s.member(s.time, b)
	case command.Reject:
		return s.refusal(s.time, b)
	case command.Receipts:
		return s.receipts(s.time, b)
	case command.Assert:
		return s.assert(s.time, b)
	case command.Hold:
		return s.hold(s.time, b)
	case command.Order:
		return s.order(s.time, b)
	case command.Return:
		return s.goBack(s.time, b)
	case command.Admin:
		return s.admin(s.time, b)
	case command.Fork:
		return s.fork(s.time, b)
	case command.Open:
		return s.open(s.time, b)
	case command.Tick:
		return Result{}
	}
	panic(fmt.Sprintf("state: command %T is decoded and not applied", c.Body))
}

// View is the state after the last command; see View.
func (s *State) View() *View { return s.published.Load() }

func (s *State) halt(why error) Result {
	s.halted = why
	return Result{Err: fmt.Errorf("%w: %w", ErrHalted, why)}
}

// append makes a leaf of body, appends it and enters it into the books. An
// error means that nothing has changed.
func (s *State) append(t int64, body audit.Body) (Result, error) {
	n := s.tree.Size()
	leaf, err := audit.NewLeaf(n, t, body)
	if err != nil {
		return Result{}, fmt.Errorf("make leaf: %w", err)
	}
	next, err := s.inForce.Apply(leaf)
	if err != nil {
		return Result{}, fmt.Errorf("make leaf: %w", err)
	}
	if _, err := s.orders.Apply(&s.cluster, s.id, s.inForce, leaf, body); err != nil {
		return Result{}, fmt.Errorf("make leaf: %w", err)
	}
	if _, err := s.register.Apply(&s.cluster, s.id, s.keys, leaf, body); err != nil {
		return Result{}, fmt.Errorf("make leaf: %w", err)
	}
	leaf.F = s.force
	if s.inForce.Changes(leaf) {
		leaf.F = next.Hash()
	}
	b, err := audit.EncodeLeaf(leaf)
	if err != nil {
		return Result{}, fmt.Errorf("make leaf: %w", err)
	}
	if !s.fits(body, len(b)) {
		return Result{}, &Refusal{Reason: ReasonLogFull}
	}
	if err := s.enter(leaf, body, b); err != nil {
		return Result{}, err
	}
	return Result{Leaf: n, Logged: true}, nil
}

// enter appends an encoded leaf and keeps the books that depend on leaves
// only; Apply and Restore share it.
func (s *State) enter(leaf audit.Leaf, body audit.Body, encoded []byte) error {
	next, err := s.inForce.Apply(leaf)
	if err != nil {
		return fmt.Errorf("enter leaf %d: %w", leaf.N, err)
	}
	orders, err := s.orders.Apply(&s.cluster, s.id, s.inForce, leaf, body)
	if err != nil {
		return fmt.Errorf("enter leaf %d: %w", leaf.N, err)
	}
	register, err := s.register.Apply(&s.cluster, s.id, s.keys, leaf, body)
	if err != nil {
		return fmt.Errorf("enter leaf %d: %w", leaf.N, err)
	}
	s.inForce, s.force, s.orders, s.register = next, leaf.F, orders, register
	s.time = max(s.time, leaf.T)
	s.tree.Append(encoded)
	s.leafBytes += len(encoded) + head
	switch b := body.(type) {
	case audit.Publish:
		h := s.hotline(b.Hotline)
		h.last = accepted{metadata: b.Metadata, at: leaf.T}
		h.settle(b.List, b.Seq)
		if err := h.enterPublicLog(b); err != nil {
			return fmt.Errorf("enter leaf %d: %w", leaf.N, err)
		}
	case audit.Trust:
		h := s.hotline(b.Hotline)
		if b.Metadata != ([32]byte{}) { // not an anchor at genesis
			h.last = accepted{metadata: b.Metadata, at: leaf.T}
			h.renewals = h.renewals.add(leaf.T, 1)
		}
	case audit.Withdraw:
		s.hotline(b.Hotline).enterWithdraw(leaf.T, b)
	case audit.Member:
		s.enterMember(leaf.T, b)
	case audit.Receipts:
		s.enterReceipts(b)
	case audit.Reject:
		s.enterReject(leaf, b)
	case audit.Ordered:
		s.enterOrder(b.Order, b.Statement)
		if p, ok := b.Order.Body.(order.Pin); ok {
			return s.enterPin(p)
		}
	case audit.Returned:
		s.enterOrder(b.Order, b.Statement)
	case audit.Fork:
		s.hotline(b.Hotline).enterFork(b)
	case audit.Open:
		s.hotline(b.Hotline).enterOpen(leaf.T, b)
	}
	return nil
}

// enterPin begins to follow a hotline from the root that officers have pinned.
func (s *State) enterPin(p order.Pin) error {
	roots, err := trust.PinRoot(p.Document)
	if err != nil {
		return fmt.Errorf("pin hotline %s: %w", p.Hotline, err)
	}
	s.hotlines = append(s.hotlines, &hotline{id: p.Hotline, roots: roots, alone: map[string]tally{}})
	sortHotlines(s.hotlines)
	return nil
}

// hotline finds a hotline of the cluster file, or one that was pinned since; nil for any other.
func (s *State) hotline(id trust.HotlineID) *hotline {
	for _, h := range s.hotlines {
		if h.id == id {
			return h
		}
	}
	return nil
}

// known reports whether a member signs under this name.
func (s *State) known(member string) bool {
	_, ok := s.quorum.Member(member)
	return ok
}
