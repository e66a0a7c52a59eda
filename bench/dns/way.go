package dns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cordon-project/cordon/bench/operator"
)

// Way is when a change of Cordon's list was where, by the clock of the one machine.
type Way struct {
	Published time.Time     // by the hotline
	Agreed    time.Time     // by the control nodes
	Active    time.Time     // on the edge
	Took      time.Duration // on the edge, from the manifest that named it to answers from it
}

// readWay finds the last change in what the programs wrote.
func (b *bench) readWay() (w Way, err error) {
	text, err := os.ReadFile(operator.Published(b.home()))
	if err != nil {
		return w, err
	}
	if w.Published, err = time.Parse(time.RFC3339Nano, string(text)); err != nil {
		return w, err
	}
	for _, node := range []string{"c1", "c2", "c3"} {
		lines, err := operator.Said(b.home("isp", node, "output"), "list agreed")
		if err != nil {
			return w, err
		}
		if n := len(lines); n > 0 && lines[n-1].At.After(w.Agreed) { // one of them proposes, and says so
			w.Agreed = lines[n-1].At
		}
	}
	changes, err := operator.Changes(filepath.Join(b.Dir, "inst", b.instance(), "out"))
	if err != nil {
		return w, err
	}
	if len(changes) == 0 {
		return w, errors.New("edge tells of no change")
	}
	last := changes[len(changes)-1]
	w.Active, w.Took = last.Active, last.Took
	if w.Agreed.Before(w.Published) || w.Active.Before(w.Agreed) {
		return w, fmt.Errorf("published %v, agreed %v, active %v: not in this order", w.Published, w.Agreed, w.Active)
	}
	return w, nil
}

// String is a sentence for the page.
func (w Way) String() string {
	return fmt.Sprintf("From the hotline's publish to the control nodes' agreement %.2f s (they look every second, fetch, verify, check and vote, all three on the load's core); from there to the edge's first answer %.2f s, of which it took %d ms "+
		"itself: from the manifest over the delta, the list, its index and the self-test to the swap.", w.Agreed.Sub(w.Published).Seconds(), w.Active.Sub(w.Agreed).Seconds(), w.Took.Milliseconds())
}
