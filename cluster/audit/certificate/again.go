package certificate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
)

const (
	// MaxMade bounds the work on one log: each certificate is made from the log's beginning, and an operator makes four a year.
	MaxMade = 100
	// inMemory is how many bytes of leaves are kept in memory; a longer log goes to a temporary file.
	inMemory = 16 << 20
)

// Again makes the certificates of a log again while the log is verified: an audit.Certifier. It is not for concurrent use; Close it.
type Again struct {
	mem  []byte // leaves, each behind its length in 16 bits
	keep int    // how long mem may become
	file *os.File
	w    *bufio.Writer // to file
	last []said        // the newest certificates, at most MaxMade
	n    int           // of them all
}

// said is a certificate in the log.
type said struct {
	leaf  uint64
	order audit.Ordered
}

// NewAgain begins with no leaf.
func NewAgain() *Again { return &Again{keep: inMemory} }

// Close drops the leaves, and the file if there is one.
func (a *Again) Close() error {
	a.mem = nil
	if a.file == nil {
		return nil
	}
	err := errors.Join(a.file.Close(), os.Remove(a.file.Name()))
	a.file = nil
	return err
}

// Leaf implements audit.Certifier.
func (a *Again) Leaf(raw []byte) error {
	if len(raw) > audit.MaxLeaf {
		return nil // no leaf: the verification says so
	}
	if bytes.Contains(raw, []byte(audit.KindCertificate)) {
		a.certificate(raw)
	}
	a.mem = append(binary.BigEndian.AppendUint16(a.mem, uint16(len(raw))), raw...)
	if len(a.mem) <= a.keep {
		return nil
	}
	if a.file == nil {
		f, err := os.CreateTemp("", "cordon-audit-leaves-*")
		if err != nil {
			return err
		}
		a.file, a.w = f, bufio.NewWriterSize(f, 1<<16)
	}
	_, err := a.w.Write(a.mem)
	a.mem, a.keep = a.mem[:0], 1<<16
	return err
}

func (a *Again) certificate(raw []byte) {
	l, err := audit.DecodeLeaf(raw)
	if err != nil || l.K != audit.KindCertificate {
		return
	}
	body, err := l.Body()
	if err != nil {
		return
	}
	if o, ok := body.(audit.Ordered); ok {
		if a.n++; len(a.last) == MaxMade {
			a.last = a.last[1:]
		}
		a.last = append(a.last, said{l.N, o})
	}
}

// Make implements audit.Certifier.
func (a *Again) Make(ctx context.Context, c audit.Cluster) (made int, causes []string, err error) {
	if a.file != nil {
		if err := a.w.Flush(); err != nil {
			return 0, nil, err
		}
	}
	if n := a.n - len(a.last); n > 0 {
		causes = append(causes, fmt.Sprintf("%d certificates are in this log, and only the last %d are made again", a.n, len(a.last)))
	}
	for _, s := range a.last {
		var broken error
		_, err := Yields(c, a.leaves(ctx, &broken), s.order.Order.Body.(order.Certificate))
		if broken != nil {
			return made, nil, broken
		}
		if err != nil {
			causes = append(causes, fmt.Sprintf("leaf %d, certificate %d: %v", s.leaf, s.order.Number, err))
			continue
		}
		made++
	}
	return made, causes, nil
}

// leaves reads all leaves from the first one; broken is why it ended early, if it did.
func (a *Again) leaves(ctx context.Context, broken *error) iter.Seq[audit.Leaf] {
	return func(yield func(audit.Leaf) bool) {
		var r io.Reader = bytes.NewReader(a.mem)
		if a.file != nil {
			r = io.MultiReader(io.NewSectionReader(a.file, 0, 1<<62), r)
		}
		for b := bufio.NewReaderSize(r, 1<<16); ; {
			var n [2]byte
			_, err := io.ReadFull(b, n[:])
			if errors.Is(err, io.EOF) {
				return
			}
			raw := make([]byte, binary.BigEndian.Uint16(n[:]))
			if err == nil {
				_, err = io.ReadFull(b, raw)
			}
			if err == nil {
				err = ctx.Err()
			}
			var l audit.Leaf
			if err == nil {
				l, err = audit.DecodeLeaf(raw)
			}
			if err != nil {
				*broken = fmt.Errorf("read leaves again: %v", err)
				return
			}
			if !yield(l) {
				return
			}
		}
	}
}
