// Package list reads and writes the two files a hotline publishes for each version of a list: the edge list, which
// operators compile into an index, and the auditor list, which commits to every entry without telling it. All
// functions are pure functions on bytes. In come a hotline's entries in plain text, on the hotline's machine only; out
// come keyed digests and hiding commitments. FORMAT.md has the byte tables and test vectors.
package list

import (
	"time"

	"github.com/cordon-project/cordon/resolver/canon"
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
	MaxFile    = section.MaxFile  // bytes of any list file: 1 GiB
	MaxRecords = match.MaxRecords // records of any list: 16 Mi
)

// Magic numbers. A delta between two edge lists will carry the third; FORMAT.md reserves it.
const (
	magicEdge  = "CORDEDG1"
	magicAudit = "CORDAUD1"
)

// Version says which version of which list a file is.
type Version = match.Header

// Entry is one entry as the hotline keeps it, in plain text. It exists on the hotline's machine and nowhere else.
type Entry struct {
	ID           match.EntryID // random, stable across versions and epochs
	Kind         canon.Kind    // url, prefix, host or domain
	Expression   string        // canonical, as canon.Expression writes it
	Category     match.Category
	Basis        match.Basis
	Jurisdiction string    // two upper-case letters
	Since        time.Time // whole seconds count
	ReviewBy     time.Time // last second in force without re-attestation
	Assessors    [2]string // who assessed it; checked by publish, not written to any file
	Reason       string    // why a broad kind was needed; checked by publish, not written to any file
	Canary       bool      // a harmless host of the hotline, for testing the real path
}

// Summary is what a built version consists of.
type Summary struct {
	Entries     int            // as given
	Records     int            // entries, steer records and decoys
	Kinds       map[string]int // entries of each kind that has any
	EntriesRoot [32]byte       // RFC 6962 root of the commitments
}
