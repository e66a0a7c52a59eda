// Package api is a control node's HTTP API and the client of it.
//
// In come requests over TLS 1.3; the caller's role (control, edge, operator) is read from its client certificate, never from the request.
// Out go bytes that their readers verify for themselves: checkpoints, tiles, manifests and files are signed or named by their hash, so the
// parts an auditor or a mirror needs are open to anyone, and a lying server gains nothing. Everything else asks for a role:
//
//	GET  /healthz                     anyone    200 while the process runs
//	GET  /checkpoint                  anyone    latest checkpoint cosigned by a quorum (C2SP tlog-checkpoint)
//	GET  /tile/...                    anyone    the audit log (C2SP tlog-tiles)
//	GET  /v1/files/{sha256}           anyone    list files and wrapped keys, by content hash
//	GET  /v1/deltas/{sha256}          anyone    what makes the files of the version with this edge list of those of the version before
//	GET  /v1/bundle                   anyone    what cordon-audit verifies, as one tar; ?since=N: what is new, ?all=1: every version
//	GET  /v1/withdrawals              anyone    withdrawals signed by the officers' threshold, for edges while there is no quorum
//	POST /v1/withdrawals              anyone    a withdrawal that an officer of one of the hotlines has signed; anything else is refused
//	POST /add-checkpoint              anyone    a checkpoint of a log that this node witnesses (C2SP tlog-witness)
//	GET  /v1/proof/{leaf}             anyone    C2SP tlog-proof of one leaf under the latest checkpoint
//	GET  /v1/seen                     anyone    the newest checkpoints of hotlines' and others' logs that this node has seen
//	GET  /v1/status                   operator, control
//	GET  /v1/manifest?since=N         edge      long poll: what is in force, with proofs
//	POST /v1/keys                     edge      an epoch's keys, wrapped to the enrolled edge's own key
//	POST /v1/figures                  edge      what it stopped in an hour, with its noise
//	GET  /v1/figures?from=T&to=T      anyone    the edges' figures that this node has
//	POST /v1/receipts                 edge      a signed receipt
//	POST /v1/stage                    control   fetch and check these files, sign a verdict
//	POST /v1/cosign                   control   cosign this tree head if it is yours too
//	POST /v1/forward                  control   propose this command as leader
//	GET  /v1/held                     operator  what brakes hold back: counts and entry ids, never a name
//	GET  /v1/simulate?list=L          operator  what the version that a hotline publishes now would change
//	POST /v1/return                   control   does this order name all that was left out since?
//	GET  /v1/wayback?list=L&seq=N     operator  the order that would bring version N back, to be signed
//	POST /v1/which                    operator  which entries stop this name: their ids, for an order
//	POST /v1/lookup                   auditor   is this name listed, with proof; a budget a day for each certificate
//	POST /v1/orders                   operator  what two officers of the operator have signed
//	POST /v1/edges                    operator  enrol an edge, or remove it
//	POST /v1/register                 operator  an appeal that came in, or an officer's signed decision on one
//	GET  /v1/certificate?from=T&to=T  operator  the scope certificate that this node's log yields, for officers to sign
//	GET  /v1/appeals                  operator  the appeals: references, days, outcomes
//
// There is no route that adds an entry to a list: none exists anywhere in Cordon.
package api

import (
	"errors"
	"time"

	"github.com/cordon-project/cordon/cluster/audit/strict"
)

const (
	// maxRequest bounds a request's body: a command is at most 64 KiB, a stage request carries metadata of at most 48 KiB.
	maxRequest = 192 << 10
	// maxAnswer bounds what the client reads of an answer that is not a file: a manifest carries metadata of up to 16 lists and their removals.
	maxAnswer = 16 << 20
	// longPoll is how long a manifest request waits for something new before it answers 304.
	longPoll = 25 * time.Second
)

// ErrRole is returned to a caller whose certificate has another role.
var ErrRole = errors.New("your certificate does not have the role for this")

// ErrNothingNew is returned by Client.Manifest when the long poll ended without news.
var ErrNothingNew = errors.New("nothing new")

var (
	encMode = strict.Encoding
	decMode = strict.Decoding(strict.Options(4096, 64))
)
