"""Public logs that told two stories. LEAF.md, fork; SPEC.md, forks."""
from base import Bad, need, verify
from bundle import key_hash, note, three_lines
from publiclog import vkey


def evidence(b):
    """Two notes that the log's key has signed, of one size and with different roots."""
    need(max(len(b["first"]), len(b["second"])) <= 8192, "a note is too large")
    name, kind, key = vkey(b["log"])
    heads = []
    for signed in (b["first"], b["second"]):
        text, sigs = note(signed)
        c = three_lines(text)
        need(c.origin == name, "a note of another log")
        need(any((n, h) == (name, key_hash(name, kind, key)) and verify(key, text.encode(), sig) for n, h, sig in sigs), "a note that the log has not signed")
        heads.append(c)
    need(heads[0].size == heads[1].size and heads[0].root != heads[1].root, "the notes can be one history")


class ForksMixin:
    def fork(self, l, b):
        what = "leaf %d: " % l["n"]
        try:
            evidence(b)
        except (Bad, ValueError) as e:
            self.fail("replay", what + str(e))
            return
        v = self.last.get(b["hotline"])
        if v is None or v.charter["log"] != b["log"]:
            self.fail("forks", what + "evidence of a log that the hotline's charter does not name")
        elif (b["hotline"], b["log"]) in self.forked:
            self.fail("forks", what + "this fork is a leaf already")
        else:
            self.forked.append((b["hotline"], b["log"]))

    def after_fork(self, l, p):
        v = self.last.get(p["hotline"])
        if v and any(h == p["hotline"] and v.charter["log"] in (log, "") for h, log in self.forked):
            self.fail("forks", "leaf %d: a version from a log that had told two stories" % l["n"])
