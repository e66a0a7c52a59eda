package wire

import "slices"

// NameBuf holds one expanded name in the form match takes: lower case, dotted, no trailing dot, a dot inside a label
// as NUL. The zero value is the root. Not for concurrent use.
type NameBuf struct {
	n int
	b [MaxName + 1]byte
}

// Bytes is the name; it belongs to the buffer until the next call that writes it, and has a spare byte of capacity.
func (b *NameBuf) Bytes() []byte { return b.b[:b.n] }

// Root reports whether the name is the root.
func (b *NameBuf) Root() bool { return b.n == 0 }

// Equal compares with another name in the same form.
func (b *NameBuf) Equal(name []byte) bool { return string(b.b[:b.n]) == string(name) }

// Set copies a name in the same form; names longer than a wire name can be are cut to nothing.
func (b *NameBuf) Set(name []byte) {
	if len(name) > MaxName-2 {
		b.n = 0
		return
	}
	b.n = copy(b.b[:], name)
}

// Expand reads the name at off of a message, following compression pointers, which must point strictly backwards:
// so each name costs at most 127 labels and 127 jumps. It returns the offset behind the name where it stood.
func (b *NameBuf) Expand(msg []byte, off int) (next int, err error) { return b.expand(msg, off, nil) }

// expand is Expand in a message whose four bytes at each of ttls (ascending) may change: behind a pointer a name must be made of no such byte,
// and of none at or behind its own beginning. So the name that was tested is the name that a client reads, whatever becomes of the TTLs and
// wherever the message is cut behind it.
func (b *NameBuf) expand(msg []byte, off int, ttls []uint16) (next int, err error) {
	next, wire := -1, 1
	start, limit := off, off
	b.n = 0
	for {
		if off < 0 || off >= len(msg) {
			return 0, ErrAnswer
		}
		l := int(msg[off])
		end := off + 1 // behind this label or pointer
		switch {
		case l == 0:
		case l&pointerBits == pointerBits:
			end++
		case l > 63:
			return 0, ErrAnswer
		default:
			end += l
			wire += 1 + l
		}
		if end > len(msg) || wire > MaxName || next >= 0 && (end > start || touches(off, end, ttls)) {
			return 0, ErrAnswer
		}
		switch {
		case l == 0:
			if next < 0 {
				next = end
			}
			return next, nil
		case l&pointerBits == pointerBits:
			if next < 0 {
				next = end
			}
			to := (l&^pointerBits)<<8 | int(msg[off+1])
			if to >= limit || to < HeaderLen {
				return 0, ErrAnswer
			}
			off, limit = to, to
			continue
		}
		if b.n > 0 {
			b.b[b.n] = '.'
			b.n++
		}
		for _, c := range msg[off+1 : end] {
			b.b[b.n] = dotted[c]
			b.n++
		}
		off = end
	}
}

// touches reports whether any TTL field has a byte in [from, to).
func touches(from, to int, ttls []uint16) bool {
	i, _ := slices.BinarySearch(ttls, uint16(max(from-3, 0)))
	return i < len(ttls) && int(ttls[i]) < to
}

// Redirect writes the name that DNAME processing makes of name: the labels below owner, then target (RFC 6672).
// It reports false when name is not below owner or the result would be too long; then b is unchanged.
func (b *NameBuf) Redirect(name, owner, target []byte) bool {
	keep := len(name) // labels below owner, trailing dot included
	if len(owner) > 0 {
		keep = len(name) - len(owner)
		if keep < 2 || name[keep-1] != '.' || string(name[keep:]) != string(owner) {
			return false
		}
		keep--
	}
	if keep == 0 {
		return false
	}
	n := keep
	if len(target) > 0 {
		n += 1 + len(target)
	}
	if n > MaxName-2 {
		return false
	}
	var out [MaxName + 1]byte // name and target may lie in b itself
	copy(out[:], name[:keep])
	if len(target) > 0 {
		out[keep] = '.'
		copy(out[keep+1:], target)
	}
	b.b, b.n = out, n
	return true
}

// skipName steps over a name without following its pointer; -1 when it runs out of the message.
func skipName(msg []byte, off int) int {
	for wire := 0; off < len(msg); {
		l := int(msg[off])
		switch {
		case l == 0:
			return off + 1
		case l&pointerBits == pointerBits:
			if off+2 > len(msg) {
				return -1
			}
			return off + 2
		case l > 63:
			return -1
		}
		if wire += 1 + l; wire > MaxName-1 {
			return -1
		}
		off += 1 + l
	}
	return -1
}
