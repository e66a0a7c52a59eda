package trusttest

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
)

// Fault breaks one thing of what a Hotline publishes from then on. Roles are named root, targets, list, snapshot, timestamp.
type Fault func(*faults)

type faults struct {
	edits             map[string][]func(map[string]any) // before signing
	bytes             map[string][]func([]byte) []byte  // after signing
	signers           func(*Hotline) []ed25519.PrivateKey
	charter           func([]byte) []byte
	charterByOfficers bool
	timestampLife     time.Duration
	development       bool
}

// Break adds faults to those the hotline has. Faults of the root or targets need a new root or accreditation to show.
func (h *Hotline) Break(broken ...Fault) {
	if h.faults.edits == nil {
		h.faults.edits, h.faults.bytes = map[string][]func(map[string]any){}, map[string][]func([]byte) []byte{}
	}
	for _, f := range broken {
		f(&h.faults)
	}
}

// Mend takes all faults back.
func (h *Hotline) Mend() {
	h.faults = faults{}
	h.Break()
}

// EditRole changes the signed part of a role before its rightful keys sign it.
func EditRole(role string, change func(signed map[string]any)) Fault {
	return func(f *faults) { f.edits[role] = append(f.edits[role], change) }
}

// EditBytes changes the bytes of a role after they were signed; what pins the role pins the changed bytes.
func EditBytes(role string, change func([]byte) []byte) Fault {
	return func(f *faults) { f.bytes[role] = append(f.bytes[role], change) }
}

// ListSigners signs the list role with the officers of these indexes.
func ListSigners(officers ...int) Fault {
	return func(f *faults) {
		f.signers = func(h *Hotline) []ed25519.PrivateKey {
			var out []ed25519.PrivateKey
			for _, i := range officers {
				out = append(out, h.Officers[i])
			}
			return out
		}
	}
}

// ListSignedBy signs the list role with any keys.
func ListSignedBy(keys ...ed25519.PrivateKey) Fault {
	return func(f *faults) { f.signers = func(*Hotline) []ed25519.PrivateKey { return keys } }
}

// Custom changes what the officers sign about each list version.
func Custom(change func(custom map[string]any)) Fault {
	return EditRole("list", func(signed map[string]any) {
		for path, t := range signed["targets"].(map[string]any) {
			if strings.HasSuffix(path, ".edge") {
				change(t.(map[string]any)["custom"].(map[string]any))
			}
		}
	})
}

// Scope has the officers sign another scope than csam.
func Scope(scope string) Fault {
	return Custom(func(custom map[string]any) { custom["scope"] = scope })
}

// EditCharter changes charter.json before the accreditation signs it.
func EditCharter(change func(charter []byte) []byte) Fault {
	return func(f *faults) { f.charter = change }
}

// CharterScope has the accreditation sign a charter of another scope.
func CharterScope(scope string) Fault {
	return EditCharter(func(b []byte) []byte { return bytes.Replace(b, []byte(`"csam"`), []byte(`"`+scope+`"`), 1) })
}

// CharterByOfficers has the hotline's officers sign the accreditation themselves, in place of the authority.
func CharterByOfficers() Fault { return func(f *faults) { f.charterByOfficers = true } }

// TimestampLives has timestamps expire after d, which may be negative.
func TimestampLives(d time.Duration) Fault { return func(f *faults) { f.timestampLife = d } }

// FlippedByte flips one bit in the signed part of a role after it was signed: its expiry moves by a year.
func FlippedByte(role string) Fault {
	return EditBytes(role, func(b []byte) []byte {
		b = bytes.Clone(b)
		b[bytes.Index(b, []byte(`"expires":"20`))+len(`"expires":"202`)] ^= 1
		return b
	})
}

// FlippedSignature flips one bit of the first signature of a role.
func FlippedSignature(role string) Fault {
	return EditBytes(role, func(b []byte) []byte {
		b = bytes.Clone(b)
		i := bytes.Index(b, []byte(`"sig":"`)) + len(`"sig":"`) + 8
		if b[i] == '0' {
			b[i] = '1'
		} else {
			b[i] = '0'
		}
		return b
	})
}

// DuplicateKey writes the key _type of a role's signed part twice: encoding/json takes the last, others the first.
func DuplicateKey(role string) Fault {
	return EditBytes(role, func(b []byte) []byte {
		return bytes.Replace(b, []byte(`"signed":{"_type"`), []byte(`"signed":{"_type":"root","_type"`), 1)
	})
}

// FoldedKey adds a key of a role's signed part in capital letters: encoding/json takes it for the real one.
func FoldedKey(role string) Fault {
	return EditBytes(role, func(b []byte) []byte {
		return bytes.Replace(b, []byte(`"signed":{"_type"`), []byte(`"signed":{"EXPIRES":"2099-01-01T00:00:00Z","_type"`), 1)
	})
}

// OfficerIsRootKey names the first root key among the officers.
func OfficerIsRootKey(seed string) Fault {
	return addOfficer(Key(seed, "root", "0").Public().(ed25519.PublicKey))
}

func addOfficer(pub ed25519.PublicKey) Fault {
	return EditRole("targets", func(signed map[string]any) {
		d := signed["delegations"].(map[string]any)
		id := trust.KeyID(pub)
		d["keys"].(map[string]any)[id] = tufKey(pub)
		role := d["roles"].([]any)[0].(map[string]any)
		role["keyids"] = append(role["keyids"].([]any), id)
	})
}

// RootKeyInTwoRoles lets the timestamp key sign the snapshot too.
func RootKeyInTwoRoles() Fault {
	return EditRole("root", func(signed map[string]any) {
		roles := signed["roles"].(map[string]any)
		timestamp, snapshot := roles["timestamp"].(map[string]any), roles["snapshot"].(map[string]any)
		snapshot["keyids"] = append(snapshot["keyids"].([]any), timestamp["keyids"].([]any)...)
	})
}

// RootThreshold sets the threshold of a role of the root.
func RootThreshold(role string, n int) Fault {
	return EditRole("root", func(signed map[string]any) {
		signed["roles"].(map[string]any)[role].(map[string]any)["threshold"] = n
	})
}

// ListThreshold sets the threshold of the officers.
func ListThreshold(n int) Fault {
	return EditRole("targets", func(signed map[string]any) { delegation(signed)["threshold"] = n })
}

// FewerOfficers leaves only n officers in the delegation.
func FewerOfficers(n int) Fault {
	return EditRole("targets", func(signed map[string]any) {
		role := delegation(signed)
		ids := role["keyids"].([]any)
		for _, id := range ids[n:] {
			delete(signed["delegations"].(map[string]any)["keys"].(map[string]any), id.(string))
		}
		role["keyids"] = ids[:n]
	})
}

// ExtraDelegation delegates a second path to the same officers.
func ExtraDelegation() Fault {
	return EditRole("targets", func(signed map[string]any) {
		d := signed["delegations"].(map[string]any)
		second := map[string]any{}
		for k, v := range delegation(signed) {
			second[k] = v
		}
		second["name"], second["paths"] = "other", []any{"other/*"}
		d["roles"] = append(d["roles"].([]any), second)
	})
}

// DelegatedPaths delegates other paths than csam/<hotline>/*.
func DelegatedPaths(paths ...string) Fault {
	return EditRole("targets", func(signed map[string]any) { delegation(signed)["paths"] = append([]string{}, paths...) })
}

// NotTerminating lets the delegation not be the last word on its path.
func NotTerminating() Fault {
	return EditRole("targets", func(signed map[string]any) { delegation(signed)["terminating"] = false })
}

// MovedTarget has the officers sign their first edge list under another path.
func MovedTarget(path string) Fault {
	return EditRole("list", func(signed map[string]any) {
		targets := signed["targets"].(map[string]any)
		var paths []string
		for p := range targets {
			if strings.HasSuffix(p, ".edge") {
				paths = append(paths, p)
			}
		}
		first := slices.Min(paths)
		targets[path] = targets[first]
		delete(targets, first)
	})
}

// ListDelegates has the officers delegate further.
func ListDelegates() Fault {
	return EditRole("list", func(signed map[string]any) {
		signed["delegations"] = map[string]any{"keys": map[string]any{}, "roles": []any{}}
	})
}

// Expires sets the expiry of a role.
func Expires(role string, at time.Time) Fault {
	return EditRole(role, func(signed map[string]any) { signed["expires"] = at.UTC().Format(time.RFC3339) })
}

// Version sets the version of a role, as a number the role would else not have.
func Version(role string, n int64) Fault {
	return EditRole(role, func(signed map[string]any) { signed["version"] = n })
}

// Development marks the authority as a throw-away one.
func Development() Fault { return func(f *faults) { f.development = true } }

func delegation(signed map[string]any) map[string]any {
	return signed["delegations"].(map[string]any)["roles"].([]any)[0].(map[string]any)
}

func tufKey(pub ed25519.PublicKey) map[string]any {
	return map[string]any{"keytype": "ed25519", "scheme": "ed25519", "keyval": map[string]any{"public": hex.EncodeToString(pub)}}
}
