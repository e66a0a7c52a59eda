package probe

import (
	"context"
	"net"
	"testing"
)

// TestTimeThatIsOverBeforeAQuestionLeftIsNoAnswerInTime as well: connecting is a part of asking.
func TestTimeThatIsOverBeforeAQuestionLeftIsNoAnswerInTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for _, network := range []string{"udp", "tcp"} {
		_, err := new(net.Dialer).DialContext(ctx, network, "127.0.0.1:53")
		if got := why(err); got != "no answer in time" {
			t.Errorf("%s: got %q", network, got)
		}
	}
}
