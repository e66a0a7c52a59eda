package seal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"
)

// dial opens a TPM: a device, or a software TPM's socket.
func dial(device string) (transport.TPMCloser, error) {
	info, err := os.Stat(device)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is none at this place; switch it on in the firmware, or name another (--tpm)", ErrTPM)
	} else if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTPM, err)
	}
	var t transport.TPMCloser
	if info.Mode()&fs.ModeSocket != 0 {
		t, err = linuxudstpm.Open(device)
	} else {
		t, err = linuxtpm.Open(device)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w: this user may not open it (on most systems the group tss may)", ErrTPM)
	} else if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTPM, err)
	}
	return t, nil
}

// root is the TPM's storage root key, which it derives anew each time from a seed that never leaves it.
type root struct {
	tpm    transport.TPM
	handle tpm2.TPMHandle
	name   tpm2.TPM2BName
	public tpm2.TPMTPublic
}

// withRoot calls use with an open TPM and its storage root.
func withRoot(device string, use func(root) error) error {
	t, err := dial(device)
	if err != nil {
		return err
	}
	defer t.Close()
	made, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(t)
	if errors.Is(err, tpm2.TPMRCBadAuth) || errors.Is(err, tpm2.TPMRCAuthFail) {
		return fmt.Errorf("%w: its owner hierarchy has a password; keys are sealed below it without one", ErrTPM)
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrTPM, err)
	}
	defer tpm2.FlushContext{FlushHandle: made.ObjectHandle}.Execute(t)
	public, err := made.OutPublic.Contents()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTPM, err)
	}
	return use(root{tpm: t, handle: made.ObjectHandle, name: made.Name, public: *public})
}

// encrypted are the options of a session that encrypts what the TPM answers, and, both ways, what it is told.
func (r root) encrypted(both bool) []tpm2.AuthOption {
	way := tpm2.EncryptOut
	if both {
		way = tpm2.EncryptInOut
	}
	return []tpm2.AuthOption{tpm2.AESEncryption(128, way), tpm2.Salted(r.handle, r.public)}
}

// parent authorises with the empty password, and encrypts what goes to and fro.
func (r root) parent() tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: r.handle, Name: r.name, Auth: tpm2.HMAC(tpm2.TPMAlgSHA256, 16, r.encrypted(true)...)}
}

func selection(pcrs []uint) tpm2.TPMLPCRSelection {
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(pcrs...)}}}
}

// policy is the digest of "these PCRs are as they are now".
func (r root) policy(pcrs []uint) ([]byte, error) {
	s, end, err := tpm2.PolicySession(r.tpm, tpm2.TPMAlgSHA256, 16, tpm2.Trial())
	if err != nil {
		return nil, err
	}
	defer end()
	if _, err := (tpm2.PolicyPCR{PolicySession: s.Handle(), Pcrs: selection(pcrs)}).Execute(r.tpm); err != nil {
		return nil, err
	}
	digest, err := tpm2.PolicyGetDigest{PolicySession: s.Handle()}.Execute(r.tpm)
	if err != nil {
		return nil, err
	}
	return digest.PolicyDigest.Buffer, nil
}

// toTPM seals the file's key.
func (f *file) toTPM(key []byte) error {
	return withRoot(f.Device, func(r root) error {
		public := tpm2.TPMTPublic{
			Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, NoDA: true, UserWithAuth: len(f.PCRs) == 0},
		}
		if len(f.PCRs) > 0 {
			digest, err := r.policy(f.PCRs)
			if err != nil {
				return fmt.Errorf("%w: read its PCRs: %w", ErrTPM, err)
			}
			public.AuthPolicy = tpm2.TPM2BDigest{Buffer: digest}
		}
		made, err := tpm2.Create{
			ParentHandle: r.parent(), InPublic: tpm2.New2B(public),
			InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
				Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: key}),
			}},
		}.Execute(r.tpm)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrTPM, err)
		}
		f.Public, f.Private = made.OutPublic.Bytes(), made.OutPrivate.Buffer
		return nil
	})
}

// fromTPM gives the file's key.
func (f file) fromTPM() (key []byte, err error) {
	err = withRoot(f.Device, func(r root) error {
		loaded, err := tpm2.Load{
			ParentHandle: r.parent(), InPrivate: tpm2.TPM2BPrivate{Buffer: f.Private}, InPublic: tpm2.BytesAs2B[tpm2.TPMTPublic](f.Public),
		}.Execute(r.tpm)
		if errors.Is(err, tpm2.TPMRCIntegrity) {
			return ErrOther
		} else if err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
		defer tpm2.FlushContext{FlushHandle: loaded.ObjectHandle}.Execute(r.tpm)
		auth := tpm2.HMAC(tpm2.TPMAlgSHA256, 16, r.encrypted(false)...)
		if len(f.PCRs) > 0 {
			auth = tpm2.Policy(tpm2.TPMAlgSHA256, 16, func(t transport.TPM, handle tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
				_, err := tpm2.PolicyPCR{PolicySession: handle, Pcrs: selection(f.PCRs)}.Execute(t)
				return err
			}, r.encrypted(false)...)
		}
		out, err := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: auth}}.Execute(r.tpm)
		switch {
		case errors.Is(err, tpm2.TPMRCPolicyFail), errors.Is(err, tpm2.TPMRCPCRChanged):
			return ErrPCR
		case err != nil:
			return fmt.Errorf("%w: %w", ErrTPM, err)
		}
		key = out.OutData.Buffer
		return nil
	})
	return key, err
}
