package command_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/listsync/publiclog"
)

// samples are the commands whose bytes COMMAND.md gives.
func samples() []struct {
	name string
	c    command.Command
} {
	bytes32 := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	return []struct {
		name string
		c    command.Command
	}{
		{"tick", command.Command{Time: 1767225600, Body: command.Tick{}}},
		{"publish", command.Command{Time: 1767225601, Body: command.Publish{
			Metadata: []byte{1, 2, 3}, List: "hotline-one/main",
			Verdicts: []audit.SignedVerdict{{Body: []byte{4, 5}, Sig: []byte{6}}},
		}}},
		{"withdraw", command.Command{Time: 1767225602, Body: command.Withdraw{Statement: []byte{7, 8}}}},
		{"member", command.Command{Time: 1767225603, Body: command.Member{
			Action: "add", Role: "edge", Name: "edge-1", Key: bytes32(9), Recipient: "age1qqqq", By: "control-1",
		}}},
		{"reject", command.Command{Time: 1767225604, Body: command.Reject{
			Hotline: "hotline-one", List: "hotline-one/main", Seq: 5, Object: bytes32(10), Stage: "stage",
			Reason: "never_block", Detail: "a sentence", Node: "control-2",
		}}},
		{"receipts", command.Command{Time: 1767225605, Body: command.Receipts{
			Items: []audit.SignedReceipt{{Body: []byte{11}, Sig: []byte{12, 13}}},
		}}},
		{"hold", command.Command{Time: 1767225607, Body: command.Hold{
			Hotline: "hotline-one", List: "hotline-one/main", Seq: 5, Edge: bytes32(16), Metadata: bytes32(17), Brake: "never_block",
			Node: "control-1", Verdicts: []audit.SignedVerdict{{Body: []byte{18}, Sig: []byte{19}}},
		}}},
		{"policy", command.Command{Time: 1767225608, Body: command.Order{As: command.KindPolicy, Statement: []byte{20}}}},
		{"approve", command.Command{Time: 1767225609, Body: command.Order{As: command.KindApprove, Statement: []byte{21}}}},
		{"suppress", command.Command{Time: 1767225610, Body: command.Order{As: command.KindSuppress, Statement: []byte{22}}}},
		{"bypass", command.Command{Time: 1767225611, Body: command.Order{As: command.KindBypass, Statement: []byte{23}}}},
		{"exempt", command.Command{Time: 1767225618, Body: command.Order{As: command.KindExempt, Statement: []byte{30}}}},
		{"return", command.Command{Time: 1767225612, Body: command.Return{
			Statement: []byte{24}, Verdicts: []audit.SignedReturnVerdict{{Body: []byte{25}, Sig: []byte{26}}},
		}}},
		{"admin", command.Command{Time: 1767225613, Body: command.Admin{Act: "appeal", By: "ops", Node: "control-1", D: []byte{27}}}},
		{"certificate", command.Command{Time: 1767225614, Body: command.Order{As: command.KindCertificate, Statement: []byte{28}}}},
		{"open", command.Command{Time: 1767225615, Body: command.Open{Statement: []byte{27, 28}}}},
		{"fork", command.Command{Time: 1767225617, Body: command.Fork{
			Hotline: "hotline", Log: "key", First: []byte("one"), Second: []byte("two"), Node: "control-1",
		}}},
		{"pin", command.Command{Time: 1767225616, Body: command.Order{As: command.KindPin, Statement: []byte{29}}}},
		{"checkpoint_assert", command.Command{Time: 1767225606, Body: command.Assert{
			Size: 14, Root: bytes32(15), Checkpoint: []byte("note\n"),
		}}},
	}
}

var vector = regexp.MustCompile("(?s)### ([a-z_]+)\n.*?```hex\n(.*?)```")

func TestTheDocumentsVectorsAreWhatTheCodeWrites(t *testing.T) {
	doc, err := os.ReadFile("COMMAND.md")
	if err != nil {
		t.Fatal(err)
	}
	vectors := map[string]string{}
	for _, m := range vector.FindAllSubmatch(doc, -1) {
		vectors[string(m[1])] = strings.Join(strings.Fields(string(m[2])), "")
	}
	for _, s := range samples() {
		got, err := command.Encode(s.c)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if hex.EncodeToString(got) != vectors[s.name] {
			t.Errorf("%s:\n got %x\nwant %s", s.name, got, vectors[s.name])
		}
		back, err := command.Decode(got)
		if err != nil {
			t.Fatalf("%s: decode: %v", s.name, err)
		}
		again, err := command.Encode(back)
		if err != nil || !bytes.Equal(again, got) {
			t.Errorf("%s: decoded and encoded again: %x (%v), want %x", s.name, again, err, got)
		}
	}
	if len(vectors) != len(samples())+1 {
		t.Errorf("%d vectors in the document, want %d and one of a reserved kind", len(vectors), len(samples()))
	}
	raw, err := hex.DecodeString(vectors["feature"])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := command.Decode(raw); !errors.Is(err, command.ErrUnknown) {
		t.Errorf("the reserved kind's vector: %v, want ErrUnknown", err)
	}
}

func TestOnlyTheOneEncodingIsACommand(t *testing.T) {
	good, err := command.Encode(samples()[0].c)
	if err != nil {
		t.Fatal(err)
	}
	core, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	det := func(v any) []byte {
		b, err := core.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	type m = map[string]any
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"empty", nil, command.ErrFormat},
		{"not cbor", []byte("hello"), command.ErrFormat},
		{"trailing byte", append(bytes.Clone(good), 0), command.ErrFormat},
		{"cut short", good[:len(good)-1], command.ErrFormat},
		{"another order of keys", []byte("\xa4\x61v\x01\x61t\x00\x61k\x64tick\x61b\xa0"), command.ErrFormat},
		{"a number written long", bytes.Replace(det(m{"v": 1, "k": "tick", "t": 5, "b": m{}}), []byte{0x61, 't', 5}, []byte{0x61, 't', 0x18, 5}, 1), command.ErrFormat},
		{"a key twice", []byte("\xa5\x61b\xa0\x61k\x64tick\x61t\x00\x61t\x00\x61v\x01"), command.ErrFormat},
		{"a key of another case", det(m{"V": 1, "k": "tick", "t": 0, "b": m{}}), command.ErrUnknown},
		{"an unknown key", det(m{"v": 1, "k": "tick", "t": 0, "b": m{}, "x": 1}), command.ErrFormat},
		{"an unknown key in the body", det(m{"v": 1, "k": "tick", "t": 0, "b": m{"x": 1}}), command.ErrFormat},
		{"a negative time", det(m{"v": 1, "k": "tick", "t": -1, "b": m{}}), command.ErrFormat},
		{"a time beyond all clocks", det(m{"v": 1, "k": "tick", "t": int64(1) << 40, "b": m{}}), command.ErrFormat},
		{"the next version", det(m{"v": 2, "k": "tick", "t": 0, "b": m{}}), command.ErrUnknown},
		{"the next version with other fields", det(m{"v": 2, "k": "tick", "at": "noon", "z": []int{1}}), command.ErrUnknown},
		{"an unknown kind", det(m{"v": 1, "k": "unblock", "t": 0, "b": m{}}), command.ErrUnknown},
		{"a reserved kind", det(m{"v": 1, "k": "feature", "t": 0, "b": m{}}), command.ErrUnknown},
		{"no body", det(m{"v": 1, "k": "publish", "t": 0, "b": m{}}), command.ErrFormat},
		{"null for a list", det(m{"v": 1, "k": "receipts", "t": 0, "b": m{"items": nil}}), command.ErrFormat},
		{"an indefinite length", []byte("\xbf\x61b\xa0\x61k\x64tick\x61t\x00\x61v\x01\xff"), command.ErrFormat},
		{"a tag", append([]byte{0xd8, 0x2a}, good...), command.ErrFormat},
		{"too large", make([]byte, command.MaxSize+1), command.ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := command.Decode(c.b); !errors.Is(err, c.want) {
				t.Errorf("decode: %+v, %v; want %v", got, err, c.want)
			}
		})
	}
}

func TestWhatCannotBeReadIsNotWritten(t *testing.T) {
	for _, c := range []struct {
		name string
		c    command.Command
		want error
	}{
		{"no body", command.Command{}, command.ErrFormat},
		{"more than 64 KiB", command.Command{Body: command.Withdraw{Statement: make([]byte, command.MaxSize)}}, command.ErrTooLarge},
		{"a line break in a detail", command.Command{Body: command.Reject{Object: make([]byte, 32), Reason: "x", Detail: "a\nb"}}, command.ErrFormat},
		{"a key of 31 bytes", command.Command{Body: command.Member{Key: make([]byte, 31)}}, command.ErrFormat},
		{"an order of no kind", command.Command{Body: command.Order{As: "tick", Statement: []byte{1}}}, command.ErrFormat},
		{"an order without a statement", command.Command{Body: command.Order{As: command.KindPolicy}}, command.ErrFormat},
		{"an act that says nothing", command.Command{Body: command.Admin{Act: "appeal", By: "ops", Node: "control-1"}}, command.ErrFormat},
		{"a hold without a brake", command.Command{Body: command.Hold{Edge: make([]byte, 32), Metadata: make([]byte, 32)}}, command.ErrFormat},
		{"a public proof over its bound", command.Command{Body: command.Publish{Metadata: []byte{1}, PublicProof: make([]byte, publiclog.MaxProof+1)}}, command.ErrFormat},
	} {
		t.Run(c.name, func(t *testing.T) {
			if b, err := command.Encode(c.c); !errors.Is(err, c.want) {
				t.Errorf("encode: %x, %v; want %v", b, err, c.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range samples() {
		b, err := command.Encode(s.c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("\xa4\x61b\xa0\x61k\x67feature\x61t\x01\x61v\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := command.Decode(b)
		if err != nil {
			if !errors.Is(err, command.ErrFormat) && !errors.Is(err, command.ErrUnknown) && !errors.Is(err, command.ErrTooLarge) {
				t.Fatalf("decode %x: %v, want one of the sentinels", b, err)
			}
			return
		}
		again, err := command.Encode(c)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("decode %x, encode: %x (%v)", b, again, err)
		}
	})
}
