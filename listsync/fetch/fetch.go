// Package fetch brings a hotline's bytes to this machine: metadata, list files and withdrawal statements, from the hotline's own
// repository or from any mirror, and keeps list files on disk by their hash.
//
// Nothing here is believed: a mirror can at worst be slow, lie or be silent. Sizes are bounded before anything is allocated or
// written, every wait has an end, files are compared with the hash that was signed before they get a name, and nothing is left
// behind when that fails. Package trust decides what metadata means.
package fetch

import (
	"errors"

	"github.com/cordon-project/cordon/listsync/trust"
)

// Sentinels of this package. ErrHash and ErrTooLarge are those of package trust, so that trust.Reason knows them.
var (
	ErrNotFound  = errors.New("not found")                    // the repository does not have it (now)
	ErrHash      = trust.ErrHash                              // content is not what was signed
	ErrTooLarge  = trust.ErrTooLarge                          // more bytes than were signed, or than any such file has
	ErrPath      = trust.ErrPath                              // a name that no file of a repository has
	ErrTruncated = errors.New("ended early")                  // fewer bytes than were signed
	ErrTimeout   = errors.New("repository is too slow")       // idle or in all
	ErrStatus    = errors.New("repository refused to answer") // a redirect, an encoding, or any status but 200, 304, 404, 410
)

// MaxFile bounds any file this package will write.
const MaxFile = 1<<31 - 1
