"""Openings: what a hotline has shown to reviewers. KEYS.md, Openings; LEAF.md, open."""
from base import Bad, decode, keys, need, sha, verify
from leaves import find, high

DAY = 86400


def statement(b):
    """Body, signatures and the body's bytes of an opening."""
    need(len(b) <= 8 << 10, "an opening is too large")
    s = decode(b)
    keys(s, 1, 2, what="opening")
    o = decode(s[1])
    keys(o, *range(1, 11), what="opening")
    need(o[1] == 1 and 1 <= o[6] <= 1000 and all(len(o[i]) == 32 for i in (5, 7, 8)), "an opening")
    need(o[9] < o[10] <= o[9] + 31 * DAY, "times of an opening")
    sigs = [(x[1], x[2]) for x in s[2]]
    need(sigs == sorted(sigs) and len({i for i, _ in sigs}) == len(sigs), "signatures of an opening")
    return o, sigs, s[1]


class OpeningsMixin:
    def opening(self, l, b):
        try:
            v = self.last.get(b["hotline"])
            need(v is not None, "no metadata before it says who the officers are")
            o, sigs, body = statement(b["statement"])
            for i, sig in sigs:
                need(i in v.officers and verify(v.officers[i], b"cordon/open/v1\n" + body, sig), "a signature is not a valid one of an officer")
            need(len(sigs) >= v.threshold, "signed by %d, %d are needed" % (len(sigs), v.threshold))
            need(o[9] - 600 <= l["t"] < o[10], "the opening is outside of its time")
            said = (b["list"], b["seq"], b["count"], b["request"], b["file"], b["recipient"], b["signers"])
            need(said == (o[3], o[4], o[6], o[5], o[7], o[8], [i for i, _ in sigs]), "the leaf says something else than its statement")
            need(o[2] == self.id, "it was signed for the log of another cluster")
            in_force = find(self.before, b["list"])
            need(in_force and b["seq"] <= high(in_force)["seq"], "no leaf before it brought that version into force")
            need(sha(body) not in self.opened, "the same statement is a leaf already")
            self.opened.add(sha(body))
        except Bad as e:
            self.fail("openings", "leaf %d: %s" % (l["n"], e))
