package trust_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/fxamacker/cbor/v2"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/canon"
)

func sample() trust.Sample {
	return trust.Sample{V: 1, List: mainID, Seq: 41, Epoch: 7, Edge: [32]byte{1}, Request: [32]byte{2}, Match: [32]byte{3}, Shown: []trust.Shown{
		{Record: 4, Kind: canon.KindHost, Expression: "secret-one.test", Salt: [32]byte{5}},
		{Record: 9, Kind: canon.KindURL, Expression: "secret-two.test/page", Salt: [32]byte{6}},
	}}
}

func identity(t testing.TB) (string, string) {
	t.Helper()
	id, recipient, err := trust.NewSampleIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id, recipient
}

func TestOnlyTheReviewerReadsASample(t *testing.T) {
	id, recipient := identity(t)
	other, _ := identity(t)
	sealed, err := trust.SealSample(sample(), recipient)
	if err != nil {
		t.Fatal(err)
	}
	got, err := trust.OpenSample(sealed, strings.NewReader("# a comment\n"+id+"\n"))
	if err != nil || !reflect.DeepEqual(got, sample()) {
		t.Errorf("got %+v, %v", got.Shown, err)
	}
	for name, c := range map[string]struct {
		sealed []byte
		key    string
	}{
		"another key": {sealed, other}, "no key": {sealed, ""}, "cut off": {sealed[:len(sealed)-1], id}, "nothing": {nil, id},
		"altered": {append(bytes.Clone(sealed[:len(sealed)-1]), sealed[len(sealed)-1]^1), id},
	} {
		_, err := trust.OpenSample(c.sealed, strings.NewReader(c.key))
		wantReason(t, err, "format")
		if strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %s", got, got, got, got); strings.Contains(text, "secret") {
		t.Errorf("printed: %s", text)
	}
}

func TestASampleOutOfOrderIsNotSealed(t *testing.T) {
	_, recipient := identity(t)
	for name, change := range map[string]func(*trust.Sample){
		"nothing shown":   func(s *trust.Sample) { s.Shown = nil },
		"a record twice":  func(s *trust.Sample) { s.Shown[1].Record = 4 },
		"descending":      func(s *trust.Sample) { s.Shown[1].Record = 3 },
		"a steer record":  func(s *trust.Sample) { s.Shown[0].Kind = canon.KindSteer },
		"no text":         func(s *trust.Sample) { s.Shown[0].Expression = "" },
		"a text too long": func(s *trust.Sample) { s.Shown[0].Expression = strings.Repeat("a", canon.MaxLength+1) },
		"no list":         func(s *trust.Sample) { s.List = "" },
	} {
		s := sample()
		change(&s)
		if _, err := trust.SealSample(s, recipient); err == nil {
			t.Errorf("%s: sealed", name)
		}
	}
	if _, err := trust.SealSample(sample(), "age1nobody"); err == nil {
		t.Error("sealed to nobody")
	}
}

// FuzzOpenSample seals arbitrary bytes to the reviewer, as anybody can: what opens is in bounds and in order.
func FuzzOpenSample(f *testing.F) {
	id, recipient := identity(f)
	to, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		f.Fatal(err)
	}
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		f.Fatal(err)
	}
	good, err := mode.Marshal(sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, plain []byte) {
		var b bytes.Buffer
		w, err := age.Encrypt(&b, to)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(plain)
		w.Close()
		s, err := trust.OpenSample(b.Bytes(), strings.NewReader(id))
		if err != nil {
			return
		}
		if len(s.Shown) == 0 || len(s.Shown) > trust.MaxSample || s.Seq == 0 {
			t.Fatalf("opened %v", s)
		}
		if again, err := mode.Marshal(s); err != nil || !bytes.Equal(again, plain) {
			t.Fatal("another encoding was read")
		}
	})
}
