"""Outside witnesses of the cluster's own log, after SPEC.md (witnesses), C2SP tlog-policy and tlog-cosignature."""
from base import need, verify
from bundle import cosigned_ed25519, cosigned_mldsa, key_hash, note, three_lines
from publiclog import vkey


def seen(policy, b):
    """Holds a checkpoint note to a tlog-policy. Gives the time since when its quorum says so, None when the quorum is none."""
    text, sigs = note(b)
    c = three_lines(text)
    at, quorum, logs = {}, "none", []  # names to times
    for line in policy.split("\n"):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "log":
            logs.append(vkey(words[1]))
        elif words[0] == "witness":
            at[words[1]] = cosigned(words[2], c, text, sigs)
        elif words[0] == "group":
            of = sorted((at[x] for x in words[3:] if at[x] is not None), reverse=True)
            n = {"any": 1, "all": len(words) - 3}.get(words[2]) or int(words[2])
            at[words[1]] = of[n - 1] if len(of) >= n else None
        elif words[0] == "quorum":
            quorum = words[1]
    need(not logs or any(signed(k, text, sigs) for k in logs), "the policy names other logs")
    if quorum == "none":
        return None
    need(at[quorum] is not None, "too few of the policy's witnesses cosigned")
    return at[quorum]


def signed(log, text, sigs):
    name, kind, key = log
    return any((n, h) == (name, key_hash(name, kind, key)) and verify(key, text.encode(), sig) for n, h, sig in sigs)


def cosigned(key, c, text, sigs):
    name, kind, key = vkey(key)
    for n, h, sig in sigs:
        if (n, h) == (name, key_hash(name, kind, key)):
            t = cosigned_ed25519(key, text, sig) if kind == 4 else cosigned_mldsa(key, name, c, sig)
            need(t is not None, "signature of witness %s is wrong" % name)
            return t
    return None
