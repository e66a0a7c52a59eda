"""The register of appeals, decisions and programs, after LEAF.md, admin. Nothing in force depends on it."""
import re

from base import decode, need, typed, verify

DAY, YEAR, SKEW = 86400, 366 * 86400, 600
H = (bytes, 32)
REF = re.compile("[0-9a-hjkmnp-tv-z]{16}")
APPEAL = dict(ref=str, list=str, entry=bytes, received=int, due=int)
RULING = dict(v=int, cluster=str, ref=str, outcome=str, at=int)
BUILD = dict(v=int, cluster=str, role=str, name=str, program=str, version=str, digest=H, time=int)
OUTCOMES = "upheld rejected withdrawn forwarded".split()


class Register:
    def __init__(self, cluster_id, officers):
        self.id, self.officers, self.appeals, self.decided, self.builds = cluster_id, officers, {}, {}, {}

    def apply(self, l, b, key_of):
        """Takes a leaf in; key_of gives the key of a member by role and name, or None. Raises Bad and changes nothing."""
        {"appeal": self.appeal, "decision": self.decision, "build": self.build}[b["act"]](l["t"], b["d"], key_of)

    def appeal(self, t, d, _):
        need(d["ref"] not in self.appeals, "the appeal is registered already")
        need(t - YEAR <= d["received"] <= t + SKEW, "an appeal received at another time than it can have been")
        need(len(self.appeals) - len(self.decided) < 10000 and len(self.appeals) < 100000, "too many appeals")
        self.appeals[d["ref"]] = d

    def decision(self, t, d, _):
        r = decode(d["body"])
        need(r["cluster"] == self.id, "a decision for another cluster")
        a = self.appeals.get(r["ref"])
        need(a is not None and r["ref"] not in self.decided, "a decision of an appeal that is not open")
        need(a["received"] <= r["at"] <= t + SKEW, "decided before it came in, or in the future")
        for s in d["signatures"]:
            key = self.officers.get(s["officer"])
            need(key is not None and verify(key, b"cordon/decision/v1\n" + d["body"], s["sig"]), "a signature is not an officer's")
        self.decided[r["ref"]] = r

    def build(self, t, d, key_of):
        new = dict(self.builds)
        for item in d["items"]:
            b = decode(item["body"])
            key = key_of(b["role"], b["name"])
            need(b["cluster"] == self.id and key is not None, "a build of no member of this cluster")
            need(verify(key, b"cordon/build/v1\n" + item["body"], item["sig"]), "a build with a wrong signature")
            last, day, n = new.get((b["role"], b["name"]), (None, t // DAY, 0))
            n = n if day == t // DAY else 0
            need(n < 8 and b["time"] <= t + SKEW, "too many builds in a day, or one of the future")
            if last:
                same = all(last[k] == b[k] for k in ("program", "version", "digest"))
                need(not same and b["time"] > last["time"], "a build that says nothing new")
            new[b["role"], b["name"]] = (b, t // DAY, n + 1)
        self.builds = new


def form(b):
    """The form of an admin leaf's body."""
    d, forms = b["d"], {"appeal": APPEAL, "decision": dict(body=bytes, signatures=list), "build": dict(items=list)}
    need(b["act"] in forms, "an act of no kind")
    typed(d, forms[b["act"]], b["act"])
    if b["act"] == "appeal":
        need(REF.fullmatch(d["ref"]) and len(d["entry"]) in (0, 16) and (d["list"] or not d["entry"]), "an appeal")
        need(0 <= d["received"] < d["due"] <= d["received"] + YEAR, "days of an appeal")
    elif b["act"] == "decision":
        r, names = decode(d["body"]), [s["officer"] for s in d["signatures"]]
        typed(r, RULING, "ruling")
        need(r["v"] == 1 and r["outcome"] in OUTCOMES and 1 <= len(names) <= 16 and names == sorted(set(names)), "a decision")
    else:
        need(1 <= len(d["items"]) <= 100 and b["by"] == "", "builds")
        for item in d["items"]:
            typed(item, dict(body=bytes, sig=(bytes, 64)), "build")
            typed(decode(item["body"]), BUILD, "build")
