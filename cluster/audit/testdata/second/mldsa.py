"""ML-DSA-44 verification, FIPS 204, algorithms 3 and 8. Standard library only: hashlib has SHAKE."""
import hashlib

Q, N, DROP, K, LL, TAU, GAMMA1, GAMMA2, BETA, OMEGA = 8380417, 256, 13, 4, 4, 39, 1 << 17, (8380417 - 1) // 88, 78, 80


def shake256(b, n):
    return hashlib.shake_256(b).digest(n)


def rev8(i):
    return int("{:08b}".format(i)[::-1], 2)


ZETAS = [pow(1753, rev8(i), Q) for i in range(256)]


def ntt(w):
    w, m, size = list(w), 0, 128
    while size >= 1:
        for start in range(0, 256, 2 * size):
            m += 1
            z = ZETAS[m]
            for j in range(start, start + size):
                t = z * w[j + size] % Q
                w[j + size], w[j] = (w[j] - t) % Q, (w[j] + t) % Q
        size //= 2
    return w


def inverse_ntt(w):
    w, m, size = list(w), 256, 1
    while size < 256:
        for start in range(0, 256, 2 * size):
            m -= 1
            z = -ZETAS[m] % Q
            for j in range(start, start + size):
                t = w[j]
                w[j], w[j + size] = (t + w[j + size]) % Q, z * (t - w[j + size]) % Q
        size *= 2
    return [8347681 * x % Q for x in w]


def unpack(b, bits):
    v = int.from_bytes(b, "little")
    return [v >> bits * i & (1 << bits) - 1 for i in range(len(b) * 8 // bits)]


def expand_a(rho, r, s):
    """One polynomial of the matrix, in NTT form: RejNTTPoly."""
    out, b = [], hashlib.shake_128(rho + bytes([s, r])).digest(1344)
    for i in range(0, len(b), 3):
        z = b[i] | b[i + 1] << 8 | (b[i + 2] & 127) << 16
        if z < Q:
            out.append(z)
    assert len(out) >= 256
    return out[:256]


def challenge(seed):
    """SampleInBall."""
    c, b = [0] * 256, shake256(seed, 1024)
    signs, at = int.from_bytes(b[:8], "little"), 8
    for i in range(256 - TAU, 256):
        while b[at] > i:
            at += 1
        j = b[at]
        at += 1
        c[i] = c[j]
        c[j] = 1 - 2 * (signs & 1)
        signs >>= 1
    return c


def hints(b):
    """HintBitUnpack; None when it is not the one form."""
    out, at = [[0] * 256 for _ in range(K)], 0
    for i in range(K):
        end = b[OMEGA + i]
        if end < at or end > OMEGA:
            return None
        for j in range(at, end):
            if j > at and b[j - 1] >= b[j]:
                return None
            out[i][b[j]] = 1
        at = end
    return out if not any(b[at:OMEGA]) else None


def use_hint(h, r):
    """The high part of r, moved by the hint."""
    m = (Q - 1) // (2 * GAMMA2)
    r %= Q
    low = r % (2 * GAMMA2)
    if low > GAMMA2:
        low -= 2 * GAMMA2
    if r - low == Q - 1:
        high, low = 0, low - 1
    else:
        high = (r - low) // (2 * GAMMA2)
    if not h:
        return high
    return (high + 1) % m if low > 0 else (high - 1) % m


known = {}


def verify(key, message, sig):
    """With an empty context string."""
    what = (key, message, sig)
    if what not in known:
        known[what] = check(key, message, sig)
    return known[what]


def check(key, message, sig):
    if len(key) != 1312 or len(sig) != 2420:
        return False
    rho, t1 = key[:32], [unpack(key[32 + 320 * i : 352 + 320 * i], 10) for i in range(K)]
    c_seed, h = sig[:32], hints(sig[32 + 576 * LL :])
    z = [[GAMMA1 - x for x in unpack(sig[32 + 576 * i : 608 + 576 * i], 18)] for i in range(LL)]
    if h is None or any(abs(x) >= GAMMA1 - BETA for p in z for x in p):
        return False
    mu = shake256(shake256(key, 64) + b"\0\0" + message, 64)
    c, zn, w1 = ntt(challenge(c_seed)), [ntt(p) for p in z], b""
    for r in range(K):
        acc = [0] * 256
        for s in range(LL):
            a = expand_a(rho, r, s)
            acc = [x + y * v for x, y, v in zip(acc, a, zn[s])]
        t = ntt([x << DROP for x in t1[r]])
        w = inverse_ntt([(x - y * v) % Q for x, y, v in zip(acc, c, t)])
        high = [use_hint(b, x) for b, x in zip(h[r], w)]
        w1 += sum(x << 6 * i for i, x in enumerate(high)).to_bytes(192, "little")
    return shake256(mu + w1, 32) == c_seed
