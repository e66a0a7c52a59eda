"""A bundle and its checkpoint: ustar members in their order, C2SP signed notes and cosignatures."""
import base64
import re

import mldsa
from base import Bad, need, sha, verify

MEMBER = re.compile(r"bundle\.json|checkpoint|tile/entries/(x\d{3}/)*\d{3}(\.p/[1-9]\d{0,2})?|metadata/[0-9a-f]{64}\.cbor|(?:files|deltas)/[0-9a-f]{64}")
LIMITS = [4 << 10, 64 << 10, 256 * 61442, 60 << 10, 2**31 - 1]
INFO, CHECKPOINT, ENTRIES, METADATA, FILE = range(5)


def klass(name):
    return next(i for i, p in enumerate(("bundle.json", "checkpoint", "tile/", "metadata/", ("files/", "deltas/"))) if name.startswith(p))


def members(b):
    """Name and bytes of each member, in order. Raises Bad at the first thing that is not as it must be."""
    at, seen, last = 0, set(), None
    while True:
        h = b[at : at + 512]
        need(len(h) == 512, "bundle ends early: its end mark is missing")
        if not any(h):
            need(len(b) >= at + 1024 and not any(b[at:]), "bytes after the bundle's end mark, or half of one")
            return
        total = sum(h[:148]) + 8 * 32 + sum(h[156:])
        need(number(h[148:156]) == total and h[257:262] == b"ustar", "bundle is not a well-formed tar")
        name, size = text(h[345:500]), number(h[124:136])
        name = (name + "/" if name else "") + text(h[:100])
        need(MEMBER.fullmatch(name), "member name %r is not one a bundle may have" % name)
        need(h[156:157] in (b"0", b"\0") and not any(h[157:257]), "member %s is not a plain file" % name)
        need(size <= LIMITS[klass(name)], "member %s says it has %d bytes" % (name, size))
        need(name not in seen, "member %s is there twice" % name)
        need(follows(name, last), "member %s is not in its place" % name)
        if klass(name) == ENTRIES:  # the same metadata may be named again
            seen = {s for s in seen if klass(s) != METADATA}
        seen.add(name)
        last = name
        at += 512
        need(len(b) >= at + size, "bundle ends early, in member " + name)
        yield name, b[at : at + size]
        at += (size + 511) // 512 * 512


def follows(name, last):
    """Whether a member may come right after another. Whether entry bundles are all there is for whoever reads the log to say."""
    k, before = klass(name), -1 if last is None else klass(last)
    if k in (INFO, CHECKPOINT):
        return before == k - 1
    if k == FILE:
        return before in (CHECKPOINT, ENTRIES, FILE)
    return before in (CHECKPOINT, ENTRIES) or before == METADATA and (k == ENTRIES or last < name)


def text(b):
    return b.split(b"\0")[0].decode("latin-1")


def number(b):
    if b[0] & 0x80:
        return int.from_bytes(bytes([b[0] & 0x7F]) + b[1:], "big")
    s = b.strip(b" \0")
    need(s == b"" or re.fullmatch(b"[0-7]+", s), "bundle is not a well-formed tar")
    return int(s or b"0", 8)


def tile(n, width):
    """The path of entry bundle n."""
    s = "%03d" % (n % 1000)
    while n >= 1000:
        n //= 1000
        s = "x%03d/%s" % (n % 1000, s)
    return "tile/entries/" + s + ("" if width == 256 else ".p/%d" % width)


def entries(b, width):
    out, at = [], 0
    while at < len(b):
        need(len(b) >= at + 2, "entry bundle")
        size = int.from_bytes(b[at : at + 2], "big")
        need(len(b) >= at + 2 + size, "entry bundle")
        out.append(b[at + 2 : at + 2 + size])
        at += 2 + size
    need(len(out) == width, "entry bundle has %d entries, its name says %d" % (len(out), width))
    return out


# RFC 6962.


def leaf_hash(b):
    return sha(b"\0" + b)


def root_of(hashes):
    if not hashes:
        return sha(b"")
    while len(hashes) > 1:
        pairs = [sha(b"\1" + hashes[i] + hashes[i + 1]) for i in range(0, len(hashes) - 1, 2)]
        hashes = pairs + hashes[len(hashes) - len(hashes) % 2 :]
    return hashes[0]


# Checkpoints.


class Checkpoint:
    pass


def b64(s):
    try:
        b = base64.b64decode(s, validate=True)
    except ValueError:
        raise Bad("base64")
    need(base64.b64encode(b).decode() == s, "base64 in another form")
    return b


def key_hash(name, kind, key):
    return sha(name.encode() + b"\n" + bytes([kind]) + key)[:4]


def note(b):
    """The text of a signed note, and its signature lines as (name, key hash, signature)."""
    need(len(b) <= LIMITS[1], "a note is too large")
    try:
        text, lines = b.decode().rsplit("\n\n", 1)
    except ValueError:
        raise Bad("not a signed note")
    need(lines.endswith("\n"), "signatures of a note")
    sigs = []
    for line in lines[:-1].split("\n"):
        m = re.fullmatch("— (\\S+) (\\S+)", line)
        need(m, "a signature line of another form")
        sig = b64(m[2])
        sigs.append((m[1], sig[:4], sig[4:]))
    return text + "\n", sigs


def three_lines(text):
    """A checkpoint without extension lines: origin, size, root."""
    rows = text.split("\n")
    need(len(rows) == 4 and rows[3] == "", "a checkpoint of other than three lines")
    need(re.fullmatch("0|[1-9][0-9]{0,18}", rows[1]), "the checkpoint's size")
    c = Checkpoint()
    c.origin, c.size, c.root = rows[0], int(rows[1]), b64(rows[2])
    need(len(c.root) == 32, "the checkpoint's root")
    return c


def cosigned_ed25519(key, text, sig):
    """The time that a cosignature/v1 says, or None."""
    at = int.from_bytes(sig[:8], "big")
    return at if verify(key, b"cosignature/v1\ntime %d\n" % at + text.encode(), sig[8:]) else None


def cosigned_mldsa(key, name, c, sig):
    at = int.from_bytes(sig[:8], "big")
    m = b"subtree/v1\n\0" + bytes([len(name)]) + name.encode() + sig[:8] + bytes([len(c.origin)]) + c.origin.encode()
    return at if mldsa.verify(key, m + bytes(8) + c.size.to_bytes(8, "big") + c.root, sig[8:]) else None


def checkpoint(b, origin, members, quorum):
    """What a note says that a quorum of members has cosigned, by whom, and since when that many say so. A member is its Ed25519 key and
    its ML-DSA key, b"" for none: with one it counts only with both signatures, of one time."""
    text, sigs = note(b)
    c = three_lines(text)
    need(c.origin == origin, "it is of %r, expected %r" % (c.origin, origin))
    known = {}
    for name, (key, second) in members.items():
        full = origin + "/" + name
        known[origin, key_hash(origin, 1, key)] = lambda sig, key=key: verify(key, text.encode(), sig) or None
        known[full, key_hash(full, 4, key)] = lambda sig, key=key: cosigned_ed25519(key, text, sig)
        if second:
            known[full, key_hash(full, 6, second)] = lambda sig, key=second, full=full: cosigned_mldsa(key, full, c, sig)
    said = {}
    for name, h, sig in sigs:
        if (name, h) in known and (name, h) not in said:
            at = known[name, h](sig)
            need(at is not None, "signature under the name %r is wrong" % name)
            said[name, h] = at
    need(any(name == origin for name, _ in said), "signed by none of the trusted members, or not under the log's own name")
    times = {}
    for name, (key, second) in members.items():
        full = origin + "/" + name
        at = said.get((full, key_hash(full, 4, key)))
        if at is not None and at <= 2**36 and (not second or said.get((full, key_hash(full, 6, second))) == at):
            times[name] = at
    need(len(times) >= quorum, "cosigned by %d of %d trusted members, %d are needed" % (len(times), len(members), quorum))
    c.by, c.fresh = sorted(times), sorted(times.values(), reverse=True)[quorum - 1]
    return c


# RFC 6962, 2.1.3 and 2.1.4 of RFC 9162: proofs.


def included(leaf, index, size, proof, root):
    need(index < size, "a proof of a leaf beyond the tree")
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        need(sn, "a proof that is too long")
        if fn & 1 or fn == sn:
            r = sha(b"\1" + p + r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = sha(b"\1" + r + p)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0 and r == root, "the leaf is not in the log")


def consistent(first, old, second, new, proof):
    need(first <= second, "the log became shorter")
    if first in (0, second):
        need(not proof and (first == 0 or old == new), "the log is another one")
        return
    need(proof, "no proof that the log is the same")
    proof = list(proof)
    if first & first - 1 == 0:
        proof.insert(0, old)
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for c in proof[1:]:
        need(sn, "a proof that is too long")
        if fn & 1 or fn == sn:
            fr, sr = sha(b"\1" + c + fr), sha(b"\1" + c + sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = sha(b"\1" + sr + c)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0 and fr == old and sr == new, "the log is another one")
