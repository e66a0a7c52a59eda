"""The trust chain of a hotline, after listsync/trust/KEYS.md: from a pinned root to charter, officers and lists, at a given time."""
import calendar
import re
import time

from base import Bad, canonical, decode, encode, keys, need, read_canonical, read_json, sha, verify

DAY = 86400


class Refused(Exception):
    """Metadata that is not to be trusted; charter says that the charter itself is why."""

    def __init__(self, why, charter=False):
        super().__init__(why)
        self.charter = charter


class Metadata:
    def __init__(self, b):
        m = decode(b)
        keys(m, 1, 2, 3, 4, 5, 6, what="metadata")
        need(len(b) <= 60 << 10 and len(m[1]) <= 8, "metadata is too large")
        self.roots, self.timestamp, self.snapshot, self.targets, self.list, self.charter = (m[i] for i in range(1, 7))


def at(text):
    try:
        t = time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError):
        raise Bad("a time in another form")
    return calendar.timegm(t)


def key_id(pub):
    return sha(canonical({"keytype": "ed25519", "keyval": {"public": pub.hex()}, "scheme": "ed25519"})).hex()


def read_keys(all):
    out = {}
    for i, k in all.items():
        keys(k, "keytype", "keyval", "scheme", what="key")
        need(k["keytype"] == k["scheme"] == "ed25519", "a key that is not Ed25519")
        out[i] = bytes.fromhex(k["keyval"]["public"])
        need(key_id(out[i]) == i, "a key under another id than its own")
    need(len(out) <= 64 and len(set(out.values())) == len(out), "keys")
    return out


def role(r, known):
    need(len(set(r["keyids"])) == len(r["keyids"]) <= 16 and all(i in known for i in r["keyids"]), "a role with unknown keys, or one twice")
    return r["threshold"], {i: known[i] for i in r["keyids"]}


class Doc:
    """One metadata file of any role."""

    def __init__(self, b, kind):
        need(len(b) <= 64 << 10, "a metadata file is too large")
        self.bytes, v = b, read_canonical(b)
        keys(v, "signatures", "signed", what=kind)
        self.signed, self.raw = v["signed"], canonical(v["signed"])
        self.sigs = {s["keyid"]: bytes.fromhex(s["sig"]) for s in v["signatures"]}
        need(len(self.sigs) == len(v["signatures"]) <= 16, "two signatures of one key, or too many")
        need(self.signed["_type"] == kind and self.signed["spec_version"].startswith("1.0."), "another type than " + kind)
        self.version, self.expires = self.signed["version"], at(self.signed["expires"])
        need(type(self.version) is int and self.version >= 1, "version")

    def signed_by(self, *roles):
        """Every signature is valid and of one of the roles; each role has its threshold."""
        for i, sig in self.sigs.items():
            key = next((r[1][i] for r in roles if i in r[1]), None)
            if key is None or not verify(key, self.raw, sig):
                raise Refused("%s %d: a signature that does not count" % (self.signed["_type"], self.version))
        for threshold, known in roles:
            if len(set(self.sigs) & set(known)) < threshold:
                raise Refused("%s: too few valid signatures: %d, want %d" % (self.signed["_type"], len(self.sigs), threshold))

    def live(self, now):
        if now >= self.expires:
            raise Refused("%s has expired" % self.signed["_type"])

    def names(self, *files):
        """What timestamp and snapshot say of other files: their version, length, hash."""
        need(set(self.signed["meta"]) == set(files), "%s speaks of other files" % self.signed["_type"])

    def holds(self, name, doc):
        m = self.signed["meta"][name]
        if (m["version"], m["length"], m["hashes"]) != (doc.version, len(doc.bytes), {"sha256": sha(doc.bytes).hex()}):
            raise Refused("%s is not the one that %s signs" % (name, self.signed["_type"]))


class Root(Doc):
    def __init__(self, b):
        super().__init__(b, "root")
        known = read_keys(self.signed["keys"])
        self.keys, self.development = known, self.signed.get("x-cordon-development", False)
        self.roles = {n: role(r, known) for n, r in self.signed["roles"].items()}
        need(set(self.roles) == {"root", "targets", "snapshot", "timestamp"}, "roles of the root")

    def minima(self):
        used = [i for _, ks in self.roles.values() for i in ks]
        if self.roles["root"][0] < 3 or self.roles["targets"][0] < 2:
            raise Refused("the root is below the minima")
        if len(set(used)) != len(used) or set(used) != set(self.keys):
            raise Refused("a key in two roles, or in none")


class Verified:
    pass


def walk(pinned, m, now):
    """Verify of KEYS.md, without high-water marks, which are the caller's. Raises Refused or Bad."""
    root = start = Root(pinned)
    for b in m.roots:
        nxt = Root(b)
        if nxt.version <= start.version:
            if nxt.version == start.version and b != pinned:
                raise Refused("another root than the pinned one")
            continue
        if nxt.version != root.version + 1:
            raise Refused("a root is left out")
        nxt.signed_by(root.roles["root"], nxt.roles["root"])
        nxt.minima()
        if nxt.development != root.development:
            raise Refused("another development mark")
        root = nxt
    root.minima()
    root.live(now)
    timestamp = Doc(m.timestamp, "timestamp")
    timestamp.signed_by(root.roles["timestamp"])
    if timestamp.expires - now > 8 * DAY:
        raise Refused("the timestamp is valid too long")
    timestamp.live(now)
    snapshot = Doc(m.snapshot, "snapshot")
    timestamp.names("snapshot.json")
    timestamp.holds("snapshot.json", snapshot)
    snapshot.signed_by(root.roles["snapshot"])
    snapshot.live(now)
    targets = Doc(m.targets, "targets")
    snapshot.holds("targets.json", targets)
    targets.signed_by(root.roles["targets"])
    targets.live(now)
    t = targets.signed["targets"]
    if set(t) != {"charter.json"} or t["charter.json"]["length"] != len(m.charter) or t["charter.json"]["hashes"] != {"sha256": sha(m.charter).hex()}:
        raise Refused(scope_of(m.charter) or "the charter is not the accredited one", True)
    c = charter(m.charter)
    delegated = targets.signed["delegations"]
    need(len(delegated["roles"]) == 1, "delegations")
    d, officers = delegated["roles"][0], read_keys(delegated["keys"])
    name = "csam-" + c["hotline"]
    need((d["name"], d["paths"], d["terminating"]) == (name, ["csam/%s/*" % c["hotline"]], True), "the delegation")
    if set(officers) & set(root.keys):
        raise Refused("an officer's key is in the root")
    threshold, who = role(d, officers)
    if threshold < 2 or len(who) < 3 or set(who) != set(officers):
        raise Refused("the officers are below the minima")
    if not at(c["valid_from"]) <= now < at(c["valid_to"]):
        raise Refused("the charter is outside of its time", True)
    snapshot.names("targets.json", name + ".json")
    lists = Doc(m.list, "targets")
    snapshot.holds(name + ".json", lists)
    lists.signed_by((threshold, who))
    lists.live(now)
    if lists.signed.get("delegations"):
        raise Refused("the list role delegates further")
    v = Verified()
    v.hotline, v.charter, v.charter_hash, v.root, v.development = c["hotline"], c, sha(m.charter), root.bytes, root.development
    v.officers, v.threshold, v.list_bytes = who, threshold, lists.raw
    v.lists = list_targets(lists.signed["targets"], c)
    v.versions = [root.version, timestamp.version, snapshot.version, targets.version, lists.version]
    v.restarted = any(root.roles[r][1] != start.roles[r][1] for r in ("timestamp", "snapshot"))
    return v


def scope_of(b):
    try:
        s = read_json(b).get("scope")
    except (Bad, AttributeError):
        return None
    return 'the charter\'s scope is "%s", only "csam" is allowed' % s if s != "csam" else None


CHARTER = "charter hotline name scope jurisdictions bases kinds rpz log valid_from valid_to".split()
BASES, KINDS = ["law", "order", "voluntary"], ["url", "prefix", "host", "domain"]


def charter(b):
    try:
        c = read_json(b)
        need(len(b) <= 16 << 10, "the charter is too large")
        if c.get("scope") != "csam":
            raise Refused(scope_of(b), True)
        keys(c, *CHARTER, what="charter")
        need(c["charter"] == 1 and re.fullmatch("[a-z0-9][a-z0-9-]{0,30}", c["hotline"]), "the charter's hotline")
        for words, order in ((c["bases"], BASES), (c["kinds"], KINDS)):
            need(words and words == [w for w in order if w in words], "the charter's words")
        js = c["jurisdictions"]
        need(js and js == sorted(set(js)) and all(re.fullmatch("[A-Z]{2}", j) for j in js), "the charter's jurisdictions")
        return c
    except (Bad, AttributeError, TypeError) as e:
        raise Refused(str(e), True)


CUSTOM = "scope list seq prev epoch canon_id entries_root edge_head counts bases added removed never_block canaries".split()


def list_targets(targets, c):
    """The lists that the officers have signed: of each its edge list, auditor list and what is said of them."""
    out = {}
    for path, t in targets.items():
        m = re.fullmatch(r"csam/([a-z0-9-]+)/([a-z0-9-]+)\.(\d+)\.edge", path)
        if not m:
            continue
        custom = t["custom"]
        if custom.get("scope") != "csam":
            raise Refused('scope is "%s", only "csam" is allowed' % custom.get("scope"))
        for name in CUSTOM:
            need(name in custom, "a target without " + name)
        need(m[1] == c["hotline"] and custom["list"] == m[1] + "/" + m[2] and custom["seq"] == int(m[3]), "a target of another list")
        need(custom["prev"] < custom["seq"], "a target that follows itself")
        audit = targets[path[:-4] + "audit"]
        wrapped = re.compile(r"csam/%s/keys\.%s\.%d\.([0-9a-f]{32})\.age" % (m[1], m[2], custom["epoch"]))
        sealed = {f[1]: bytes.fromhex(targets[p]["hashes"]["sha256"]) for p in targets for f in [wrapped.fullmatch(p)] if f}
        out[custom["list"]] = dict(custom, edge=t, audit=audit, keys=sealed)
    return out


# Withdrawals.


def statement(b):
    """Body and signatures of a withdrawal."""
    need(len(b) <= 60 << 10, "a statement is too large")
    s = decode(b)
    keys(s, 1, 2, what="statement")
    w = decode(s[1])
    keys(w, *range(1, 10), what="withdrawal")
    need(w[1] == 1 and w[3] == sorted(set(w[3])) and all(len(e) == 16 for e in w[3]) and 0 < len(w[3]) <= 3000, "entries of a withdrawal")
    need(1 <= w[4] <= w[5] and w[6] >= 1 and w[7] < w[8] <= w[7] + 31 * DAY, "numbers of a withdrawal")
    sigs = [(x[1], x[2]) for x in s[2]]
    need(sigs == sorted(sigs) and len({i for i, _ in sigs}) == len(sigs), "signatures of a withdrawal")
    return w, sigs, s[1]


def signers(b, officers, threshold):
    w, sigs, body = statement(b)
    for i, sig in sigs:
        if i not in officers or not verify(officers[i], b"cordon/withdrawal/v1\n" + body, sig):
            raise Refused("no valid signature of an officer")
    if not sigs or len(w[3]) > 20 and len(sigs) < threshold:
        raise Refused("too few signatures for so many entries")
    return w, [i for i, _ in sigs], sha(body)


