// Package list makes the two files a hotline publishes for each version of a list: the edge list, which operators load
// (resolver/match reads it), and the auditor list, which commits to every entry without telling it. All
// functions are pure functions on bytes. In come a hotline's entries in plain text, on the hotline's machine only; out
// come keyed digests and hiding commitments. FORMAT.md has the byte tables and test vectors.
package list

import (
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/match/section"
)

// Sentinels: what a caller can be told about a file or about entries. Errors of this package wrap one of them.
var (
	ErrFormat   = match.ErrFormat   // not such a file, or a value outside of its closed set
	ErrHash     = match.ErrHash     // content and hash or root differ
	ErrOrder    = match.ErrOrder    // records not in strict order, or a record twice
	ErrTooLarge = match.ErrTooLarge // more than MaxRecords or MaxFile
)

const (
	MaxFile    = section.MaxFile  // bytes of any list file: a byte less than 2 GiB
	MaxRecords = match.MaxRecords // records of any list: 32 Mi
)

const magicAudit = "CORDAUD2"

// Version says which version of which list a file is.
type Version = match.Header

// Summary is what a built version consists of.
type Summary struct {
	Entries     int            // as given
	Records     int            // entries, steer records and decoys
	Kinds       map[string]int // entries of each kind that has any
	Bases       map[string]int // entries of each legal basis that has any
	EntriesRoot [32]byte       // RFC 6962 root of the commitments
	EdgeHead    [32]byte       // Edge.Hash of the edge list
}
