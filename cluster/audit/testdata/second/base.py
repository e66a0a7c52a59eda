"""Bytes: hashes, Ed25519 (RFC 8032), deterministic CBOR (RFC 8949, 4.2.1), canonical and strict JSON. Standard library only."""
import hashlib
import json


class Bad(Exception):
    """Something is not in its one form."""


def need(ok, what):
    if not ok:
        raise Bad(what)


def sha(b):
    return hashlib.sha256(b).digest()


# Ed25519, RFC 8032, section 5.1.7; the check without a cofactor, S below L.

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def add(a, b):
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    m, n, o, p = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P, 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = n - m, p - o, p + o, n + m
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(k, point):
    out = (0, 1, 1, 0)
    while k:
        if k & 1:
            out = add(out, point)
        point = add(point, point)
        k >>= 1
    return out


def decompress(b):
    y = int.from_bytes(b, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    u, v = y * y - 1, D * y * y + 1
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * ROOT % P
    if (v * x * x - u) % P or x == 0 and sign:
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def compress(point):
    x, y, z, _ = point
    i = pow(z, P - 2, P)
    return (y * i % P | (x * i % P & 1) << 255).to_bytes(32, "little")


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
known = {}  # results: the same signatures come again and again


def verify(key, message, sig):
    what = (key, message, sig)
    if what not in known:
        known[what] = check(key, message, sig)
    return known[what]


def check(key, message, sig):
    if len(key) != 32 or len(sig) != 64:
        return False
    a, s = decompress(key), int.from_bytes(sig[32:], "little")
    if a is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(sig[:32] + key + message).digest(), "little") % L
    x, y, z, t = times(h, a)
    return compress(add(times(s, BASE), (P - x, y, z, P - t))) == sig[:32]


# CBOR: integers, byte and text strings, arrays, maps, booleans. Whoever decodes encodes again: that there is one form is checked by it.


def encode(v):
    if v is True or v is False:
        return b"\xf5" if v else b"\xf4"
    if isinstance(v, int):
        return head(0, v) if v >= 0 else head(1, -1 - v)
    if isinstance(v, bytes):
        return head(2, len(v)) + v
    if isinstance(v, str):
        b = v.encode()
        return head(3, len(b)) + b
    if isinstance(v, list):
        return head(4, len(v)) + b"".join(map(encode, v))
    if isinstance(v, dict):
        return head(5, len(v)) + b"".join(k + x for k, x in sorted((encode(k), encode(x)) for k, x in v.items()))
    raise TypeError(v)


def head(major, n):
    major <<= 5
    if n < 24:
        return bytes([major | n])
    for bits, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if n < 1 << 8 * size:
            return bytes([major | bits]) + n.to_bytes(size, "big")
    raise Bad("a number of more than 64 bits")


def decode(b):
    v, rest = item(b, 0, 0)
    need(rest == len(b), "bytes behind a CBOR value")
    need(encode(v) == b, "CBOR in another form than the one")
    return v


def item(b, at, depth):
    need(at < len(b) and depth < 16, "CBOR ends early, or is too deep")
    major, n, at = b[at] >> 5, b[at] & 31, at + 1
    if major == 7:
        need(n in (20, 21), "a CBOR value that may not be")
        return n == 21, at
    if n >= 24:
        need(n <= 27, "an indefinite length")
        size = 1 << n - 24
        need(at + size <= len(b), "CBOR ends early")
        n, at = int.from_bytes(b[at : at + size], "big"), at + size
    if major == 0:
        return n, at
    if major == 1:
        return -1 - n, at
    if major in (2, 3):
        need(at + n <= len(b), "CBOR ends early")
        s = b[at : at + n]
        try:
            return (s if major == 2 else s.decode()), at + n
        except UnicodeDecodeError:
            raise Bad("text that is no UTF-8")
    need(n <= len(b), "a CBOR length that cannot be")
    if major == 4:
        out = []
        for _ in range(n):
            v, at = item(b, at, depth + 1)
            out.append(v)
        return out, at
    need(major == 5, "a CBOR tag")
    out = {}
    for _ in range(n):
        k, at = item(b, at, depth + 1)
        need(isinstance(k, (str, int)) and k not in out, "a CBOR key twice, or of another type")
        out[k], at = item(b, at, depth + 1)
    return out, at


# JSON.


def once(pairs):
    out = {}
    for k, v in pairs:
        need(k not in out, "key %r twice" % k)
        out[k] = v
    return out


def no(what):
    def refuse(_):
        raise Bad(what)

    return refuse


def read_json(b):
    """JSON with every key once, nothing behind it, whole numbers only."""
    try:
        return json.loads(b.decode(), object_pairs_hook=once, parse_float=no("a fraction"), parse_constant=no("a constant"))
    except ValueError:
        raise Bad("not JSON")


def canonical(v):
    """Canonical JSON (OLPC)."""
    return json.dumps(v, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read_canonical(b):
    v = read_json(b)
    need(canonical(v) == b, "JSON in another form than the canonical one")
    return v


def keys(v, *names, what="value"):
    need(isinstance(v, dict) and set(v) == set(names), "%s has other keys than %s" % (what, " ".join(map(str, names))))


def typed(v, kinds, what):
    """A map with exactly these keys, each of its type; a type may be (type, length)."""
    keys(v, *kinds, what=what)
    for k, kind in kinds.items():
        size = None
        if isinstance(kind, tuple):
            kind, size = kind
        need(type(v[k]) is kind and (size is None or len(v[k]) == size), "%s: %s is of another type or length" % (what, k))
