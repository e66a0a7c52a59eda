package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/appliance/identity/seal/sealtest"
)

var plain = []byte("-----BEGIN PRIVATE KEY-----\nsynthetic\n-----END PRIVATE KEY-----\n")

func open(t *testing.T, sealed []byte) ([]byte, error) {
	t.Helper()
	b := make([]byte, MaxPlain)
	n, err := Open(sealed, b)
	return b[:n], err
}

func TestAFileOpensWithItsTPMOnly(t *testing.T) {
	mine, other := sealtest.Start(t), sealtest.Start(t)
	sealed, err := Seal(mine.Device, nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("synthetic")) {
		t.Error("the key is in the clear")
	}
	mine.Measure(7, "another boot loader") // no PCR was asked for
	mine.Restart()
	if got, err := open(t, sealed); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("opened %q, %v", got, err)
	}
	elsewhere := bytes.Replace(sealed, []byte(mine.Device), []byte(other.Device), 1)
	if _, err := open(t, elsewhere); !errors.Is(err, ErrOther) {
		t.Errorf("another TPM: %v, want ErrOther", err)
	}
	mine.Clear()
	if _, err := open(t, sealed); !errors.Is(err, ErrOther) {
		t.Errorf("after the TPM was cleared: %v, want ErrOther", err)
	}
	mine.Stop()
	if _, err := open(t, sealed); !errors.Is(err, ErrTPM) {
		t.Errorf("without the TPM: %v, want ErrTPM", err)
	}
}

func TestAFileSealedToPCRsOpensInThatStateOnly(t *testing.T) {
	tpm := sealtest.Start(t)
	tpm.Measure(7, "signed boot loader")
	sealed, err := Seal(tpm.Device, []uint{7, 4, 7}, plain)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := open(t, sealed); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("opened %q, %v", got, err)
	}
	tpm.Measure(8, "what nobody asked about")
	if _, err := open(t, sealed); err != nil {
		t.Errorf("another PCR changed: %v", err)
	}
	tpm.Measure(7, "something else")
	if _, err := open(t, sealed); !errors.Is(err, ErrPCR) {
		t.Errorf("in another state: %v, want ErrPCR", err)
	}
	tpm.Restart()
	if _, err := open(t, sealed); !errors.Is(err, ErrPCR) {
		t.Errorf("started without that boot loader: %v, want ErrPCR", err)
	}
	tpm.Measure(7, "signed boot loader")
	if _, err := open(t, sealed); err != nil {
		t.Errorf("in the same state after a restart: %v", err)
	}
}

// Every part of a sealed file is held to be what the TPM and the cipher made.
func TestAnAlteredFileIsRefused(t *testing.T) {
	tpm := sealtest.Start(t)
	sealed, err := Seal(tpm.Device, []uint{7}, plain)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*file){
		"public part":      func(f *file) { f.Public[len(f.Public)-1] ^= 1 },
		"private part":     func(f *file) { f.Private[len(f.Private)/2] ^= 1 },
		"no public part":   func(f *file) { f.Public = nil },
		"no private part":  func(f *file) { f.Private = nil },
		"data":             func(f *file) { f.Data[len(f.Data)-1] ^= 1 },
		"nonce":            func(f *file) { f.Data[0] ^= 1 },
		"data cut":         func(f *file) { f.Data = f.Data[:20] },
		"another PCR":      func(f *file) { f.PCRs = []uint{8} },
		"no PCR":           func(f *file) { f.PCRs = nil },
		"a PCR of none":    func(f *file) { f.PCRs = []uint{99} },
		"another version":  func(f *file) { f.Sealed = 2 },
		"a relative place": func(f *file) { f.Device = "tpm" },
	} {
		t.Run(name, func(t *testing.T) {
			var f file
			if err := json.Unmarshal(sealed, &f); err != nil {
				t.Fatal(err)
			}
			change(&f)
			b, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := open(t, b); err == nil {
				t.Errorf("opened %q", got)
			} else {
				t.Log(err)
			}
		})
	}
}

func TestWhatIsNoSealedFileIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "text": "hello", "another object": `{"cordon_sealed":1,"device":"/dev/tpmrm0","extra":1}`,
		"two": `{"cordon_sealed":1,"device":"/x"}{}`, "huge": `{"cordon_sealed":1,"device":"/x","data":"` + strings.Repeat("A", MaxFile) + `"}`,
	} {
		if _, err := open(t, []byte(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
	if _, err := Seal(filepath.Join(t.TempDir(), "none"), nil, plain); !errors.Is(err, ErrTPM) {
		t.Errorf("no TPM: %v, want ErrTPM", err)
	}
	if _, err := Seal("/dev/null", nil, make([]byte, MaxPlain+1)); err == nil {
		t.Error("more than a key file was sealed")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"cordon_sealed":1,"device":"/dev/tpmrm0","pcrs":[7],"public":"AA==","private":"AA==","data":"AA=="}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, err := parse(b); err == nil && (x.Sealed != 1 || !filepath.IsAbs(x.Device)) {
			t.Errorf("accepted %+v", x)
		} else if err != nil && !errors.Is(err, ErrFormat) {
			t.Errorf("error %v", err)
		}
	})
}
