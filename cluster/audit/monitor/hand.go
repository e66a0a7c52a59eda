package monitor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/witness"
)

// Hand is a witness's hand that signs only checkpoints of the log that this monitor has verified in full: ErrNotYet for any other.
type Hand struct {
	witness.Cosigner
	m *Monitor
}

// Hand binds a witness's hand to what is verified here. It may be used while the monitor runs.
func (m *Monitor) Hand(of witness.Cosigner) Hand { return Hand{of, m} }

// Cosign signs the text of a checkpoint that was verified.
func (h Hand) Cosign(text string, at time.Time) ([]byte, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 3 {
		return nil, fmt.Errorf("cosign: %w", witness.ErrFormat)
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil {
		return nil, fmt.Errorf("cosign: %w", witness.ErrFormat)
	}
	h.m.mu.Lock()
	roots := h.m.roots
	h.m.mu.Unlock()
	root, known := roots.At(size)
	if !known {
		return nil, fmt.Errorf("cosign size %d, %d leaves were verified so far: %w", size, roots.Size(), witness.ErrNotYet)
	}
	if want := h.m.text(size, root); text != want {
		return nil, fmt.Errorf("cosign size %d: it is not the log that was verified: %w", size, witness.ErrProof)
	}
	return h.Cosigner.Cosign(text, at)
}

// Log is the log that is watched, as a witness knows it.
func (m *Monitor) Log() (witness.Log, error) {
	var keys []witness.Key
	for _, member := range m.quorum.Members {
		k, err := witness.LogKey(m.quorum.Origin, member.Key)
		if err != nil {
			return witness.Log{}, err
		}
		keys = append(keys, k)
	}
	return witness.NewLog(keys...)
}

func (m *Monitor) text(size uint64, root [32]byte) string {
	return audit.Checkpoint{Origin: m.quorum.Origin, Size: size, Root: root}.Text()
}
