package trusttest

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
)

// role applies the faults of a role to its unsigned bytes, signs them, and applies the faults of the signed file.
func (h *Hotline) role(name string, b []byte, signers ...ed25519.PrivateKey) []byte {
	for _, f := range h.faults.edits[name] {
		b = edit(b, f)
	}
	b = Sign(b, signers...)
	for _, f := range h.faults.bytes[name] {
		b = f(b)
	}
	return b
}

// Edit changes the signed part of a metadata file as a JSON tree (numbers are json.Number) and gives the file in canonical form
// without signatures.
func Edit(b []byte, change func(signed map[string]any)) []byte { return edit(b, change) }

func edit(b []byte, change func(map[string]any)) []byte {
	var file map[string]any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	check(d.Decode(&file))
	change(file["signed"].(map[string]any))
	file["signatures"] = []any{}
	out, err := json.Marshal(file) // of maps: keys ascending, no white space
	check(err)
	return out
}

// Sign signs a metadata file in canonical form, in place of the signatures it has. It is written apart from trust.Sign, so that
// the two check each other.
func Sign(b []byte, signers ...ed25519.PrivateKey) []byte {
	_, signed, ok := bytes.Cut(b, []byte(`],"signed":`))
	if !ok {
		panic("trusttest: not a metadata file in canonical form")
	}
	signed = signed[:len(signed)-1]
	var sigs []string
	for _, k := range signers {
		sigs = append(sigs, fmt.Sprintf(`{"keyid":"%s","sig":"%x"}`, trust.KeyID(k.Public().(ed25519.PublicKey)), ed25519.Sign(k, signed)))
	}
	slices.Sort(sigs)
	return fmt.Appendf(nil, `{"signatures":[%s],"signed":%s}`, strings.Join(sigs, ","), signed)
}

type pinned struct {
	version int64
	b       []byte
}

// pin writes an unsigned snapshot or timestamp over any bytes whatever.
func pin(role string, version int64, expires time.Time, files map[string]pinned) []byte {
	meta := map[string]any{}
	for name, p := range files {
		meta[name] = map[string]any{"version": p.version, "length": len(p.b), "hashes": map[string]any{"sha256": hexSum(p.b)}}
	}
	b, err := json.Marshal(map[string]any{"signatures": []any{}, "signed": map[string]any{
		"_type": role, "spec_version": "1.0.31", "version": version, "expires": expires.UTC().Truncate(time.Second).Format(time.RFC3339), "meta": meta,
	}})
	check(err)
	return b
}

// Repin gives m with everything above its charter, targets and list role signed anew over the bytes they have now: what a thief of
// all keys could publish. The bytes themselves are not looked at.
func (h *Hotline) Repin(m trust.Metadata) trust.Metadata {
	set := func(entry any, b []byte) {
		e := entry.(map[string]any)
		e["length"], e["hashes"] = len(b), map[string]any{"sha256": hexSum(b)}
	}
	m.Snapshot = Sign(edit(m.Snapshot, func(signed map[string]any) {
		meta := signed["meta"].(map[string]any)
		set(meta["targets.json"], m.Targets)
		set(meta[trust.RoleName(h.ID)+".json"], m.List)
	}), h.Snapshot)
	m.Timestamp = Sign(edit(m.Timestamp, func(signed map[string]any) {
		set(signed["meta"].(map[string]any)["snapshot.json"], m.Snapshot)
	}), h.Timestamp)
	return m
}

// RepinCharter gives m with the accreditation signed anew over the charter it has now, and everything above.
func (h *Hotline) RepinCharter(m trust.Metadata) trust.Metadata {
	m.Targets = Sign(edit(m.Targets, func(signed map[string]any) {
		t := signed["targets"].(map[string]any)[trust.CharterPath].(map[string]any)
		t["length"], t["hashes"] = len(m.Charter), map[string]any{"sha256": hexSum(m.Charter)}
	}), h.Accreditation[:2]...)
	return h.Repin(m)
}
