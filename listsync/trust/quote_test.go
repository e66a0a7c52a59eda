package trust_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/fxamacker/cbor/v2"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

// What a stranger sends is refused, and the refusal's wording becomes part of a public log that nobody can take back. So no error
// repeats what nobody has signed: a mirror could else write a name there (P4).

// marker is what the stranger wants in the log: as text, and as a number.
const (
	marker       = "zz-marker-zz"
	markerNumber = 31337313371
)

func wantNoMarker(t *testing.T, where string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if text := err.Error(); strings.Contains(text, marker) || strings.Contains(text, fmt.Sprint(markerNumber)) || strings.Contains(text, fmt.Sprintf("%x", marker)) {
		t.Errorf("%s: the error quotes it: %s", where, text)
	}
}

// marked gives b in every variant in which one key, value or new field is the marker: the JSON stays canonical where b is.
func marked(t *testing.T, b []byte) [][]byte {
	t.Helper()
	var out [][]byte
	var doc any
	emit := func() {
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(doc); err != nil {
			t.Fatal(err)
		}
		out = append(out, bytes.TrimSuffix(buf.Bytes(), []byte("\n")))
	}
	replacements := []any{marker, json.Number(fmt.Sprint(markerNumber)), []any{marker}, map[string]any{marker: marker}, map[string]any{}, []any{}, false}
	var walk func(v any, set func(any))
	walk = func(v any, set func(any)) {
		for _, r := range replacements {
			set(r)
			emit()
		}
		if s, ok := v.(string); ok {
			for _, r := range []string{marker + s, s + marker, strings.ToUpper(s)} {
				set(r)
				emit()
			}
		}
		set(v)
		switch v := v.(type) {
		case map[string]any:
			keys := make([]string, 0, len(v))
			for k := range v {
				keys = append(keys, k)
			}
			slices.Sort(keys)
			for _, k := range keys {
				item := v[k]
				walk(item, func(x any) { v[k] = x })
				delete(v, k)
				for _, name := range []string{marker, k + marker, marker + k} {
					v[name] = item
					emit()
					delete(v, name)
				}
				v[k] = item
			}
			for _, x := range []any{marker, item(v)} {
				v[marker] = x
				emit()
				delete(v, marker)
			}
		case []any:
			for i := range v {
				walk(v[i], func(x any) { v[i] = x })
			}
			for _, x := range []any{marker, map[string]any{marker: marker}} {
				set(append(slices.Clone(v), x))
				emit()
			}
			set(v)
		}
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	walk(doc, func(x any) { doc = x })

	raw := []string{marker, `"` + marker + `"`, `"` + marker + `":"` + marker + `",`, `"` + marker + `":1,"` + marker + `":1,`, `\u` + marker, fmt.Sprint(markerNumber)}
	for i := 0; i <= len(b); i += 1 + len(b)/100 {
		for _, r := range raw {
			out = append(out, slices.Concat(b[:i], []byte(r), b[i:]))
		}
	}
	for i, c := range b { // behind every brace, where a key may be: also twice, and in the wrong place
		if c == '{' {
			for _, r := range raw {
				out = append(out, slices.Concat(b[:i+1], []byte(r), b[i+1:]))
			}
		}
	}
	return append(out, []byte(marker), []byte(`{"`+marker), []byte(`{"`+marker+`":`), nil)
}

// item is any value of v.
func item(v map[string]any) any {
	for _, x := range v {
		return x
	}
	return marker
}

func TestNoErrorQuotesUnsignedMetadata(t *testing.T) {
	h := trusttest.New(seed, "north", now)
	h.RotateRoot(now)
	m := h.Publish(now, trusttest.Files(mainID, 2), trusttest.Files(sideID, 1))
	v, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now)
	if err != nil {
		t.Fatal(err)
	}
	check := func(where string, pinned []byte, m trust.Metadata) {
		t.Helper()
		_, err := trust.Verify(pinned, v.High, m, now)
		wantNoMarker(t, where, err)
	}
	parts := []struct {
		name string
		part func(m *trust.Metadata) *[]byte
		read func(b []byte) error // as whoever fetches or signs reads it, unverified
	}{
		{"root", func(m *trust.Metadata) *[]byte { return &m.Roots[0] }, func(b []byte) error { _, err := trust.ReadRoot(b); return err }},
		{"timestamp", func(m *trust.Metadata) *[]byte { return &m.Timestamp }, func(b []byte) error { _, err := trust.ReadTimestamp(b); return err }},
		{"snapshot", func(m *trust.Metadata) *[]byte { return &m.Snapshot }, func(b []byte) error { _, _, err := trust.ReadSnapshot(b, "north"); return err }},
		{"targets", func(m *trust.Metadata) *[]byte { return &m.Targets }, func(b []byte) error { _, _, err := trust.ReadTargets(b); return err }},
		{"list", func(m *trust.Metadata) *[]byte { return &m.List }, func(b []byte) error { _, err := trust.ReadList(b, "north"); return err }},
		{"charter", func(m *trust.Metadata) *[]byte { return &m.Charter }, func(b []byte) error { _, err := trust.ParseCharter(b); return err }},
	}
	stranger := trusttest.Key("stranger")
	const each = 23 // a whole chain is 5 ms to verify; every variant goes through the same readers alone
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) {
			variants := marked(t, *p.part(&m))
			for i, b := range variants {
				wantNoMarker(t, "read", p.read(b))
				if i%each != 0 {
					continue
				}
				c := m
				c.Roots = slices.Clone(m.Roots)
				*p.part(&c) = b
				check("verify", h.Pinned, c)
				_, err := trust.Describe(b)
				wantNoMarker(t, "describe", err)
				_, err = trust.Sign(b, stranger)
				wantNoMarker(t, "sign", err)
				if bytes.Contains(b, []byte(`],"signed":`)) { // the stranger signs what he made
					*p.part(&c) = trusttest.Sign(b, stranger)
					check("verify what a stranger signed", h.Pinned, c)
				}
			}
			t.Logf("%d variants", len(variants))
		})
	}
	t.Run("pinned root", func(t *testing.T) {
		for _, b := range marked(t, h.Pinned) {
			check("verify", b, m)
		}
	})
	_, err = trust.ParseHotlineID(marker + "/")
	wantNoMarker(t, "hotline id", err)
}

// In a charter that nobody signs for (a targets.json without a charter) there is nothing to hold it to before it is read.
func TestNoErrorQuotesACharterThatNobodySigned(t *testing.T) {
	h, m := north(t, trusttest.EditRole("targets", func(s map[string]any) {
		targets := s["targets"].(map[string]any)
		targets["other.json"] = targets[trust.CharterPath]
		delete(targets, trust.CharterPath)
	}))
	for i, b := range marked(t, m.Charter) {
		if i%11 != 0 {
			continue
		}
		c := m
		c.Charter = b
		_, err := trust.Verify(h.Pinned, trust.HighWater{}, c, now)
		if err == nil {
			t.Fatal("believed")
		}
		wantNoMarker(t, "verify", err)
	}
}

// spliced puts the marker, as bytes and as CBOR, at every place of b.
func spliced(b []byte) [][]byte {
	var out [][]byte
	text, _ := cbor.Marshal(marker)
	number, _ := cbor.Marshal(markerNumber)
	pair, _ := cbor.Marshal(map[string]string{marker: marker})
	for i := 0; i <= len(b); i += 1 + len(b)/2000 {
		for _, r := range [][]byte{[]byte(marker), text, number, pair} {
			out = append(out, slices.Concat(b[:i], r, b[i:]), slices.Concat(b[:i], r, b[min(len(b), i+len(r)):]))
		}
	}
	return append(out, text, number, pair, []byte(marker))
}

// cborMaps are maps with the marker as key and value, next to and in place of every field from 1 to 9.
func cborMaps(t *testing.T) [][]byte {
	t.Helper()
	var out [][]byte
	add := func(v any) []byte {
		b, err := cbor.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
		return b
	}
	add(map[any]any{marker: 1})
	for k := range 10 {
		for _, v := range []any{marker, []byte(marker), markerNumber, -markerNumber, []any{marker}, []any{map[any]any{marker: marker, 1: marker}}, map[any]any{1: marker}, 1.5, cbor.Tag{Number: 1, Content: marker}} {
			add(map[any]any{k: v})
			add(map[any]any{k: v, marker: marker})
		}
	}
	text := add(marker)
	out = append(out, slices.Concat([]byte{0xa2}, text, text, text, text)) // the key twice
	return out
}

func TestNoErrorQuotesUnsignedCBOR(t *testing.T) {
	h, m := north(t)
	encoded, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	k := epochKeys()
	wrapped, err := trust.WrapKeys(k, id.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	statementOf := func(body []byte, keyID string) []byte {
		raw, err := cbor.CoreDetEncOptions().EncMode()
		if err != nil {
			t.Fatal(err)
		}
		b, err := raw.Marshal(trust.SignedStatement{Body: body, Signatures: []trust.Signature{{KeyID: keyID, Sig: make([]byte, 64)}}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good, err := trust.SignWithdrawal(statement(1), h.Officers[0])
	if err != nil {
		t.Fatal(err)
	}
	body := trust.WithdrawalBody(good)
	withdrawals := slices.Concat(spliced(good), cborMaps(t), [][]byte{statementOf(body, marker)})
	for _, b := range slices.Concat(spliced(body), cborMaps(t), markedStatements(t)) {
		withdrawals = append(withdrawals, statementOf(b, marker))
	}
	sealed := slices.Concat(spliced(wrapped), cborMaps(t))
	for _, header := range []string{marker, marker + "\n", "age-encryption.org/" + marker + "\n", "age-encryption.org/v1\n" + marker + "\n", "age-encryption.org/v1\n-> " + marker + "\n", "age-encryption.org/v1\n-> " + marker + " " + marker + "\n\n--- " + marker + "\n"} {
		sealed = append(sealed, []byte(header), append([]byte(header), wrapped...))
	}
	for _, b := range slices.Concat(spliced(trust.PlainKeys(k)), cborMaps(t)) {
		sealed = append(sealed, seal(t, id, b))
	}
	for _, c := range []struct {
		name   string
		inputs [][]byte
		read   func(b []byte) error
	}{
		{"metadata", slices.Concat(spliced(encoded), cborMaps(t)), func(b []byte) error { _, err := trust.DecodeMetadata(b); return err }},
		{"withdrawal", withdrawals, func(b []byte) error { _, _, err := trust.VerifyWithdrawal(h.OfficerKeys(), b, now); return err }},
		{"withdrawal, read", withdrawals, func(b []byte) error { _, err := trust.DecodeWithdrawal(b); return err }},
		{"withdrawal, cosigned", withdrawals, func(b []byte) error { _, err := trust.CosignWithdrawal(b, h.Officers[1]); return err }},
		{"wrapped keys", sealed, func(b []byte) error { _, err := trust.UnwrapKeys(b, id); return err }},
		{"wrapped keys of another", sealed, func(b []byte) error { _, err := trust.UnwrapKeys(b, other); return err }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, b := range c.inputs {
				wantNoMarker(t, "read", c.read(b))
			}
			t.Logf("%d inputs", len(c.inputs))
		})
	}
}

// markedStatements are bodies of withdrawals whose form is right and whose content is the marker.
func markedStatements(t *testing.T) [][]byte {
	t.Helper()
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for _, change := range []func(w *trust.Withdrawal){
		func(w *trust.Withdrawal) { w.V = markerNumber },
		func(w *trust.Withdrawal) { w.List = marker },
		func(w *trust.Withdrawal) { w.List = match.ListID(marker + ".test/" + marker) },
		func(w *trust.Withdrawal) { w.SeqFrom = markerNumber },
		func(w *trust.Withdrawal) { w.Issued = markerNumber },
		func(w *trust.Withdrawal) { w.Expires = markerNumber },
		func(w *trust.Withdrawal) { w.Reason = marker },
		func(w *trust.Withdrawal) { w.Reason = "other(" + marker + ".test)" },
	} {
		w := statement(1)
		w.V = 1
		change(&w)
		b, err := mode.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

func seal(t *testing.T, id *age.X25519Identity, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := age.Encrypt(&out, id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
