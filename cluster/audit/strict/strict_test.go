package strict

import (
	"encoding/hex"
	"testing"
)

func TestOnlyThePlainFormIsRead(t *testing.T) {
	type pair struct {
		A uint64   `cbor:"a"`
		B []uint64 `cbor:"b"`
	}
	dec := Decoding(Options(16, 16))
	if got := hex.EncodeToString(must(Encoding.Marshal(pair{A: 1}))); got != "a26161016162"+"80" {
		t.Errorf("an empty slice is written as %s", got)
	}
	for name, text := range map[string]string{
		"plain":             "a2616101616280",
		"duplicate key":     "a3616101616102616280",
		"unknown key":       "a3616101616280616300",
		"folded key":        "a2614101616280",
		"tag":               "a26161c101616280",
		"indefinite length": "bf616101616280ff",
		"too many elements": "a261610161629101010101010101010101010101010101" + "01",
		"trailing byte":     "a261610161628000",
	} {
		var p pair
		err := dec.Unmarshal(must(hex.DecodeString(text)), &p)
		if (err == nil) != (name == "plain") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
