package identity

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/appliance/identity/seal"
	"github.com/cordon-project/cordon/resolver/match/locked"
)

const (
	maxKeyFile    = 16 << 10 // every file that holds a key; ours have a few hundred bytes
	maxPublicFile = 64 << 10
)

// keyText is where the text of a key file stands while it is read.
type keyText [maxKeyFile + 1]byte

// withSecret hands the text of a key file to use, in locked memory that is gone when use returns. What use leaves on stack and heap is
// erased with it (locked.Do).
func withSecret(what, path string, use func(text []byte) error) error {
	v, err := locked.New[keyText]()
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, path, err)
	}
	defer v.Close()
	n, err := readSecret(what, path, v.Get()[:])
	if err != nil {
		return err
	}
	locked.Do(func() { err = use(v.Get()[:n]) })
	return err
}

// readSecret reads a key file, which others must not be able to read, into b.
func readSecret(what, path string, b []byte) (int, error) {
	store, name := config.StoreOf(path)
	switch store {
	case config.Disk:
		return read(what, path, b, true)
	case config.TPM:
		return unseal(what, name, b)
	}
	folder := os.Getenv("CREDENTIALS_DIRECTORY")
	if folder == "" || name != filepath.Base(name) {
		return 0, fmt.Errorf("%s %s cannot be read: systemd has handed over no such credential; add LoadCredentialEncrypted=%s to the unit", what, path, name)
	}
	return read(what, filepath.Join(folder, name), b, false) // systemd guards its own folder
}

// unseal reads a key file that was sealed to this machine's TPM.
func unseal(what, path string, b []byte) (n int, err error) {
	sealed, err := readPublic(what, path, seal.MaxFile)
	if err != nil {
		return 0, err
	}
	locked.Do(func() { n, err = seal.Open(sealed, b) })
	again := "seal the key again on this machine, from the folder cordon init made: cordon seal"
	switch {
	case errors.Is(err, seal.ErrPCR):
		return 0, fmt.Errorf("%s %s: %w; start the machine as it was, or %s", what, path, err, again)
	case errors.Is(err, seal.ErrTPM):
		return 0, fmt.Errorf("%s %s: %w", what, path, err)
	case err != nil:
		return 0, fmt.Errorf("%s %s: %w; %s", what, path, err, again)
	}
	return n, nil
}

// readFile reads a public file.
func readFile(what, path string) ([]byte, error) { return readPublic(what, path, maxPublicFile) }

func readPublic(what, path string, most int) ([]byte, error) {
	b := make([]byte, most+1)
	n, err := read(what, path, b, false)
	return b[:n], err
}

// read fills b with a file, which must leave at least a byte of it free.
func read(what, path string, b []byte, private bool) (int, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, fmt.Errorf("%s %s does not exist; copy it from the folder that cordon init made for this node", what, path)
	case errors.Is(err, fs.ErrPermission):
		return 0, fmt.Errorf("%s %s cannot be read by this user; give it to the user that runs Cordon (chown)", what, path)
	case err != nil:
		return 0, fmt.Errorf("%s %s cannot be opened: %w", what, path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s %s cannot be read: %w", what, path, err)
	case !info.Mode().IsRegular():
		return 0, fmt.Errorf("%s %s is not a plain file; name the file itself", what, path)
	case private && info.Mode().Perm()&0o037 != 0:
		// A group may read: packages commonly keep keys as root:cordon 0640.
		return 0, fmt.Errorf("%s %s can be read or changed by others (mode %04o); run: chmod 600 %s", what, path, info.Mode().Perm(), path)
	}
	n, err := io.ReadFull(f, b)
	switch {
	case err == nil:
		return 0, fmt.Errorf("%s %s is larger than %d bytes; it is some other file", what, path, len(b)-1)
	case err != io.EOF && err != io.ErrUnexpectedEOF:
		return 0, fmt.Errorf("%s %s cannot be read: %w", what, path, err)
	}
	return n, nil
}
