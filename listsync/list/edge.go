package list

import "github.com/cordon-project/cordon/resolver/match"

// Edge is an edge list. Lookups read it, so it lives in resolver/match.
type Edge = match.Edge

// OpenEdgeHead is match.OpenEdgeHead: it checks the head of b and the sizes in it.
func OpenEdgeHead(b []byte) (*Edge, error) { return match.OpenEdgeHead(b) }

// OpenEdge is match.OpenEdge: it checks b from the first byte to the last.
func OpenEdge(b []byte) (*Edge, error) { return match.OpenEdge(b) }
