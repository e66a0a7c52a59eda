"""The checks that follow the log leaf by leaf: log, replay, versions, metadata, charter, publiclog, verdicts, withdrawals, orders; and
consistency."""
import leaves
import publiclog
import register
from base import Bad, encode, need, read_json, sha
from bundle import ENTRIES, METADATA, b64, entries, klass, leaf_hash, root_of, tile
from chain import Metadata, Refused, signers, statement, walk


class Unfollowed(Exception):
    """The leaves after this one cannot be followed."""


class LogMixin:
    def read_log(self, todo):
        """Reads entry bundles and the metadata before each, and holds them to the checkpoint. Gives the first member after them."""
        self.raw, self.docs, n, pending = [], [], 0, {}
        name, b = next(todo, (None, None))
        while name is not None and klass(name) in (ENTRIES, METADATA):
            if klass(name) == METADATA:
                pending[bytes.fromhex(name[9:73])] = b
                name, b = next(todo, (None, None))
                continue
            width = int(name.rsplit(".p/", 1)[1]) if ".p/" in name else 256
            need(name == tile(n, width) and len(self.raw) == 256 * n, "member %s is not in its place" % name)
            try:
                self.raw += entries(b, width)
            except Bad as e:
                self.stop("log", str(e))
            if len(self.raw) > self.cp.size:
                self.stop("log", "the bundle has more leaves than the checkpoint's %d" % self.cp.size)
            self.docs.append(pending)
            n, pending = n + 1, {}
            name, b = next(todo, (None, None))
        self.hashes = [leaf_hash(l) for l in self.raw]
        if len(self.raw) != self.cp.size:
            self.stop("log", "the bundle has %d leaves, the checkpoint says %d" % (len(self.raw), self.cp.size))
        if root_of(self.hashes) != self.cp.root:
            self.stop("log", "the leaves hash to another root: a leaf was changed, removed or moved")
        return name, b

    def follow_log(self):
        """Follows the leaves one by one."""
        self.f, self.hash = leaves.genesis(), leaves.hash_of(leaves.genesis())
        self.states, self.edges, self.orders = [(0, self.f)], {}, leaves.Orders(self.cluster, self.id, self.officers, self.members)
        self.orders.named = set(self.roots)
        self.present, self.skipped, self.publishes, self.returned, self.pending = {}, None, [], [], []
        self.last, self.signed_heads, self.statements, self.heard, self.public = {}, {}, {}, {}, {}
        self.opened, self.forked = set(), []
        self.owed, self.alone, self.alone_day = {}, {}, None
        self.epochs, self.announced = {}, {}
        self.register = register.Register(self.id, self.officers)
        first, t, named = self.genesis(), 0, set()
        try:
            for n, raw in enumerate(self.raw):
                t = self.leaf(n, raw, first, t, named)
                if n % 256 == 255 or n == len(self.raw) - 1:
                    for h in set(self.docs[n // 256]) - named:
                        self.fail("versions", "the bundle has metadata %s that the log does not name" % h.hex())
                    named = set()
        except Unfollowed:
            self.stop_here()
        if len(self.raw) < len(first):
            self.stop("log", "the cluster's first leaves are not all there")
        if t > self.cp.fresh + 300:
            self.fail("log", "the last leaf is dated after its checkpoint was signed")

    def leaf(self, n, raw, first, t, named):
        try:
            l = leaves.leaf(raw)
            need(l["n"] == n, "position %d holds a leaf numbered %d" % (n, l["n"]))
            need(l["t"] >= t, "leaf %d is dated before the leaf in front of it" % n)
            need(n >= len(first) or raw == first[n], "leaf %d is not the one that the trusted cluster file begins with" % n)
        except Bad as e:
            self.fail("log", "leaf %d: %s" % (n, e))
            raise Unfollowed()
        k, members, policy = l["k"], self.present, self.orders.policy
        self.before = self.f
        b = self.replay(l)
        if k in ("publish", "trust") and b["metadata"] != bytes(32):
            named.add(b["metadata"])
        if k == "publish":
            for key in [key for key in self.owed if key[0] == b["list"] and self.statements[key[2]][0][5] < b["seq"]]:
                del self.owed[key]
            v = self.verified(l, b)
            self.after_fork(l, b)
            if v:
                self.compare(l, b, v)
            self.keys_of(n, b)
            self.verdicts(l, b, members, policy)
            self.publishes.append((l, b))
        elif k == "rekey":
            if self.epochs.get(b["list"], 0) != b["from"]:
                self.fail("versions", "leaf %d: list %s never had keys of epoch %d" % (n, b["list"], b["from"]))
            self.announced[b["list"]] = b
        elif k == "trust":
            self.renewal(l, b, n < len(first))
        elif k == "withdraw":
            self.withdrawal(l, b)
        elif k == "fork":
            self.fork(l, b)
        elif k == "admin":
            try:
                self.register.apply(l, b, lambda role, name: (self.edges if role == "edge" else self.present).get(name))
            except Bad as e:
                self.fail("register", "leaf %d: %s" % (n, e))
        elif k == "open":
            self.opening(l, b)
        elif k == "receipts":
            for s in b["items"]:
                try:
                    self.receipt(n, s)
                except Bad as e:
                    self.fail("receipts", "leaf %d: %s" % (n, e))
        return l["t"]

    def replay(self, l):
        """What is in force after a leaf, and what the operator has decided; gives the body."""
        n, k = l["n"], l["k"]
        try:
            b = leaves.body(l)
            order = leaves.read_order(k, b) if k in leaves.ORDERS else None
        except (leaves.Unknown, Bad) as e:
            self.fail("replay", "leaf %d: %s" % (n, e))
            raise Unfollowed()
        if k == "member":
            if b["role"] == "edge":
                self.edges = leaves.enrolled(self.edges, b)
            else:
                self.present = leaves.enrolled(self.present, b)
        if k == "reject" and b["reason"] == "superseded":
            self.skipped = (n, b["list"], b["seq"])
        if k == "publish":
            self.sequence(n, b)
        self.decide(l, b, order)
        try:
            after = leaves.apply(self.f, l, b, order and order[0])
        except leaves.Rollback:  # the cause is with the versions
            raise Unfollowed()
        except Bad as e:
            self.fail("replay", "leaf %d: %s" % (n, e))
            raise Unfollowed()
        if after != self.f:
            self.f, self.hash = after, leaves.hash_of(after)
            self.states.append((n + 1, after))
        if l["f"] != self.hash:
            self.fail("replay", "leaf %d (%s): something else is in force after it than follows from the log" % (n, k))
        return b

    def genesis(self):
        c, out = self.cluster, []
        for role, all in (("control", c["members"]), ("edge", c["edges"])):
            for m in all:
                key = self.members[m["name"]] if role == "control" else b64(m["key"])
                out.append(("member", dict(action="add", role=role, name=m["name"], key=key, recipient=m.get("recipient", ""), by="")))
        versions = dict(root=0, timestamp=0, snapshot=0, targets=0, list=0)
        for h in c["hotlines"]:
            out.append(("trust", dict(hotline=h["id"], root=sha(self.roots[h["id"]]), versions=versions, metadata=bytes(32))))
        f = leaves.hash_of(leaves.genesis())
        return [encode(dict(v=1, n=i, t=c["created"], k=k, f=f, b=b)) for i, (k, b) in enumerate(out)]

    def consistency(self):
        """The log continues the one of the last visit."""
        if self.case["state"] is None:
            return
        s = read_json(self.case["state"])
        if s["cluster"] != self.id:
            self.fail("consistency", "the state of the last visit is of another cluster")
        elif s["size"] > self.cp.size:
            self.fail("consistency", "rollback: the log has %d leaves, at the last visit it had %d" % (self.cp.size, s["size"]))
        elif root_of(self.hashes[: s["size"]]).hex() != s["root"]:
            self.fail("consistency", "fork: the first %d leaves are not those of the last visit" % s["size"])
        elif s["size"] < len(self.raw) and leaves.leaf(self.raw[s["size"]])["t"] < s["fresh"] - 86400:
            self.fail("consistency", "leaf %d is dated before the last visit" % s["size"])

    def decide(self, l, b, order):
        try:
            if l["k"] == "return":
                o = order[0]["b"]
                by = {v["node"] for v in leaves.verdicts(b["verdicts"], self.id, self.members, leaves.RETURN_VERDICT, b"cordon/return-verdict/v1\n")
                      if (v["list"], v["edge"], v["high_edge"], v["entries"]) == (o["list"], o["edge"], o["high_edge"], sha(b"".join(o["entries"])))}
                need(len(by) >= len(self.members) // 2 + 1, "%d members say that the return names all that later versions left out" % len(by))
                self.returned.append((l["n"], o))
            if order:
                self.orders.accept(l, self.f, order)
            elif l["k"] == "hold":
                self.orders.hold(l, self.f, b)
            elif l["k"] == "publish":
                self.orders.publish(l, b)
        except Bad as e:
            self.fail("orders", "leaf %d: %s" % (l["n"], e))
        if l["k"] == "pin" and order:
            self.roots.setdefault(order[0]["b"]["hotline"], order[0]["b"]["document"])

    def pinned(self):
        for hotline, (n, root) in self.orders.pins.items():
            if self.accredited.get(hotline) != root:
                self.fail("hotlines", "leaf %d: hotline %s was added by the operator, and the trust file does not name this root of it" % (n, hotline))

    def sequence(self, n, p):
        cur = leaves.find(self.f, p["list"])
        if not cur:
            return
        high = leaves.high(cur)["seq"]
        if p["seq"] <= high:
            self.fail("versions", "leaf %d: list %s rolled back from sequence %d to %d" % (n, p["list"], high, p["seq"]))
        elif p["prev"] < high:
            self.fail("versions", "leaf %d: list %s follows %d, but %d was in force" % (n, p["list"], p["prev"], high))
        elif p["prev"] > high and self.skipped != (n - 1, p["list"], p["prev"]):
            self.fail("versions", "leaf %d: list %s goes from %d to %d: a version is hidden" % (n, p["list"], high, p["seq"]))

    def keys_of(self, n, p):
        """New keys of a list are announced, and old ones do not come back."""
        was, said = self.epochs.get(p["list"], 0), self.announced.pop(p["list"], None)
        self.epochs[p["list"]] = p["epoch"]
        if not was or was == p["epoch"] and not said:
            return
        if p["epoch"] < was or not said or (said["to"], said["seq"]) != (p["epoch"], p["seq"]):
            self.fail("versions", "leaf %d: list %s has keys of epoch %d after %d, and the log does not say so" % (n, p["list"], p["epoch"], was))
        elif (p["list"], p["seq"]) in self.signed_heads and said["keys"] != self.last[p["hotline"]].lists[p["list"]]["keys"].get(self.id, bytes(32)):
            self.fail("versions", "leaf %d: the keys of list %s are in another file than the log announced" % (n, p["list"]))

    def verified(self, l, b):
        what, doc, before = "leaf %d: " % l["n"], self.docs[l["n"] // 256].get(b["metadata"]), self.last.get(b["hotline"])
        if b["hotline"] not in self.roots:
            self.fail("metadata", what + "nobody pins a root of hotline " + b["hotline"])
            return None
        if doc is None:
            self.fail("metadata", what + "its metadata is missing from the bundle")
            return None
        if sha(doc) != b["metadata"]:
            self.fail("metadata", what + "metadata of another hash than the log says")
            return None
        try:
            v = walk(before.root if before else self.roots[b["hotline"]], Metadata(doc), l["t"])
            need(v.hotline == b["hotline"], "metadata of another hotline")
            need(not v.development or self.cluster["development"], "a throw-away authority")
        except Refused as e:
            self.fail("charter" if e.charter else "metadata", what + str(e))
            return None
        except (Bad, KeyError, TypeError, ValueError) as e:
            self.fail("metadata", what + str(e))
            return None
        if before:
            old, new = before.versions, v.versions
            back = [i for i in range(5) if new[i] < old[i] and not (v.restarted and i in (1, 2))]
            if back:
                self.fail("versions", what + "the hotline's metadata went back from %s to %s" % (old, new))
        self.last[b["hotline"]] = v
        return v

    def compare(self, l, p, v):
        """A publish leaf says what the hotline signed."""
        what, t = "leaf %d: " % l["n"], v.lists.get(p["list"])
        if t is None or t["seq"] != p["seq"]:
            self.fail("metadata", what + "the hotline's metadata has no such version")
        else:
            counts = [dict(kind=k, n=n) for k, n in sorted(t["counts"].items()) if n]
            bases = [dict(basis=k, n=n) for k, n in sorted(t["bases"].items()) if n]
            said = (t["prev"], t["epoch"], bytes.fromhex(t["canon_id"]), target(t["edge"]), target(t["audit"]), bytes.fromhex(t["entries_root"]), t["added"], t["removed"], counts, bases)
            leaf = (p["prev"], p["epoch"], p["canon"], (p["edge"], p["edge_size"]), (p["audit"], p["audit_size"]), p["entries_root"], p["added"], p["removed"], p["counts"], p["bases"])
            if said != leaf:
                self.fail("metadata", what + "the leaf is not what the hotline signed")
            else:
                self.signed_heads[p["list"], p["seq"]] = bytes.fromhex(t["edge_head"])
                self.public_log(l, p, v, t)
        c = v.charter
        f = dict(kinds=sorted(c["kinds"]), bases=sorted(c["bases"]), jurisdictions=sorted(c["jurisdictions"]))
        if v.charter_hash != p["charter"] or leaves.filter_hash(f) != p["filter_hash"]:
            self.fail("charter", what + "charter or filter of the leaf is not the accredited one")

    def public_log(self, l, p, v, t):
        """The version is in the public log that the charter names, and that log goes on from where it was."""
        try:
            key, before = v.charter["log"], self.public.get(p["hotline"])
            if not key:
                need(p["public_proof"] == b"", "a proof of a public log, and the charter names none")
                return
            leaf = publiclog.leaf_of(t, v.list_bytes)
            self.public[p["hotline"]] = publiclog.check(p["public_proof"], leaf, key, before, self.cluster["log_witnesses"], self.log_witnesses)
        except Bad as e:
            self.fail("publiclog", "leaf %d: %s" % (l["n"], e))

    def renewal(self, l, b, genesis):
        if b["metadata"] == bytes(32):
            if not genesis:
                self.fail("metadata", "leaf %d: it would pin a hotline anew, without any metadata" % l["n"])
            return
        v = self.verified(l, b)
        said = [b["versions"][x] for x in ("root", "timestamp", "snapshot", "targets", "list")]
        if v and (sha(v.root) != b["root"] or v.versions != said):
            self.fail("metadata", "leaf %d: root or versions are not those of the metadata" % l["n"])

    def withdrawal(self, l, b):
        what, v = "leaf %d: " % l["n"], self.last.get(b["hotline"])
        if v is None:
            self.fail("withdrawals", what + "no metadata before it says who the officers are")
            return
        try:
            w, who, i = signers(b["statement"], v.officers, v.threshold)
            need(w[7] - 600 <= l["t"] < w[8], "the statement is outside of its time")
        except (Bad, Refused) as e:
            self.fail("withdrawals", what + str(e))
            return
        self.know(i, w, len(who) >= v.threshold)
        self.alone_of(l, b, i)
        said = (b["list"], b["number"], b["seq_from"], b["seq_to"], b["hash"], b["signers"], b["owed"])
        if said != (w[2], w[6], w[4], w[5], sha(b["statement"]), who, len(who) < v.threshold):
            self.fail("withdrawals", what + "the leaf says something else than its statement")

    def alone_of(self, l, b, i):
        """No officer alone withdraws more than 20 entries in a day; what gets the missing signatures on that day does not count."""
        day, key = l["t"] // 86400, (b["list"], b["number"], i)
        if self.alone_day != day:
            self.alone_day, self.alone = day, {}
        was = self.owed.pop(key, None)
        if was and was[0] == day:
            for k in was[1]:
                self.alone[b["hotline"], k] = self.alone.get((b["hotline"], k), 0) - was[2]
        if b["owed"]:
            n = len(statement(b["statement"])[0][3])
            self.owed[key] = (day, b["signers"], n)
            for k in b["signers"]:
                self.alone[b["hotline"], k] = self.alone.get((b["hotline"], k), 0) + n
                if self.alone[b["hotline"], k] > 20:
                    self.fail("withdrawals", "leaf %d: officer %s alone has withdrawn too much on this day" % (l["n"], k))

    def know(self, i, w, complete):
        self.statements[i] = (w, complete or self.statements.get(i, (None, False))[1])

    def verdicts(self, l, p, members, policy):
        """A quorum of the members of that time has checked the files, and says which index they compile to."""
        by = {v["node"] for v in leaves.verdicts(p["verdicts"], self.id, members)
              if v["result"] == "ok" and (policy is None or v["never_block"] == policy)
              and all(v[k] == p[k] for k in ("list", "seq", "edge", "audit", "entries_root", "index"))}
        if len(by) < len(members) // 2 + 1:
            self.fail("verdicts", "leaf %d: checked and signed by %d of %d members" % (l["n"], len(by), len(members)))

    def given(self):
        """Withdrawals that came beside the bundle."""
        for s in self.case["statements"]:
            try:
                v = self.last.get(statement(s)[0][2].split("/")[0])
                if v:
                    w, who, i = signers(s, v.officers, v.threshold)
                    self.know(i, w, len(who) >= v.threshold)
            except (Bad, Refused):
                continue


def target(t):
    need(set(t["hashes"]) == {"sha256"}, "hashes of a target")
    return bytes.fromhex(t["hashes"]["sha256"]), t["length"]
