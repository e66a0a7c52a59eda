package edge

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/resolver/match"
)

// An index lies on disk beside its list, so that a restart need not compute it again. It is taken for one thing only, the index that the log
// names: its hash is in the list's publish leaf, which a quorum of control nodes cosigned and every auditor can recompute, and all of the file
// is hashed before it is used. A damaged file, or another one put in its place, is no index, and costs the time to compute it.
//
// It is written when its list has passed all checks here. So a list whose index lies here need only be shown to have the same bytes still.

func (s *shelf) indexPath(edge [32]byte) string {
	return s.dir.Join("indexes", hex.EncodeToString(edge[:]))
}

// keptIndex is the index of an edge list that lies on disk, or nil. It is read and not mapped: every lookup asks it, and none may wait for the disk.
func (s *shelf) keptIndex(file [32]byte, edge *match.Edge, want [32]byte) *match.Index {
	f, err := os.Open(s.indexPath(file))
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() != match.IndexSize(edge) {
		return nil
	}
	b := make([]byte, info.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil
	}
	index, err := match.Open(b)
	if err != nil || index.Hash() != want || index.EdgeHash() != edge.Hash() {
		return nil
	}
	return index
}

// keepIndex puts the index of a verified list on disk. It must not fail a list that is good.
func (s *shelf) keepIndex(ctx context.Context, l *sharedList) {
	err := fmt.Errorf("it is not the index that the log names, %x", l.named[:8])
	if l.index.Hash() == l.named {
		err = renameio.WriteFile(s.indexPath(l.file), l.index.Bytes(), 0o600)
	}
	if err != nil {
		s.log.ErrorContext(ctx, "index not kept: a restart takes longer", slog.Any("list", l.edge.Version().List), slog.Any("error", err))
	}
}
