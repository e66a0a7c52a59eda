// Package seal turns a file into one that opens only with the TPM 2.0 of this machine, and back.
//
// A TPM seals a few bytes. So the file is encrypted with a fresh key (AES-256-GCM), and that key is sealed below the TPM's storage root: whoever has
// the disk and not the TPM has nothing. On request it opens only while chosen PCRs are what they were, for example 7, which says how the machine
// was booted. Talk with the TPM is encrypted to its storage root, so that a tap on the bus hears nothing.
//
// What it does not do: on the machine itself, whoever may use the TPM may open the file.
package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
)

// Device is where Linux has its TPM, with the kernel's resource manager in front.
const Device = "/dev/tpmrm0"

// MaxFile is the largest sealed file that is read; MaxPlain the most that is sealed.
const (
	MaxFile  = 64 << 10
	MaxPlain = 16 << 10
)

// Errors a caller chooses by.
var (
	// ErrTPM: there is no TPM, or it does not work.
	ErrTPM = errors.New("the TPM cannot be used")
	// ErrOther: sealed by another TPM, or by this one before it was cleared.
	ErrOther = errors.New("sealed by another TPM, or by this one before it was cleared")
	// ErrPCR: the PCRs it was sealed to have changed.
	ErrPCR = errors.New("the machine was started in another way than when it was sealed (its PCRs differ)")
	// ErrFormat: not a sealed file, or altered.
	ErrFormat = errors.New("not a sealed file, or damaged")
)

// file is a sealed file: JSON, so that a person sees what it is.
type file struct {
	Sealed  int    `json:"cordon_sealed"` // 1
	Device  string `json:"device"`        // the TPM that opens it: a device, or the socket of a software TPM
	PCRs    []uint `json:"pcrs"`          // of the SHA-256 bank; empty: any state of the machine
	Public  []byte `json:"public"`        // what the TPM made of the file's key
	Private []byte `json:"private"`
	Data    []byte `json:"data"` // nonce and the encrypted file
}

// keySize is that of AES-256.
const keySize = 32

// additional is bound to what is encrypted.
const additional = "cordon/sealed/v1\n"

// Seal seals plain to the TPM at device, and to the present values of pcrs if there are any.
func Seal(device string, pcrs []uint, plain []byte) ([]byte, error) {
	if len(plain) > MaxPlain {
		return nil, fmt.Errorf("seal: %d bytes are more than a key file has", len(plain))
	}
	f := file{Sealed: 1, Device: device, PCRs: slices.Compact(slices.Sorted(slices.Values(pcrs)))}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	key := make([]byte, keySize)
	defer clear(key)
	rand.Read(key) // never fails (crypto/rand)
	a, err := newAEAD(key)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	nonce := make([]byte, a.NonceSize(), a.NonceSize()+len(plain)+a.Overhead())
	rand.Read(nonce)
	f.Data = a.Seal(nonce, nonce, plain, []byte(additional))
	if err := f.toTPM(key); err != nil {
		return nil, fmt.Errorf("seal with %s: %w", device, err)
	}
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return append(b, '\n'), nil
}

// Open opens a sealed file into plain, which must have room for MaxPlain bytes, and gives its length. Call it within locked.Do.
func Open(sealed, plain []byte) (int, error) {
	f, err := parse(sealed)
	if err != nil {
		return 0, err
	}
	key, err := f.fromTPM()
	if err != nil {
		return 0, fmt.Errorf("open with %s: %w", f.Device, err)
	}
	defer clear(key)
	a, err := newAEAD(key)
	if err != nil {
		return 0, fmt.Errorf("open: %w", err)
	}
	n := a.NonceSize()
	if len(f.Data) < n+a.Overhead() || len(f.Data)-n-a.Overhead() > min(MaxPlain, len(plain)) {
		return 0, fmt.Errorf("open: %w", ErrFormat)
	}
	out, err := a.Open(plain[:0], f.Data[:n], f.Data[n:], []byte(additional))
	if err != nil {
		return 0, fmt.Errorf("open: %w", ErrFormat)
	}
	return len(out), nil
}

// parse reads a sealed file strictly.
func parse(sealed []byte) (file, error) {
	var f file
	d := json.NewDecoder(bytes.NewReader(sealed))
	d.DisallowUnknownFields()
	if len(sealed) > MaxFile || d.Decode(&f) != nil {
		return file{}, ErrFormat
	}
	if _, err := d.Token(); err != io.EOF {
		return file{}, ErrFormat
	}
	return f, f.check()
}

func (f file) check() error {
	if f.Sealed != 1 || !filepath.IsAbs(f.Device) || len(f.Device) > 255 {
		return fmt.Errorf("%w: version %d, device of %d characters", ErrFormat, f.Sealed, len(f.Device))
	}
	for _, n := range f.PCRs {
		if n > 23 {
			return fmt.Errorf("%w: PCR %d, there are 0 to 23", ErrFormat, n)
		}
	}
	return nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != keySize {
		return nil, ErrFormat
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
