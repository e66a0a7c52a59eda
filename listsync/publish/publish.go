// Package publish is the hotline's side of Cordon: it takes rows of assessed addresses in, and a signed, static repository out.
//
// In comes a CSV or JSON of an analyst, the public keys of officers and operators, and the accreditation of an authority. Out goes a
// directory any web server can serve: TUF metadata, one edge list and one auditor list a version, wrapped keys for each operator,
// and urgent withdrawals. It promises that nothing is published without the signatures of the threshold of officers, that each
// officer signs bytes which were rebuilt from the entries in front of him, that a reader of the repository never meets half a
// version, and that a brake (Check) stands between an import and a signature.
//
// A [Hotline] is a directory. Each method takes the directory's lock for as long as it works, reads what it needs from disk and
// writes whole files by rename, so commands may run at any time beside each other and may be cut off at any point.
//
// All errors that a person can do something about are a *[Fault]: what happened, where, and what to do.
package publish

import (
	"crypto/rand"
	"io"
	"time"
)

// Config is what the package takes from its surroundings. The zero value is right for a command.
type Config struct {
	// Clock tells the time; nil means time.Now.
	Clock func() time.Time
	// Rand gives the random bytes of keys and entry ids; nil means crypto/rand. Wrapping keys for operators always uses crypto/rand.
	Rand io.Reader
	// Wait is how long a command waits for another one that works in the same directory; 0 means two minutes.
	Wait time.Duration
	// PIN asks a person for the PIN of a PKCS#11 token; nil when there is nobody to ask. The bytes are cleared after use.
	PIN func(prompt string) ([]byte, error)
	// PINFile is a file with the PIN alone in it, or empty. It goes before PIN.
	PINFile string
	// Progress is told how far import, check, diff, sign and publish are; nil tells nobody.
	Progress Progress
}

func (c Config) now() time.Time {
	if c.Clock == nil {
		return time.Now().UTC().Truncate(time.Second)
	}
	return c.Clock().UTC().Truncate(time.Second)
}

func (c Config) random(b []byte) error {
	r := c.Rand
	if r == nil {
		r = rand.Reader
	}
	_, err := io.ReadFull(r, b)
	return err
}

func (c Config) wait() time.Duration {
	if c.Wait <= 0 {
		return 2 * time.Minute // a signature over ten million entries takes about one
	}
	return c.Wait
}

// Ages of what this package signs. The authority sets the ages of root.json and targets.json.
const (
	listAge          = 30 * 24 * time.Hour // a list's own metadata
	listRenew        = 10 * 24 * time.Hour // nearer to its end than this, an unchanged list may be signed again
	snapshotAge      = 7 * 24 * time.Hour
	snapshotRenew    = 3 * 24 * time.Hour
	timestampAge     = 24 * time.Hour
	epochAge         = 30 * 24 * time.Hour  // formats.md, who holds which key: keys live so long at most
	epochRenew       = 20 * 24 * time.Hour  // a version signed with keys as old as this, or older, has new ones
	maxReview        = 180 * 24 * time.Hour // formats.md, entries
	withdrawalAge    = 30 * 24 * time.Hour  // until when an operator may take a withdrawal in
	secondOwed       = 24 * time.Hour
	dailyWithdrawals = 20 // entries an officer may withdraw alone in 24 hours
	keepVersions     = 32 // published versions whose files stay in the repository
)
