package trust_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

var update = flag.Bool("update", false, "write testdata/golden.json anew (wrapped keys get new bytes)")

const goldenFile = "testdata/golden.json"

// golden is testdata/golden.json, which KEYS.md describes: what another implementation must read the same way. Files of metadata are
// text, binary values hexadecimal.
type golden struct {
	Note         string            `json:"note"`
	Seed         string            `json:"seed"`
	Now          time.Time         `json:"now"`
	CanonID      string            `json:"canon_id"`
	Pinned       string            `json:"pinned_root"`
	Files        map[string]string `json:"metadata"`
	Encoded      string            `json:"metadata_cbor"`
	Hash         string            `json:"metadata_hash"`
	Officers     []string          `json:"officers"` // key ids
	EntriesRoot  string            `json:"entries_root"`
	Withdrawal   string            `json:"withdrawal"`
	Body         string            `json:"withdrawal_body"`
	Signers      []string          `json:"withdrawal_signers"`
	Identity     string            `json:"age_identity"`
	WrappedKeys  string            `json:"wrapped_keys"`
	WrappedPlain string            `json:"wrapped_keys_plain"`
}

// goldenStory is what the golden file tells: a root rotated once, two lists, one withdrawal by two officers.
func goldenStory() (h *trusttest.Hotline, m trust.Metadata, withdrawal []byte) {
	h = trusttest.New("golden", "north", now)
	h.RotateRoot(now)
	m = h.Publish(now, trusttest.Files(mainID, 41), trusttest.Files(sideID, 2))
	withdrawal = h.Withdraw(trust.Withdrawal{
		List: mainID, Entries: []match.EntryID{{1, 2, 3}, {15: 9}}, SeqFrom: 40, SeqTo: 41, Number: 3,
		Issued: now.Unix(), Expires: now.Add(24 * time.Hour).Unix(), Reason: "content_gone",
	}, 0, 2)
	return h, m, withdrawal
}

func writeGolden(t *testing.T) {
	h, m, withdrawal := goldenStory()
	encoded, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := trust.WrapKeys(epochKeys(), id.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	_, signers, err := trust.VerifyWithdrawal(h.OfficerKeys(), withdrawal, now)
	if err != nil {
		t.Fatal(err)
	}
	hash, canonID, root := m.Hash(), canon.ID(), trusttest.Files(mainID, 41).Target.EntriesRoot
	g := golden{
		Note: "Throw-away keys from a seed; names under .test. Described in KEYS.md; written by go test -run Golden -update.",
		Seed: "golden", Now: now, CanonID: hex.EncodeToString(canonID[:]), Pinned: string(h.Pinned),
		Files: map[string]string{
			"2.root.json": string(m.Roots[0]), "timestamp.json": string(m.Timestamp), "1.snapshot.json": string(m.Snapshot),
			"1.targets.json": string(m.Targets), "1.csam-north.json": string(m.List), "charter.json": string(m.Charter),
		},
		Encoded: hex.EncodeToString(encoded), Hash: hex.EncodeToString(hash[:]), EntriesRoot: hex.EncodeToString(root[:]),
		Withdrawal: hex.EncodeToString(withdrawal), Body: hex.EncodeToString(trust.WithdrawalBody(withdrawal)), Signers: signers,
		Identity: id.String(), WrappedKeys: hex.EncodeToString(wrapped), WrappedPlain: hex.EncodeToString(trust.PlainKeys(epochKeys())),
	}
	for _, o := range h.OfficerKeys().Keys {
		g.Officers = append(g.Officers, o.ID)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(g); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(goldenFile, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readGolden(t *testing.T) golden {
	t.Helper()
	if *update {
		writeGolden(t)
	}
	b, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenMetadataIsStillTrusted(t *testing.T) {
	g := readGolden(t)
	m := trust.Metadata{
		Roots: [][]byte{[]byte(g.Files["2.root.json"])}, Timestamp: []byte(g.Files["timestamp.json"]), Snapshot: []byte(g.Files["1.snapshot.json"]),
		Targets: []byte(g.Files["1.targets.json"]), List: []byte(g.Files["1.csam-north.json"]), Charter: []byte(g.Files["charter.json"]),
	}
	encoded, err := m.Encode()
	if err != nil || !bytes.Equal(encoded, unhex(t, g.Encoded)) {
		t.Errorf("encoded: got %x, %v\nwant %s", encoded, err, g.Encoded)
	}
	if hash := m.Hash(); hex.EncodeToString(hash[:]) != g.Hash || sha256.Sum256(encoded) != hash {
		t.Errorf("hash: got %x, want %s", hash, g.Hash)
	}
	v, err := trust.Verify([]byte(g.Pinned), trust.HighWater{}, m, g.Now)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, k := range v.Officers.Keys {
		ids = append(ids, k.ID)
	}
	if !slices.Equal(ids, g.Officers) {
		t.Errorf("officers: got %v, want %v", ids, g.Officers)
	}
	if v.High.Root != 2 || len(v.Lists) != 2 || v.Lists[0].Seq != 41 || hex.EncodeToString(v.Lists[0].EntriesRoot[:]) != g.EntriesRoot {
		t.Errorf("got %+v", v)
	}
}

// The same seed makes the same bytes today as when the file was written.
func TestGoldenBytesAreMadeAgain(t *testing.T) {
	g := readGolden(t)
	if id := canon.ID(); hex.EncodeToString(id[:]) != g.CanonID {
		t.Log("the canonicalisation rules have changed since: what they are part of is not compared")
	} else {
		h, m, _ := goldenStory()
		b, err := m.Encode()
		if err != nil || !bytes.Equal(b, unhex(t, g.Encoded)) || string(h.Pinned) != g.Pinned {
			t.Errorf("metadata: got %x, %v\nwant %s", b, err, g.Encoded)
		}
	}
	_, _, withdrawal := goldenStory()
	if !bytes.Equal(withdrawal, unhex(t, g.Withdrawal)) {
		t.Errorf("withdrawal: got %x\nwant %s", withdrawal, g.Withdrawal)
	}
	if plain := trust.PlainKeys(epochKeys()); !bytes.Equal(plain, unhex(t, g.WrappedPlain)) {
		t.Errorf("keys: got %x\nwant %s", plain, g.WrappedPlain)
	}
}

func TestGoldenWithdrawalIsStillTrusted(t *testing.T) {
	g := readGolden(t)
	h, _, _ := goldenStory()
	w, signers, err := trust.VerifyWithdrawal(h.OfficerKeys(), unhex(t, g.Withdrawal), g.Now)
	if err != nil || !slices.Equal(signers, g.Signers) || w.Number != 3 || w.Entries[1] != (match.EntryID{1, 2, 3}) {
		t.Errorf("got %+v by %v, %v", w, signers, err)
	}
	if body := trust.WithdrawalBody(unhex(t, g.Withdrawal)); !bytes.Equal(body, unhex(t, g.Body)) {
		t.Errorf("body: got %x\nwant %s", body, g.Body)
	}
}

func TestGoldenKeysStillOpen(t *testing.T) {
	g := readGolden(t)
	id, err := age.ParseX25519Identity(g.Identity)
	if err != nil {
		t.Fatal(err)
	}
	k, err := trust.UnwrapKeys(unhex(t, g.WrappedKeys), id)
	if err != nil || !sameKeys(k, epochKeys()) {
		t.Errorf("got %v, %v", k, err)
	}
}

// KEYS.md quotes the golden file; what it quotes must be in there.
func TestKeysDocumentQuotesTheGoldenFile(t *testing.T) {
	g := readGolden(t)
	doc, err := os.ReadFile("KEYS.md")
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]string{
		"metadata hash": g.Hash, "first officer": g.Officers[0], "withdrawal body": g.Body, "wrapped plain text": g.WrappedPlain,
	} {
		if !strings.Contains(strings.ReplaceAll(string(doc), "\n", ""), want) {
			t.Errorf("%s: KEYS.md does not have %s", what, want)
		}
	}
	for word := range trust.Sentinels() {
		if !strings.Contains(string(doc), "`"+word+"`") {
			t.Errorf("KEYS.md does not name the reason %s", word)
		}
	}
}
