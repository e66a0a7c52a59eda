#!/usr/bin/env python3
"""A second reader of Cordon's files, written from the two FORMAT.md documents alone, with nothing but the standard library.

    reader.py vectors LIST_TESTDATA MATCH_TESTDATA
        recompute everything in the two vectors.json: digests, gate hashes, commitments, files, roots, indexes, the delta, state ids
    reader.py files EDGE AUDIT INDEX DELTA EDGE AUDIT INDEX
        verify two versions and the delta between them, and make the second version's files from the first

It exits with 0 and one line when all is well, and with 1 and the reason otherwise.
"""
import hashlib
import hmac
import json
import struct
import sys

MASK = 2**64 - 1


def need(ok, what):
    if not ok:
        sys.exit("reader.py: " + what)


def sha(b):
    return hashlib.sha256(b).digest()


def mac(key, msg):
    return hmac.new(key, msg, hashlib.sha256).digest()


def u32(b, at=0):
    return struct.unpack_from("<I", b, at)[0]


def u64(b, at=0):
    return struct.unpack_from("<Q", b, at)[0]


def siphash24(key, msg):
    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rot(x, n):
        return (x << n | x >> (64 - n)) & MASK

    def rounds(n):
        for _ in range(n):
            v[0] = (v[0] + v[1]) & MASK
            v[1] = rot(v[1], 13) ^ v[0]
            v[0] = rot(v[0], 32)
            v[2] = (v[2] + v[3]) & MASK
            v[3] = rot(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & MASK
            v[3] = rot(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & MASK
            v[1] = rot(v[1], 17) ^ v[2]
            v[2] = rot(v[2], 32)

    padded = msg + b"\0" * (7 - len(msg) % 8) + bytes([len(msg) & 255])
    for at in range(0, len(padded), 8):
        m = u64(padded, at)
        v[3] ^= m
        rounds(2)
        v[0] ^= m
    v[2] ^= 255
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


# Container.

FIELDS = 232


def up(n):
    return (n + 63) // 64 * 64


def read_file(b, magic, sections, covered):
    """The fields and the sections of a file; covered is how many of the last ones the format covers itself."""
    head = 256 + 64 * sections + 64
    need(len(b) >= head and b[:8] == magic, "not a %s file" % magic.decode())
    need(u32(b, 8) == head and u32(b, 12) == sections and u64(b, 16) == len(b) <= 2**31 - 1, "sizes in the head")
    need(b[head - 64 : head - 32] == sha(b[: head - 64]), "head hash")
    need(not any(b[head - 32 : head]), "bytes behind the head hash")
    out, end = [], head
    for i in range(sections):
        e = b[256 + 64 * i : 320 + 64 * i]
        at, size = u64(e, 8), u64(e, 16)
        need(u32(e) == i + 1 and at == end and at + size <= len(b) and not any(e[56:]), "section %d" % (i + 1))
        s = b[at : at + size]
        if i < sections - covered:
            need(u32(e, 4) == 0 and e[24:56] == sha(s), "hash of section %d" % (i + 1))
        else:
            need(u32(e, 4) == 1 and not any(e[24:56]), "section %d is not covered by the format" % (i + 1))
        end = up(at + size)
        need(len(b) >= end and not any(b[at + size : end]), "padding of section %d" % (i + 1))
        out.append(s)
    need(end == len(b), "bytes behind the last section")
    return b[24:256], out


def write_file(magic, fields, sections, covered):
    head = 256 + 64 * len(sections) + 64
    table, body, at = b"", b"", head
    for i, s in enumerate(sections):
        whole = i < len(sections) - covered
        table += struct.pack("<IIQQ32s8x", i + 1, 0 if whole else 1, at, len(s), sha(s) if whole else b"")
        body += s + b"\0" * (up(len(s)) - len(s))
        at = head + len(body)
    h = magic + struct.pack("<IIQ", head, len(sections), at) + fields + table
    return h + sha(h) + b"\0" * 32 + body


def head_hash(b):
    return b[u32(b, 8) - 64 : u32(b, 8) - 32]


class Header:
    def __init__(self, seq, epoch, records, name, canon):
        self.seq, self.epoch, self.records, self.list, self.canon = seq, epoch, records, name, canon

    @staticmethod
    def read(f):
        n = f[40]
        need(n <= 63 and not any(f[41 + n : 104]), "list id")
        h = Header(u64(f), u32(f, 8), u64(f, 16), f[41 : 41 + n].decode(), f[104:136])
        need(h.records <= 2**25, "too many records")
        return h

    def fields(self):
        f = bytearray(FIELDS)
        struct.pack_into("<QI", f, 0, self.seq, self.epoch)
        struct.pack_into("<Q", f, 16, self.records)
        name = self.list.encode()
        f[40] = len(name)
        f[41 : 41 + len(name)] = name
        f[104:136] = self.canon
        return f


# Records: (digest, kind, entry id, gate, meta) sort as they lie in a file.

URL, PREFIX, HOST, DOMAIN, STEER = 1, 2, 3, 4, 5
KINDS = {"url": URL, "prefix": PREFIX, "host": HOST, "domain": DOMAIN, "steer": STEER}
CANARY, DECOY = 1, 2
NAME, PAGE = 1, 2
WIDTHS = (16, 8, 16, 16)


def klass(kind):
    return PAGE if kind in (URL, PREFIX) else NAME


def check_meta(m):
    kind, flags, category, basis = m[:4]
    since, review_by = u32(m, 8), u32(m, 12)
    need(URL <= kind <= STEER and flags in (0, CANARY, DECOY) and m[6:8] == b"\0\0", "meta")
    need(flags != CANARY or kind == HOST, "a canary that is no host")
    if flags == DECOY:
        need(kind == STEER and not any(m[2:12]), "a decoy that says more")
        return
    need(category in (1, 2) and basis in (1, 2, 3) and all(65 <= c <= 90 for c in m[4:6]) and since <= review_by, "meta")


def records_of(columns, n):
    need([len(c) for c in columns] == [w * n for w in WIDTHS], "columns")
    d, g, i, m = columns
    return [(d[16 * k : 16 * k + 16], m[16 * k], i[16 * k : 16 * k + 16], g[8 * k : 8 * k + 8], m[16 * k : 16 * k + 16]) for k in range(n)]


def columns_of(records):
    return [b"".join(r[k] for r in records) for k in (0, 3, 2, 4)]


def counts_of(records):
    c = [0] * 7
    for r in records:
        c[r[1] - 1] += 1
        flags = r[4][1]
        c[5] += flags == CANARY
        c[6] += flags == DECOY
    return c


def check_records(records):
    last, xor = None, 0
    for r in records:
        check_meta(r[4])
        need(any(r[2]), "an entry id of zeros")
        if last is not None:
            need(last[:3] < r[:3], "records out of order")
            need(last[:2] != r[:2] or r[1] == STEER, "an expression twice")
        if klass(r[1]) == PAGE or r[1] == STEER and r[4][1] != DECOY:
            xor ^= int.from_bytes(r[2], "big")
        last = r
    c = counts_of(records)
    need(c[0] + c[1] == c[4] - c[6] and xor == 0, "pages and steer records do not pair up")


# Edge list.


def block_bits(n):
    return 0 if n < 128 else (n // 64).bit_length() - 1


def make_edge(h, records):
    check_records(records)
    n, bits = len(records), block_bits(len(records))
    starts, hashes, at = [], [], 0
    for b in range(1 << bits):
        starts.append(at)
        first = at
        while at < n and int.from_bytes(records[at][0], "big") >> (128 - bits) == b:
            at += 1
        hashes.append(sha(b"cordon/block/v2\n" + b"".join(columns_of(records[first:at]))))
    starts.append(n)
    need(at == n, "records outside of every block")
    h.records = n
    f = h.fields()
    struct.pack_into("<I", f, 12, bits)
    struct.pack_into("<7I", f, 168, *counts_of(records))
    sections = [struct.pack("<%dI" % len(starts), *starts), b"".join(hashes)] + columns_of(records)
    return write_file(b"CORDEDG2", bytes(f), sections, 4)


def read_edge(b):
    f, s = read_file(b, b"CORDEDG2", 6, 4)
    h = Header.read(f)
    records = records_of(s[2:], h.records)
    need(make_edge(Header.read(f), records) == b, "the edge list is not the one file of its records")
    return h, records


# Index.

GOLDEN = 0x9E3779B97F4A7C15


def make_index(edge):
    h, records = read_edge(edge)
    wanted = 32 * max(h.records, 16)
    e = wanted.bit_length() - 1 - 3
    s = -(-wanted // 2**e)
    if s == 16:
        s, e = 8, e + 1
    m, groups = s << e, max(e - 9, 0)
    part = m // 8
    piece = part >> groups
    bits = bytearray(m // 8)
    for r in records:
        g = u64(r[3])
        group, x = g >> (64 - groups), g
        for j in range(8):
            x = x * GOLDEN & MASK
            b = j * part + group * piece + (x * piece >> 64)
            bits[b // 8] |= 1 << (b % 8)
    f = h.fields()
    struct.pack_into("<QI", f, 24, m, 8)
    f[136:168] = head_hash(edge)
    return write_file(b"CORDIDX2", bytes(f), [bytes(bits)], 0)


# Auditor list.


def root_of(leaves):
    level = [sha(b"\0" + c) for c in leaves]
    if not level:
        return sha(b"")
    while len(level) > 1:
        level = [sha(b"\1" + level[i] + level[i + 1]) if i + 1 < len(level) else level[i] for i in range(0, len(level), 2)]
    return level[0]


def make_audit(h, edge_head, commitments):
    h.records = len(commitments)
    f = h.fields()
    f[136:168] = edge_head
    f[168:200] = root_of(commitments)
    return write_file(b"CORDAUD2", bytes(f), [b"".join(commitments)], 1)


def read_audit(b):
    f, s = read_file(b, b"CORDAUD2", 1, 1)
    h = Header.read(f)
    need(len(s[0]) == 32 * h.records, "commitments")
    commitments = [s[0][32 * i : 32 * i + 32] for i in range(h.records)]
    need(make_audit(Header.read(f), f[136:168], commitments) == b, "the auditor list is not the one file of its commitments")
    return h, f[136:168], commitments


# Delta.


def apply_delta(edge, audit, delta):
    """Both files of the newer version."""
    f, s = read_file(delta, b"CORDDLT2", 7, 0)
    h = Header.read(f)
    removed = struct.unpack("<%dI" % (len(s[0]) // 4), s[0])
    places = struct.unpack("<%dI" % (len(s[1]) // 4), s[1])
    added = records_of(s[2:6], len(places))
    need(len(s[6]) == 32 * len(places), "commitments of the added records")
    old, records = read_edge(edge)
    _, old_head, commitments = read_audit(audit)
    need((old.list, old.epoch) == (h.list, h.epoch) and u64(f, 24) == old.seq < h.seq and u32(f, 32) == old.records, "the delta is of another version")
    need(f[136:168] == head_hash(edge) == old_head != f[168:200], "the delta is of another list")
    need(all(a < b for a, b in zip(removed, removed[1:])) and all(r < old.records for r in removed), "removed numbers")
    gone = set(removed)
    stay = iter([(r, c) for i, (r, c) in enumerate(zip(records, commitments)) if i not in gone])
    come = {at: (r, s[6][32 * i : 32 * i + 32]) for i, (at, r) in enumerate(zip(places, added))}
    need(len(come) == len(places) and old.records - len(gone) + len(come) == h.records, "numbers of records")
    new = [come[i] if i in come else next(stay) for i in range(h.records)]
    new_edge = make_edge(Header.read(f), [r for r, _ in new])
    need(head_hash(new_edge) == f[168:200], "the delta does not lead to the list it promises")
    new_audit = make_audit(Header.read(f), f[168:200], [c for _, c in new])
    need(root_of([c for _, c in new]) == f[200:232], "the delta does not lead to the root it promises")
    return new_edge, new_audit


# Keyed hashes, from entries to files.


def digest(k, name, c, expr):
    return mac(k, b"cordon/digest/v1\n" + bytes([len(name)]) + name + bytes([c]) + expr)[:16]


def gate(k, c, expr):
    return siphash24(k, expr + bytes([c]))


def commitment(k_open, name, entry, kind, expr, d, epoch):
    salt = mac(k_open, b"cordon/salt/v1\n" + entry + bytes([kind]) + struct.pack("<I", epoch))
    return sha(
        b"cordon/commitment/v1\n" + salt + bytes([len(name)]) + name + entry + bytes([kind]) + struct.pack("<H", len(expr)) + expr + d
    )


def build(v, w):
    """Both files of one version of the vectors, from its entries."""
    k_match, k_gate, k_open = (bytes.fromhex(v[k]) for k in ("k_match", "k_gate", "k_open"))
    name, rows, last = v["list"].encode(), [], 0

    def row(kind, entry, expr, meta):
        d = digest(k_match, name, klass(kind), expr)
        g = struct.pack("<Q", gate(k_gate, klass(kind), expr))
        rows.append(((d, kind, entry, g, meta), commitment(k_open, name, entry, kind, expr, d, v["epoch"])))

    for e in w["entries"]:
        kind, entry, expr = KINDS[e["kind"]], bytes.fromhex(e["entry"]), e["expr"].encode()
        rest = struct.pack(
            "<BBB2s2xII",
            CANARY if e.get("canary") else 0,
            {"csam-baseline": 1, "csam-national": 2}[e["category"]],
            {"law": 1, "order": 2, "voluntary": 3}[e["basis"]],
            e["jurisdiction"].encode(),
            e["since"],
            e["review_by"],
        )
        last = max(last, e["review_by"])
        row(kind, entry, expr, bytes([kind]) + rest)
        if klass(kind) == PAGE:
            row(STEER, entry, expr.split(b"/")[0], bytes([STEER]) + rest)
    for host in w["decoys"]:
        entry = mac(k_open, b"cordon/decoy/v1\n" + bytes([len(name)]) + name + host.encode())[:16]
        row(STEER, entry, host.encode(), struct.pack("<BB10xI", STEER, DECOY, last))
    rows.sort()
    h = Header(w["seq"], v["epoch"], 0, v["list"], bytes.fromhex(v["canon_id"]))
    edge = make_edge(h, [r for r, _ in rows])
    return edge, make_audit(h, head_hash(edge), [c for _, c in rows])


def state_id(v, s, index_hash, filter_hash):
    name = v["list"].encode()
    entry = bytes([len(name)]) + name
    index_set = sha(b"cordon/index-set/v1\n" + entry + struct.pack("<Q", v["edge"]["seq"]) + index_hash)
    filters = sha(b"cordon/filters/v1\n" + entry + filter_hash)
    overlay = b"cordon/overlay/v1\n"
    for r in sorted(s["removals"] or [], key=lambda r: (r["list"], r["entry"], r["kind"], r["number"], r["until"])):
        overlay += bytes([len(r["list"])]) + r["list"].encode() + bytes.fromhex(r["entry"]) + struct.pack("<IBQ", r["until"], r["kind"], r["number"])
    return sha(b"cordon/state/v1\n" + index_set + sha(overlay) + filters + bytes([s["bypass"]]))


def filter_bytes(f):
    kinds = sorted({KINDS[k] for k in f["kinds"]})
    bases = sorted({{"law": 1, "order": 2, "voluntary": 3}[b] for b in f["bases"]})
    places = sorted(set(f["jurisdictions"]))
    return (
        bytes([len(kinds)] + kinds) + bytes([len(bases)] + bases) + struct.pack("<H", len(places)) + "".join(places).encode()
    )


def from_hex(path):
    with open(path) as f:
        return bytes.fromhex("".join(f.read().split()))


def vectors(list_dir, match_dir):
    with open(list_dir + "/vectors.json") as f:
        v = json.load(f)
    made = []
    for w in v["versions"]:
        edge, audit = build(v, w)
        for name, b in (("edge", edge), ("audit", audit)):
            need(b == from_hex(list_dir + "/" + w[name]["file"]) and sha(b).hex() == w[name]["sha256"], "another " + w[name]["file"])
        need(read_audit(audit)[1] == head_hash(edge), "the auditor list is of another edge list")
        need(root_of(read_audit(audit)[2]).hex() == w["entries_root"], "entries root")
        need(head_hash(make_index(edge)).hex() == w["index_hash"], "index hash")
        made.append((edge, audit))
    need(apply_delta(*made[0], from_hex(list_dir + "/" + v["delta"]["file"])) == made[1], "the delta makes other files")

    with open(match_dir + "/vectors.json") as f:
        v = json.load(f)
    k_match, k_gate, name = bytes.fromhex(v["k_match"]), bytes.fromhex(v["k_gate"]), v["list"].encode()
    for d in v["digests"]:
        need(digest(k_match, name, d["class"], d["expr"].encode()).hex() == d["digest"], "digest of " + d["expr"])
        need("%016x" % gate(k_gate, d["class"], d["expr"].encode()) == d["gate"], "gate hash of " + d["expr"])
    edge = from_hex(match_dir + "/" + v["edge"]["file"])
    read_edge(edge)
    index = make_index(edge)
    need(index == from_hex(match_dir + "/" + v["index"]["file"]), "another index")
    need((head_hash(edge).hex(), head_hash(index).hex()) == (v["edge"]["hash"], v["index"]["hash"]), "head hashes")
    fb = filter_bytes(v["filter"])
    need(fb.hex() == v["filter"]["bytes"] and sha(b"cordon/filter/v1\n" + fb).hex() == v["filter"]["hash"], "filter")
    for s in v["state"]:
        need(state_id(v, s, head_hash(index), sha(b"cordon/filter/v1\n" + fb)).hex() == s["state_id"], "state id")
    print("vectors: all as written")


def files(paths):
    read = []
    for p in paths:
        with open(p, "rb") as f:
            read.append(f.read())
    edge1, audit1, index1, delta, edge2, audit2, index2 = read
    need(make_index(edge1) == index1, "another index of the first version")
    need(apply_delta(edge1, audit1, delta) == (edge2, audit2), "the delta makes other files")
    need(make_index(edge2) == index2, "another index of the second version")
    print("files: %d records, %d after the delta" % (read_edge(edge1)[0].records, read_edge(edge2)[0].records))


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "vectors":
        vectors(*sys.argv[2:])
    elif len(sys.argv) == 9 and sys.argv[1] == "files":
        files(sys.argv[2:])
    else:
        sys.exit(__doc__)
