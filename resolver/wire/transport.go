package wire

import "encoding/binary"

// Options of EDNS about the connection a message travels on: they concern the transport and not the answer, so a
// listener adds them behind what the resolver wrote.
const (
	optionKeepalive = 11 // RFC 7828
	optionPadding   = 12 // RFC 7830
)

// The sizes to a multiple of which messages are padded (RFC 8467 4.1).
const (
	PaddingBlock = 468 // answers
	QueryBlock   = 128 // queries
)

// Asked is what a query says about its connection. A query that Parse would refuse asks for nothing.
type Asked struct {
	Padding   bool // it carries padding, so the answer is padded
	Keepalive bool // it wants to know how long an idle connection stays open
}

// AskedBy looks at the OPT record of a query, which it does not change or keep. It does not allocate.
func AskedBy(query []byte) (a Asked) {
	start, end := findOPT(query)
	if start < 0 {
		return Asked{}
	}
	for b := query[start+optFixed : end]; len(b) >= optionFixed; {
		code, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if optionFixed+n > len(b) {
			return Asked{}
		}
		a.Padding = a.Padding || code == optionPadding
		a.Keepalive = a.Keepalive || code == optionKeepalive
		b = b[optionFixed+n:]
	}
	return a
}

// AppendKeepalive adds to the answer that begins at base how long an idle connection stays open, in tenths of a second.
// An answer without OPT stays as it is.
func AppendKeepalive(msg []byte, base int, tenths uint16) []byte {
	at := lastOPT(msg[base:])
	if at < 0 || len(msg)-base+optionFixed+2 > MaxMessage {
		return msg
	}
	grow(msg[base+at:], optionFixed+2)
	msg = binary.BigEndian.AppendUint16(msg, optionKeepalive)
	msg = binary.BigEndian.AppendUint16(msg, 2)
	return binary.BigEndian.AppendUint16(msg, tenths)
}

// AppendPadding fills the answer that begins at base up to a multiple of PaddingBlock. It must come last. An answer
// without OPT stays as it is, and so does one that would become longer than a message can be.
func AppendPadding(msg []byte, base int) []byte { return padTo(msg, base, PaddingBlock) }

// AppendQueryPadding does the same to a query of our own, with QueryBlock.
func AppendQueryPadding(msg []byte, base int) []byte { return padTo(msg, base, QueryBlock) }

func padTo(msg []byte, base, block int) []byte {
	at := lastOPT(msg[base:])
	n := len(msg) - base + optionFixed
	padded := (n + block - 1) / block * block
	if at < 0 || padded > MaxMessage {
		return msg
	}
	grow(msg[base+at:], optionFixed+padded-n)
	msg = binary.BigEndian.AppendUint16(msg, optionPadding)
	msg = binary.BigEndian.AppendUint16(msg, uint16(padded-n))
	for range padded - n {
		msg = append(msg, 0)
	}
	return msg
}

// grow makes the length of the OPT record at the start of b larger by n.
func grow(b []byte, n int) {
	length := b[optFixed-2:]
	binary.BigEndian.PutUint16(length, binary.BigEndian.Uint16(length)+uint16(n))
}

// findOPT is the offset of the first OPT record of a whole message and of the byte behind it, or -1.
func findOPT(msg []byte) (start, end int) {
	if len(msg) < HeaderLen {
		return -1, -1
	}
	off := HeaderLen
	for range binary.BigEndian.Uint16(msg[offQD:]) {
		if off = skipName(msg, off); off < 0 || off+questionFixed > len(msg) {
			return -1, -1
		}
		off += questionFixed
	}
	records := int(binary.BigEndian.Uint16(msg[offAN:])) + int(binary.BigEndian.Uint16(msg[offNS:])) + int(binary.BigEndian.Uint16(msg[offAR:]))
	for range records {
		start := off
		if off = skipName(msg, off); off < 0 || off+recordFixed > len(msg) {
			return -1, -1
		}
		typ := binary.BigEndian.Uint16(msg[off:])
		off += recordFixed + int(binary.BigEndian.Uint16(msg[off+8:]))
		switch {
		case off > len(msg):
			return -1, -1
		case typ == TypeOPT && msg[start] == 0:
			return start, off
		}
	}
	return -1, -1
}

// lastOPT is the offset of the OPT record of an answer of ours: it always is the last one. -1: there is none.
func lastOPT(msg []byte) int {
	start, end := findOPT(msg)
	if end != len(msg) {
		return -1
	}
	return start
}
