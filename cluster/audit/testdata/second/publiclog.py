"""The public log of a hotline, after listsync/publiclog/PUBLICLOG.md, C2SP tlog-proof and tlog-policy."""
import re

from base import decode, keys, need, sha, verify
from bundle import b64, consistent, cosigned_ed25519, cosigned_mldsa, included, key_hash, leaf_hash, note, three_lines


def leaf_of(t, signed):
    """The leaf of a list version: t is its target as the officers signed it, signed what they signed."""
    lines = ["cordon/list-version/v1", t["list"], t["seq"], t["prev"], t["epoch"], t["edge"]["hashes"]["sha256"], t["audit"]["hashes"]["sha256"],
             t["entries_root"], sha(signed).hex()]
    return "".join("%s\n" % x for x in lines).encode()


def vkey(text):
    name, h, key = text.split("+", 2)
    key = b64(key)
    need(key_hash(name, key[0], key[1:]).hex() == h, "a verifier key with another hash")
    return name, key[0], key[1:]


def check(b, leaf, log, before, *policies):
    """Holds a publish leaf's proof to the leaf, the log's key, the log at the version before, and witness policies. Gives the log now."""
    need(0 < len(b) <= 12288, "there is no proof of the public log, or it is too large")
    p = decode(b)
    keys(p, "v", "log", "proof", "from", "consistency", what="proof")
    need(p["v"] == 1 and p["log"] == log, "a proof of another log than the charter's")
    text = p["proof"]
    m = re.fullmatch(r"c2sp\.org/tlog-proof@v1\nindex (0|[1-9][0-9]*)\n((?:[A-Za-z0-9+/=]{44}\n)*)\n(.*)", text, re.S)
    need(m, "not a tlog-proof")
    hashes = [b64(x) for x in m[2].split()]
    origin, kind, key = vkey(log)
    head, sigs = note(m[3].encode())
    c = three_lines(head)
    need(c.origin == origin and kind == 1, "a checkpoint of another log")
    need(any((name, h) == (origin, key_hash(origin, 1, key)) and verify(key, head.encode(), sig) for name, h, sig in sigs), "the log has not signed")
    included(leaf_hash(leaf), int(m[1]), c.size, hashes, c.root)
    same = before is not None and before[0] == log
    size, root = before[1:] if same else (0, sha(b""))
    need(p["from"] == size, "the proof begins at another size than the version before")
    consistent(size, root, c.size, c.root, p["consistency"])
    for policy in policies:
        need(met(policy, c, head, sigs), "the log was not seen by the witnesses that a policy asks for")
    return log, c.size, c.root


def met(policy, c, head, sigs):
    """Whether a tlog-policy is met by a checkpoint's cosignatures."""
    yes, quorum = {"none": True}, "none"
    for line in policy.split("\n"):
        words = line.split("#")[0].split()
        if words[:1] == ["witness"]:
            yes[words[1]] = cosigned(words[2], c, head, sigs)
        elif words[:1] == ["group"]:
            of = words[3:]
            n = {"any": 1, "all": len(of)}.get(words[2]) or int(words[2])
            yes[words[1]] = sum(yes[x] for x in of) >= n
        elif words[:1] == ["quorum"]:
            quorum = words[1]
    return yes[quorum]


def cosigned(text, c, head, sigs):
    name, kind, key = vkey(text)
    for n, h, sig in sigs:
        if (n, h) == (name, key_hash(name, kind, key)):
            return (cosigned_ed25519(key, head, sig) if kind == 4 else cosigned_mldsa(key, name, c, sig)) is not None
    return False
