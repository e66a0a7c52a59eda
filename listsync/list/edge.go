package list

import "github.com/cordon-project/cordon/resolver/match"

// Edge is an edge list. Lookups read it, so it lives in resolver/match.
type Edge = match.Edge

// OpenEdge is match.OpenEdge: it checks b from the first byte to the last.
func OpenEdge(b []byte) (*Edge, error) { return match.OpenEdge(b) }
