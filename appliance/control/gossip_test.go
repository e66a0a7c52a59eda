package control

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/listsync/witness"
)

// Another operator's node may show what it likes: it costs so many looks and one sentence.
func TestAPeerThatShowsNonsenseGetsOneSentence(t *testing.T) {
	note := func(origin string, n int) []byte {
		return fmt.Appendf(nil, "%s\n%d\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u2014 %s AAAAAAAAAAAA\n", origin, n, origin)
	}
	var flood [][]byte
	for i := range maxShown {
		flood = append(flood, note("log.example/one", i+1))
	}
	known := func(origin string) (witness.Log, bool) { return witness.Log{}, origin == "log.example/one" }
	adds := 0
	refuse := func(witness.Log, []byte) error { adds++; return errors.New("signature is wrong") }
	for _, x := range []struct {
		name  string
		notes [][]byte
		adds  int
		says  string
	}{
		{"nothing", nil, 0, ""},
		{"a log that nobody here knows", [][]byte{note("log.example/two", 1)}, 0, ""},
		{"no note", [][]byte{[]byte("\x1b[2J")}, 0, ""},
		{"a bad one", flood[:1], 1, "1 of the checkpoints it shows cannot be taken, the first: signature is wrong"},
		{"many of one log", flood, maxShownOfOne, fmt.Sprintf("%d of the checkpoints", maxShownOfOne)},
		{"too many", append(flood, flood[0]), 0, "at most"},
	} {
		adds = 0
		err := compare(x.notes, known, refuse)
		if adds != x.adds || (err == nil) != (x.says == "") || err != nil && !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %d looked at, %v, want %d, %q", x.name, adds, err, x.adds, x.says)
		}
	}
}
