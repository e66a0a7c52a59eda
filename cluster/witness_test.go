package cluster

import (
	"testing"
	"time"
)

// TestWhichCheckpointIsShown: the witnessed one, while it is not much older than the newest.
func TestWhichCheckpointIsShown(t *testing.T) {
	at := time.Unix(1780000000, 0)
	newest := &published{note: []byte("newest"), size: 9, fresh: at}
	for _, c := range []struct {
		name string
		w    *witnessed
		want string
	}{
		{"none was witnessed", nil, "newest"},
		{"the same", &witnessed{note: []byte("witnessed"), size: 9, fresh: at}, "witnessed"},
		{"a shorter one of a moment ago", &witnessed{note: []byte("witnessed"), size: 7, fresh: at.Add(-witnessPatience)}, "witnessed"},
		{"witnesses are away for longer", &witnessed{note: []byte("witnessed"), size: 9, fresh: at.Add(-witnessPatience - time.Second)}, "newest"},
		{"a longer one than this node has", &witnessed{note: []byte("witnessed"), size: 10, fresh: at}, "newest"},
	} {
		n := &Node{}
		n.pub.Store(newest)
		n.seen.Store(c.w)
		if got := string(n.Checkpoint()); got != c.want {
			t.Errorf("%s: %s is shown, want %s", c.name, got, c.want)
		}
	}
	if n := new(Node); n.Checkpoint() != nil {
		t.Error("a checkpoint before the first")
	}
}
