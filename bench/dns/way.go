package dns

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
		at, _, err := lastLine(b.home("isp", node, "output"), "list agreed")
		if err != nil {
			return w, err
		}
		if at.After(w.Agreed) { // one of them proposes, and says so
			w.Agreed = at
		}
	}
	at, line, err := lastLine(filepath.Join(b.Dir, "inst", b.instance(), "out"), "lists active")
	if err != nil {
		return w, err
	}
	w.Active = at
	if w.Took, err = time.ParseDuration(field(line, "took")); err != nil {
		return w, fmt.Errorf("edge does not say how long the change took: %w", err)
	}
	if w.Agreed.Before(w.Published) || w.Active.Before(w.Agreed) {
		return w, fmt.Errorf("published %v, agreed %v, active %v: not in this order", w.Published, w.Agreed, w.Active)
	}
	return w, nil
}

// lastLine is the last line of a log with a message, and its time: zero when there is none.
func lastLine(path, message string) (at time.Time, line string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return at, "", err
	}
	for l := range strings.Lines(string(text)) {
		if strings.Contains(l, `msg="`+message+`"`) {
			line = strings.TrimSpace(l)
		}
	}
	if line == "" {
		return at, "", nil
	}
	at, err = time.Parse(time.RFC3339Nano, field(line, "time"))
	return at, line, err
}

// field is the value of a key of a line, up to the next space.
func field(line, key string) string {
	_, rest, _ := strings.Cut(" "+line, " "+key+"=")
	value, _, _ := strings.Cut(rest, " ")
	return value
}

// String is a sentence for the page.
func (w Way) String() string {
	return fmt.Sprintf("From the hotline's publish to the control nodes' agreement %.2f s (they look every second, fetch, verify, check and vote, all three on the load's core); from there to the edge's first answer %.2f s, of which it took %d ms "+
		"itself: from the manifest over the delta, the list, its index and the self-test to the swap.", w.Agreed.Sub(w.Published).Seconds(), w.Active.Sub(w.Agreed).Seconds(), w.Took.Milliseconds())
}
