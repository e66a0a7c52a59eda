"""Leaves and what follows from them, after LEAF.md: their form, what is in force, what the operator's officers decide."""
import re

import register

from base import Bad, decode, encode, keys, need, sha, typed, verify

LIST = re.compile(r"[a-z0-9][a-z0-9-]{0,30}/[a-z0-9][a-z0-9-]{0,30}")
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
H = (bytes, 32)

BODIES = {
    "publish": dict(hotline=str, list=str, seq=int, prev=int, epoch=int, canon=H, edge=H, audit=H, edge_size=int, audit_size=int,
                    entries_root=H, charter=H, filter=dict, filter_hash=H, metadata=H, index=H, counts=list, bases=list, added=int, removed=int,
                    verdicts=list, public_proof=bytes),
    "reject": dict(hotline=str, list=str, seq=int, object=H, stage=str, reason=str, detail=str, node=str, verdicts=list),
    "withdraw": dict(hotline=str, list=str, number=int, seq_from=int, seq_to=int, hash=H, signers=list, owed=bool, statement=bytes),
    "member": dict(action=str, role=str, name=str, key=H, recipient=str, by=str),
    "receipts": dict(items=list),
    "trust": dict(hotline=str, root=H, versions=dict, metadata=H),
    "alarm": dict(node=str, what=str, since=int),
    "hold": dict(hotline=str, list=str, seq=int, edge=H, metadata=H, brake=str, node=str, verdicts=list),
    "open": dict(hotline=str, list=str, seq=int, count=int, request=H, file=H, recipient=H, signers=list, statement=bytes),
    "fork": dict(hotline=str, log=str, first=bytes, second=bytes, node=str),
    "rekey": dict(hotline=str, list=str, seq=int, to=int, keys=H, **{"from": int}),
    "admin": dict(act=str, by=str, node=str, d=dict),
    "return": dict(number=int, signers=list, statement=bytes, version=dict, verdicts=list),
}
for kind in ("policy", "approve", "suppress", "bypass", "exempt", "certificate", "pin"):
    BODIES[kind] = dict(number=int, signers=list, statement=bytes)
FILTER = dict(kinds=list, bases=list, jurisdictions=list)
SIGNED = dict(body=bytes, sig=(bytes, 64))
CHANGES = ("publish", "withdraw", "suppress", "bypass", "exempt", "return")


class Unknown(Exception):
    """A leaf of a kind that cannot be replayed."""


def leaf(b):
    need(len(b) <= 61440, "a leaf is too large")
    v = decode(b)
    typed(v, dict(v=int, n=int, t=int, k=str, f=H, b=dict), "leaf")
    need(v["v"] == 1 and 0 <= v["t"] <= 2**36, "leaf")
    return v


def body(l):
    """The body of a leaf, of the form its kind has."""
    k, b = l["k"], l["b"]
    if k not in BODIES:
        raise Unknown("leaf %d is of kind %s, which cannot be replayed" % (l["n"], k))
    typed(b, BODIES[k], k)
    if "list" in b and not (k == "reject" and b["list"] == ""):
        need(LIST.fullmatch(b["list"]) and b["list"].startswith(b["hotline"] + "/"), "a list of another hotline")
    if k == "publish":
        need(1 <= b["seq"] > b["prev"] >= 0, "seq and prev")
        need(b["filter_hash"] == filter_hash(b["filter"]), "filter and its hash differ")
    if k == "rekey":
        need(b["seq"] >= 1 and 1 <= b["from"] < b["to"], "epochs of a rekey leaf")
    if k in ("publish", "hold", "reject", "return"):
        for v in b["verdicts"]:
            typed(v, SIGNED, "verdict")
    if k == "receipts":
        need(1 <= len(b["items"]) <= 256, "receipts")
        for r in b["items"]:
            typed(r, SIGNED, "receipt")
    if k == "admin":
        register.form(b)
    if k == "member":
        need(b["action"] in ("add", "remove") and b["role"] in ("control", "edge") and NAME.fullmatch(b["name"]), "member")
    return b


def enrolled(all, b):
    """The names and keys after a member leaf."""
    out = {name: key for name, key in all.items() if name != b["name"]}
    if b["action"] == "add":
        out[b["name"]] = b["key"]
    return out


def filter_hash(f):
    typed(f, FILTER, "filter")
    kinds, bases = dict(url=1, prefix=2, host=3, domain=4), dict(law=1, order=2, voluntary=3)
    need(all(w == sorted(set(w)) for w in f.values()), "a filter in another order")
    need(set(f["kinds"]) <= set(kinds) and set(f["bases"]) <= set(bases), "a filter with unknown words")
    ks, bs = sorted(kinds[k] for k in f["kinds"]), sorted(bases[b] for b in f["bases"])
    js = "".join(f["jurisdictions"]).encode()
    return sha(b"cordon/filter/v1\n" + bytes([len(ks)] + ks + [len(bs)] + bs) + len(f["jurisdictions"]).to_bytes(2, "little") + js)


# What is in force.

KEPT = ("list hotline seq epoch edge edge_size audit audit_size filter filter_hash metadata").split()


class Rollback(Exception):
    pass


def genesis():
    return dict(v=2, lists=[], removals=[], suppressions=[], bypass=0)


def hash_of(f):
    return sha(b"cordon/in-force/v1\n" + encode(f))


def record(l):
    return sha(b"cordon/in-force-list/v1\n" + encode(dict(l, versions=[])))


def find(f, name):
    return next((l for l in f["lists"] if l["list"] == name), None)


def high(l):
    return l["versions"][-1]


def entry_of(p, n):
    return dict({k: p[k] for k in KEPT}, leaf=n, versions=[])


def ended(f, t):
    """What is left of it before a leaf of this time."""
    out = dict(f, suppressions=[s for s in f["suppressions"] if s["until"] >= t])
    if f["bypass"] and f["bypass"] < t:
        out["bypass"] = 0
    if "exempt" in f and f["exempt"]["until"] < t:
        del out["exempt"]
    return out


def apply(f, l, b, order):
    """What is in force after a leaf; order is the decoded order of it, if it records one."""
    f, k = ended(f, l["t"]), l["k"]
    if k == "publish":
        return publish(f, l["n"], b)
    if k == "withdraw":
        return withdraw(f, b["list"], statement_entries(b), b["number"], b["seq_from"], b["seq_to"])
    if k == "suppress":
        o = order["b"]
        others = [s for s in f["suppressions"] if s["list"] != o["list"] or s["entry"] not in o["entries"]]
        need(not o["lift"] or len(f["suppressions"]) - len(others) == len(o["entries"]), "it lifts suppressions that are not there")
        if not o["lift"]:
            others += [dict(list=o["list"], entry=e, until=order["expires"] - 1, number=order["number"]) for e in o["entries"]]
        need(len(others) <= 1000, "too many suppressions")
        return dict(f, suppressions=sorted(others, key=lambda s: (s["list"], s["entry"])))
    if k == "bypass":
        return dict(f, bypass=0 if order["b"]["lift"] else order["expires"] - 1)
    if k == "exempt":
        out = {key: f[key] for key in f if key != "exempt"}
        o = order["b"]
        if not o["lift"]:
            out["exempt"] = dict(hash=o["hash"], count=o["count"], until=order["expires"] - 1, number=order["number"])
        return out
    if k == "return":
        return returned(f, b, order)
    return f


def statement_entries(b):
    return decode(decode(b["statement"])[1])[3]


def publish(f, n, p):
    old, versions = find(f, p["list"]), []
    if old:
        if p["seq"] <= high(old)["seq"] or p["prev"] < high(old)["seq"]:
            raise Rollback("list %s goes back from %d to %d" % (p["list"], high(old)["seq"], p["seq"]))
        versions = old["versions"]
    new = entry_of(p, n)
    new["versions"] = (versions + [dict(seq=p["seq"], leaf=n, edge=p["edge"], record=record(new))])[-8:]
    lists = sorted([l for l in f["lists"] if l is not old] + [new], key=lambda l: l["list"])
    need(len(lists) <= 16, "too many lists")
    first = new["versions"][0]["seq"]
    return dict(f, lists=lists, removals=[r for r in f["removals"] if r["list"] != p["list"] or r["to"] >= first])


def withdraw(f, name, entries, number, first, last):
    l = find(f, name)
    if l and l["versions"][0]["seq"] > last:
        return f
    return remove(f, [dict(list=name, entry=e, until=0, kind=1, number=number) | {"from": first, "to": last} for e in entries])


def remove(f, more):
    have = {(r["list"], r["entry"], r["kind"], r["number"]): r for r in more}
    have.update({(r["list"], r["entry"], r["kind"], r["number"]): r for r in f["removals"]})
    need(len(have) <= 65536, "too many removals")
    return dict(f, removals=[have[k] for k in sorted(have)])


def returned(f, b, order):
    o, l = order["b"], find(f, order["b"]["list"])
    need(l is not None and o["seq"] != l["seq"], "a return of a list, or to a version, that is in force or not there")
    v = next((v for v in l["versions"] if v["seq"] == o["seq"]), None)
    need(v is not None and v["edge"] == o["edge"], "a return to a version that was not in force here")
    need((o["high"], o["high_edge"]) == (high(l)["seq"], high(l)["edge"]), "a return from another version than the newest")
    need(b["version"]["versions"] == [] and record(b["version"]) == v["record"], "the version is not what it was")
    need(o["seq"] == high(l)["seq"] or all(set(b["version"]["filter"][w]) <= set(l["filter"][w]) for w in FILTER), "what a later charter does not allow would come back")
    lists = [dict(b["version"], versions=l["versions"]) if x is l else x for x in f["lists"]]
    out = {r["entry"] for r in f["removals"] if (r["list"], r["kind"], r["from"]) == (o["list"], 3, o["seq"])}
    more = [dict(list=o["list"], entry=e, until=0, kind=3, number=b["number"]) | {"from": o["seq"], "to": o["seq"]} for e in o["entries"] if e not in out]
    return remove(dict(f, lists=lists), more)


def overlay(f):
    out = []
    for r in f["removals"]:
        l = find(f, r["list"])
        if l and r["from"] <= l["seq"] <= r["to"]:
            out.append((r["list"], r["entry"], r["kind"], r["number"], r["until"]))
    for s in f["suppressions"]:
        if find(f, s["list"]):
            out.append((s["list"], s["entry"], 2, s["number"], s["until"]))
    return sorted(out)


def state_id(f, index):
    """The state that an edge serves which runs this; index gives the index hash of a list in force."""
    def named(l):
        return bytes([len(l["list"])]) + l["list"].encode()

    indexes = b"".join(named(l) + l["seq"].to_bytes(8, "little") + index(l) for l in f["lists"])
    filters = b"".join(named(l) + l["filter_hash"] for l in f["lists"])
    removed = b"".join(
        bytes([len(name)]) + name.encode() + e + until.to_bytes(4, "little") + bytes([kind]) + number.to_bytes(8, "little")
        for name, e, kind, number, until in overlay(f)
    )
    return sha(b"cordon/state/v1\n" + sha(b"cordon/index-set/v1\n" + indexes) + sha(b"cordon/overlay/v1\n" + removed)
               + sha(b"cordon/filters/v1\n" + filters) + bytes([f["bypass"] != 0]))


# Orders of the operator's officers.

DAY = 86400
LONGEST = dict(certificate=7 * DAY, pin=7 * DAY, policy=7 * DAY, approve=7 * DAY, suppress=30 * DAY, exempt=30 * DAY, bypass=DAY)
LONGEST["return"] = 7 * DAY
ORDER = dict(v=int, cluster=str, k=str, number=int, issued=int, expires=int, reason=str, b=dict)
ORDERS = {
    "policy": dict(never_block=H, count=int),
    "approve": dict(list=str, seq=int, edge=H, entries=list, brakes=list, never_block=H),
    "suppress": dict(list=str, epoch=int, entries=list, lift=bool),
    "return": dict(list=str, seq=int, edge=H, high=int, high_edge=H, entries=list),
    "bypass": dict(lift=bool),
    "exempt": dict(hash=H, count=int, lift=bool),
    "certificate": {"from": int, "to": int, "size": int, "hash": H, "probes": list},
    "pin": dict(hotline=str, root=H, document=bytes),
}


def read_order(kind, b):
    """The order that a leaf's body records. The leaf must say what the order says."""
    s = decode(b["statement"])
    typed(s, dict(body=bytes, signatures=list), "order")
    o = decode(s["body"])
    typed(o, ORDER, "order")
    need(o["v"] == 1 and o["k"] == kind and o["number"] == b["number"] >= 1, "the order says something else than its leaf")
    typed(o["b"], ORDERS[kind], kind)
    names = [x["officer"] for x in s["signatures"]]
    need(names == sorted(set(names)) == b["signers"], "the leaf names other signers than the order has")
    if "entries" in o["b"]:
        e = o["b"]["entries"]
        need(e == sorted(set(e)) and all(len(x) == 16 for x in e), "entries of an order")
    if kind == "certificate":
        p = o["b"]["probes"]
        need(len(p) <= 8 and all(type(x) is bytes and len(x) == 32 for x in p) and p == sorted(set(p)), "probes of a certificate")
        need(0 < o["b"]["from"] < o["b"]["to"] and o["b"]["size"] >= 1 and any(o["b"]["hash"]), "a certificate of no period, or of no document")
    if kind == "exempt":
        e = o["b"]
        need(not any(e["hash"]) and e["count"] == 0 if e["lift"] else any(e["hash"]) and 1 <= e["count"] <= 64, "an exemption of nobody, or of too many")
    if kind == "pin":
        need(len(o["b"]["document"]) <= 32 << 10 and sha(o["b"]["document"]) == o["b"]["root"], "a pin of another root than it brings")
    return o, s


class Orders:
    """What officers and brakes have decided so far."""

    def __init__(self, cluster, cluster_id, officers, members):
        self.cluster, self.id, self.officers, self.members = cluster, cluster_id, officers, members
        self.numbers, self.policy, self.held, self.approved, self.pins = {}, None, {}, {}, {}
        self.named = set()  # hotlines of the cluster file

    def accept(self, l, f, order):
        o, s = order
        for x in s["signatures"]:
            key = self.officers.get(x["officer"])
            need(key is not None and verify(key, b"cordon/order/v1\n" + s["body"], x["sig"]), "a signature is not a valid one of an officer")
        need(len(s["signatures"]) >= 2, "too few valid signatures: signed by %d, 2 are needed" % len(s["signatures"]))
        need(o["cluster"] == self.id, "an order of another cluster")
        need(o["issued"] - 600 <= l["t"] < o["expires"] and o["issued"] < o["expires"] <= o["issued"] + LONGEST[o["k"]], "an order outside of its time")
        need(o["number"] > self.numbers.get(o["k"], 0), "an order's number does not rise")
        b = o["b"]
        if o["k"] == "suppress":
            in_force = find(f, b["list"])
            need(in_force and in_force["epoch"] == b["epoch"], "a suppression of a list that is not in force")
            need(1 <= len(b["entries"]) <= 200, "too many entries")
        if o["k"] == "bypass" and b["lift"]:
            need(ended(f, l["t"])["bypass"], "there is no bypass to end")
        if o["k"] == "exempt" and b["lift"]:
            need("exempt" in ended(f, l["t"]), "there is no exemption to end")
        if o["k"] == "approve":
            h = self.held.get(b["list"])
            need(h and h[:2] == (b["seq"], b["edge"]), "this version is not held")
            self.held[b["list"]] = (h[0], h[1], h[2], True, h[4])
            self.approved[b["list"]] = (b["seq"], b["edge"], o["expires"], l["n"])
        if o["k"] == "certificate":
            need(1 <= b["size"] <= l["n"] and b["from"] < b["to"] <= l["t"], "a certificate of what is not in the log yet")
        if o["k"] == "pin":
            need(b["hotline"] not in self.named and b["hotline"] not in self.pins, "hotline %s is pinned already" % b["hotline"])
            need(len(self.named) + len(self.pins) < 16, "more than 16 hotlines")
            self.pins[b["hotline"]] = (l["n"], b["root"])
        if o["k"] == "policy":
            self.policy = b["never_block"]
        self.numbers[o["k"]] = o["number"]

    def hold(self, l, f, b):
        in_force = find(f, b["list"])
        need(not in_force or b["seq"] > high(in_force)["seq"], "a hold of a version that was in force")
        h = self.held.get(b["list"])
        need(not h or not (h[0] > b["seq"] or h[:2] == (b["seq"], b["edge"]) and h[4:] == (b["brake"],) and not h[3]), "held already")
        by, said = set(), False
        for v in verdicts(b["verdicts"], self.id, self.members):
            if v["result"] != "ok" and (v["list"], v["seq"], v["edge"]) == (b["list"], b["seq"], b["edge"]):
                by.add(v["node"])
                said = said or v["result"] == b["brake"]
        n = len(self.members)
        need(len(by) > n - (n // 2 + 1) and said, "%d of %d members object: a quorum could still approve" % (len(by), n))
        self.held[b["list"]] = (b["seq"], b["edge"], l["n"], False, b["brake"])

    def publish(self, l, b):
        h = self.held.get(b["list"])
        if h and h[:2] == (b["seq"], b["edge"]):
            a = self.approved.get(b["list"])
            need(h[3] and a and a[:2] == h[:2] and l["t"] < a[2] and a[3] > h[2], "held back by a brake and not approved")
        if h and h[0] <= b["seq"]:
            del self.held[b["list"]]
        if b["list"] in self.approved and self.approved[b["list"]][0] <= b["seq"]:
            del self.approved[b["list"]]


VERDICT = dict(v=int, cluster=str, node=str, list=str, seq=int, edge=H, audit=H, entries_root=H, index=H, never_block=H, result=str)
RETURN_VERDICT = dict(v=int, cluster=str, node=str, list=str, edge=H, high_edge=H, entries=H)


def verdicts(all, cluster_id, members, form=VERDICT, tag=b"cordon/verdict/v1\n"):
    """The verdicts of members among them that verify; what others wrote is left out."""
    out = []
    for s in all:
        try:
            v = decode(s["body"])
            typed(v, form, "verdict")
        except Bad:
            continue
        key = members.get(v["node"])
        if key and v["v"] == 1 and v["cluster"] == cluster_id and verify(key, tag + s["body"], s["sig"]):
            out.append(v)
    return out
