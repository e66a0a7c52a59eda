package trust_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

// opening is a statement about three entries.
func opening() trust.Opening {
	return trust.Opening{
		Cluster: strings.Repeat("0a", 16), List: mainID, Seq: 41, Request: [32]byte{1}, Count: 3, File: [32]byte{2}, Recipient: [32]byte{3},
		Issued: now.Unix(), Expires: now.Add(24 * time.Hour).Unix(),
	}
}

func signOpening(t testing.TB, o trust.Opening, keys ...ed25519.PrivateKey) []byte {
	t.Helper()
	raw, err := trust.SignOpening(o, keys[0])
	for _, k := range keys[1:] {
		if err == nil {
			raw, err = trust.CosignOpening(raw, k)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestNobodyOpensEntriesAlone(t *testing.T) {
	h, _ := north(t)
	two := signOpening(t, opening(), h.Officers[0], h.Officers[1])
	for _, c := range []struct {
		name   string
		raw    []byte
		at     time.Time
		reason string
	}{
		{"two officers", two, now, ""},
		{"the last second", two, now.Add(24*time.Hour - time.Second), ""},
		{"one officer", signOpening(t, opening(), h.Officers[0]), now, "threshold"},
		{"one officer twice", signOpening(t, opening(), h.Officers[0], h.Officers[0]), now, "threshold"},
		{"an officer and a stranger", signOpening(t, opening(), h.Officers[0], trusttest.Key("stranger")), now, "signature"},
		{"too late", two, now.Add(24 * time.Hour), "expired"},
		{"too early", two, now.Add(-time.Hour), "expired"},
		{"another form", append(bytes.Clone(two), 0), now, "format"},
		{"signed as a withdrawal", h.Withdraw(statement(1), 0, 1), now, "format"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, signers, err := trust.VerifyOpening(h.OfficerKeys(), c.raw, c.at)
			wantReason(t, err, c.reason)
			if err == nil && (o.Count != 3 || len(signers) != 2) {
				t.Errorf("got %+v by %v", o, signers)
			}
		})
	}
}

func TestOpeningsOutOfBoundsAreNotSigned(t *testing.T) {
	h, _ := north(t)
	for _, c := range []struct {
		name   string
		change func(*trust.Opening)
	}{
		{"no entry", func(o *trust.Opening) { o.Count = 0 }},
		{"more than may be shown", func(o *trust.Opening) { o.Count = trust.MaxSample + 1 }},
		{"no cluster", func(o *trust.Opening) { o.Cluster = "" }},
		{"a cluster in capitals", func(o *trust.Opening) { o.Cluster = strings.Repeat("0A", 16) }},
		{"no list", func(o *trust.Opening) { o.List = "" }},
		{"sequence 0", func(o *trust.Opening) { o.Seq = 0 }},
		{"valid for months", func(o *trust.Opening) { o.Expires = o.Issued + 32*24*3600 }},
		{"over before it begins", func(o *trust.Opening) { o.Expires = o.Issued }},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := opening()
			c.change(&o)
			if _, err := trust.SignOpening(o, h.Officers[0]); err == nil {
				t.Errorf("signed %+v", o)
			}
		})
	}
}

// KEYS.md has this statement's bytes.
func TestTheManualsOpeningIsWhatWeSign(t *testing.T) {
	doc, err := os.ReadFile("KEYS.md")
	if err != nil {
		t.Fatal(err)
	}
	h, _, _ := goldenStory()
	o := opening()
	o.Issued, o.Expires = 1780000000, 1780086400
	raw := hex.EncodeToString(signOpening(t, o, h.Officers[0], h.Officers[1]))
	if !strings.Contains(string(doc), "`"+raw+"`") {
		t.Errorf("KEYS.md lacks %s", raw)
	}
}

func FuzzVerifyOpening(f *testing.F) {
	h, _ := north(f)
	f.Add(signOpening(f, opening(), h.Officers[0], h.Officers[1]))
	f.Add(signOpening(f, opening(), h.Officers[0]))
	f.Add([]byte{0xa2, 1, 0x40, 2, 0x80})
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, signers, err := trust.VerifyOpening(h.OfficerKeys(), raw, now)
		if err != nil {
			if trust.Reason(err) == "other" {
				t.Fatalf("no reason: %v", err)
			}
			return
		}
		if len(signers) < 2 || o.Count == 0 || o.Count > trust.MaxSample {
			t.Fatalf("believed: %+v by %v", o, signers)
		}
	})
}
