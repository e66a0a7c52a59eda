"""The checks that need the list files: lists, versions (hidden ones), orders (what a return left out), receipts."""
import leaves
import reader
from base import Bad, decode, need, sha, typed, verify
from bundle import root_of

H = (bytes, 32)
RECEIPT = dict(v=int, cluster=str, edge=str, counter=int, state=H, size=int, root=H, time=int)


class ListsMixin:
    def read_lists(self, rest, todo):
        """The list files, by list and sequence: an edge list and its auditor list, or a delta that makes both of the version before."""
        name, b = rest
        versions = sorted((p for _, p in self.publishes), key=lambda p: (p["list"], p["seq"]))
        order, of = [], {}
        for p in versions:
            for h in (p["edge"], p["audit"]):
                if h not in of:
                    order.append(h)
                of.setdefault(h, []).append(p)
        self.times = {(p["list"], p["seq"]): l["t"] for l, p in self.publishes}
        wanted = set(order) if self.all else self.in_force_files()
        place, found, self.indexes, self.ids, last = -1, set(), {}, {}, None
        while name is not None:
            h, delta = bytes.fromhex(name.split("/")[1]), name.startswith("deltas/")
            need(not delta or self.all, "member %s is not one of a bundle of what is in force" % name)
            p = of[h][0] if h in of else None
            if p is None or delta and h != p["edge"]:
                self.fail("versions", "the bundle has a file that the log does not name: a hidden version")
            else:
                need(order.index(h) > place, "member %s is not in the order of the log" % name)
                place = order.index(p["audit"] if delta else h)
                found |= {p["edge"], p["audit"]} if delta else {h}
                if delta:
                    before = of[order[order.index(h) - 1]][0] if order.index(h) else None
                    last = self.delta(b, of, p, before, last)
                else:
                    last = self.list_file(h, b, of[h], last)
            name, b = next(todo, (None, None))
        for h in order:
            if h in wanted and h not in found:
                self.fail("lists", "file %s is missing from the bundle" % h.hex()[:16])
        self.returns()

    def in_force_files(self):
        """What a bundle must have that is not one of every version."""
        out = {h for l in self.f["lists"] for h in (l["edge"], l["audit"])}
        return out | {o["high_edge"] for n, o in self.returned if self.stands(n, o)}

    def stands(self, n, o):
        """Whether what a return put in force still is."""
        l = leaves.find(self.f, o["list"])
        if not l or l["edge"] != o["edge"] or leaves.high(l)["seq"] != o["high"] or l["seq"] == o["high"]:
            return False
        return not any(later > n and other["list"] == o["list"] for later, other in self.returned)

    def list_file(self, h, b, of, last):
        """One list file. Gives what the next member builds on: version, header, edge list, and the auditor list when that is known."""
        p = of[0]
        edge = h == p["edge"]
        what = "%s of %s sequence %d: " % ("edge list" if edge else "auditor list", p["list"], p["seq"])
        if len(b) != p["edge_size" if edge else "audit_size"] or sha(b) != h:
            self.fail("lists", what + "not the file that the log names")
            return None if edge else last and last[:3] + (None,)
        try:
            return self.edge_list(h, b, of, what) if edge else self.audit_list(b, of, what, last)
        except SystemExit as e:  # reader.py's way of saying no
            self.fail("lists", what + str(e))
            return None

    def delta(self, b, of, p, before, last):
        what = "delta to %s sequence %d: " % (p["list"], p["seq"])
        if last is None or last[3] is None or before is None or last[0] is not before or before["list"] != p["list"]:
            self.fail("lists", what + "the version before it is not in the bundle, or did not pass")
            return None
        try:
            edge, audit = reader.apply_delta(last[2], last[3], b)
        except SystemExit as e:
            self.fail("lists", what + str(e))
            return None
        return self.list_file(p["audit"], audit, of[p["audit"]], self.list_file(p["edge"], edge, of[p["edge"]], None))

    def edge_list(self, h, b, of, what):
        header, records = reader.read_edge(b)
        counts = reader.counts_of(records)
        named = dict(zip(("url", "prefix", "host", "domain", "steer", "canary", "decoy"), counts))
        good = len(self.failed.get("lists", []))
        for p in of:
            if (header.list, header.seq, header.epoch, header.canon) != (p["list"], p["seq"], p["epoch"], p["canon"]):
                self.fail("lists", what + "it says inside that it is another list")
            signed = {c["kind"]: c["n"] for c in p["counts"]}
            if any(named.get(k) != n for k, n in signed.items()) or any(signed.get(k, 0) != named[k] for k in ("url", "prefix", "host", "domain")):
                self.fail("lists", what + "it has other counts than were signed")
            head = self.signed_heads.get((p["list"], p["seq"]))
            if head is not None and head != reader.head_hash(b):
                self.fail("lists", what + "it has another head than was signed")
            latest = self.times[p["list"], p["seq"]] + 181 * 86400
            if any(r[4][1] != reader.DECOY and reader.u32(r[4], 12) > latest for r in records):
                self.fail("lists", what + "an entry is signed to live longer than 180 days without a new assessment")
        if len(self.failed.get("lists", [])) > good:
            return None
        self.indexes[h] = reader.head_hash(reader.make_index(b))
        bases = {}
        for r in records:
            if r[1] != reader.STEER:
                bases[r[4][3]] = bases.get(r[4][3], 0) + 1
        words = [dict(basis=w, n=bases[i]) for i, w in ((1, "law"), (2, "order"), (3, "voluntary")) if i in bases]
        for p in of:
            if p["index"] != self.indexes[h]:
                self.fail("lists", what + "its leaf names an index that does not follow from the list")
            if p["bases"] != words:
                self.fail("lists", what + "it has other counts by legal basis than were signed")
        self.ids[h] = sorted({r[2] for r in records if r[4][1] != reader.DECOY})
        return of[0], header, b, None

    def audit_list(self, b, of, what, last):
        header, edge_head, commitments = reader.read_audit(b)
        for p in of:
            if (header.list, header.seq, header.epoch, header.canon) != (p["list"], p["seq"], p["epoch"], p["canon"]):
                self.fail("lists", what + "it says inside that it is another list")
            if reader.root_of(commitments) != p["entries_root"]:
                self.fail("lists", what + "it has another entries root than was signed")
        if last is None or last[0] is not of[0]:
            return None
        if reader.head_hash(last[2]) != edge_head or last[1].records != header.records:
            self.fail("lists", what + "it is of another edge list")
            return None
        return last[:3] + (b,)

    def returns(self):
        """A return names all that later versions left out, and nothing else: compared in the files."""
        for n, o in self.returned:
            to, high = self.ids.get(o["edge"]), self.ids.get(o["high_edge"])
            if o["edge"] == o["high_edge"]:
                to = high = []
            if not self.all and not self.stands(n, o) and (to is None or high is None):
                continue  # a note: it was not held to the files
            if to is None or high is None:
                self.fail("orders", "leaf %d: what the return should leave out is not known" % n)
            elif sorted(set(to) - set(high)) != o["entries"]:
                self.fail("orders", "leaf %d: the return names other entries than later versions left out" % n)

    def receipt(self, n, s):
        """What a receipt says besides the state, which is compared when the lists have been read."""
        r = decode(s["body"])
        direct = r.get("direct", [])
        typed(r, dict(RECEIPT, direct=list) if "direct" in r else RECEIPT, "receipt")
        need(r["v"] == (2 if "direct" in r else 1) and direct == sorted(set(direct)) and len(direct) <= 32, "receipt")
        key = self.edges.get(r["edge"])
        need(key is not None, "receipt of edge %s, which was not enrolled then" % r["edge"])
        need(verify(key, b"cordon/receipt/v1\n" + s["body"], s["sig"]), "receipt of edge %s: signature does not verify" % r["edge"])
        what, before = "edge %s counter %d: " % (r["edge"], r["counter"]), self.heard.get((r["edge"], key))
        need(before is None or r["counter"] > before["counter"], what + "replayed")
        self.heard[r["edge"], key] = r
        need(r["cluster"] == self.id, what + "it is of another cluster")
        need(before is None or r["size"] >= before["size"], what + "it went back to a smaller log")
        need(r["size"] <= n and root_of(self.hashes[: r["size"]]) == r["root"], what + "the edge was shown another log")
        self.pending.append((what, r, direct))

    def receipts(self):
        for what, r, direct in self.pending:
            try:
                self.state(what, r, direct)
            except Bad as e:
                self.fail("receipts", str(e))

    def state(self, what, r, direct):
        f = next(f for size, f in reversed(self.states) if size <= r["size"])
        for i in direct:
            need(i in self.statements, what + "it removes what a withdrawal says that the log does not have")
            w, complete = self.statements[i]
            need(complete, what + "it removes what a withdrawal says that lacks the officers' threshold")
            cur = leaves.find(f, w[2])
            if not cur or cur["seq"] <= w[5]:
                f = leaves.withdraw(f, w[2], w[3], w[6], w[4], w[5])
        said = {p["edge"]: p["index"] for _, p in self.publishes}
        need(leaves.state_id(f, lambda l: self.indexes.get(l["edge"], said[l["edge"]])) == r["state"], what + "its index is not compiled from the signed lists, or something is removed that the log does not say")
