// Package transport carries Raft between control nodes: one TCP port, TLS 1.3
// with certificates on both sides, and nobody on it but the members of this
// cluster. What comes in is a connection from anywhere; what goes out is a
// raft.Transport whose every peer has proved that it is a named control node.
//
// Raft knows its servers by member name only. The name is both the server id
// and the server address in Raft's configuration, so that all members
// bootstrap with equal bytes whatever addresses they use today; the layer
// resolves a name to an address when it dials, and refuses a peer that answers
// there under another name.
package transport
