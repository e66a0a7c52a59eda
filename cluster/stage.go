package cluster

import (
	"context"
	"io"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// StageRequest asks a member to fetch one list of a hotline's metadata and to
// say, over its signature, whether it may come into force.
type StageRequest struct {
	From     string       // member that asks and holds the files
	List     match.ListID // list to stage
	Metadata []byte       // trust.Metadata, encoded
}

// FetchFrom opens one file of a list, wherever the caller can get it; the
// node bounds and verifies what it reads and closes it.
type FetchFrom func(ctx context.Context, file trust.File) (io.ReadCloser, error)
