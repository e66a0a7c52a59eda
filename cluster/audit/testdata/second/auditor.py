#!/usr/bin/env python3
"""A second auditor of Cordon's bundles, written from SPEC.md and the documents it names, with nothing but Python's standard library.

    auditor.py DIR...

Each DIR holds bundle.tar, trust.json and, where the auditor has them: state.json (of the last visit), statement-0, statement-1 ...
(withdrawals beside the bundle), now and max-age (seconds, as text). For each it prints one line of JSON: the directory, the checks that
failed and why. It exits with 1 when a directory cannot be read.

Python needs to find reader.py of listsync/list (edge lists, auditor lists, indexes) beside these files or on PYTHONPATH.
"""
import json
import os
import sys
import time

from audit_log import LogMixin
from audit_lists import ListsMixin
from forks import ForksMixin
from openings import OpeningsMixin
from base import Bad, encode, keys, need, read_json, sha
from bundle import b64, checkpoint, members
from witnesses import seen


class Stop(Exception):
    """A failed check leaves nothing to build the later ones on."""


class Auditor(LogMixin, ListsMixin, OpeningsMixin, ForksMixin):
    def __init__(self, case):
        self.case, self.failed = case, {}

    def fail(self, check, why):
        self.failed.setdefault(check, []).append(why)

    def stop(self, check, why):
        self.fail(check, why)
        raise Stop()

    def stop_here(self):
        raise Stop()

    def run(self):
        try:
            self.trust_file()
            todo = members(self.case["bundle"])
            self.head(todo)
            rest = self.read_log(todo)
            self.follow_log()
            self.consistency()
            self.pinned()
            self.given()
            self.read_lists(rest, todo)
            self.receipts()
        except Bad as e:
            self.fail("bundle", str(e))
        except Stop:
            pass
        return self.failed

    def trust_file(self):
        try:
            t = read_json(self.case["trust"])
            c = t["cluster"]
            self.cluster, self.need = c, t["need"]
            self.members = {m["name"]: b64(m["key"]) for m in c["members"]}
            self.second = {m["name"]: b64(m["mldsa"]) for m in c["members"]}
            self.officers = {o["name"]: b64(o["key"]) for o in c["officers"]}
            self.roots = {h["id"]: b64(h["root"]) for h in c["hotlines"]}
            need(len(self.members) // 2 + 1 <= self.need <= len(self.members), "need")
            self.witnesses, self.log_witnesses = t["witnesses"], t["log_witnesses"]
            self.accredited = {h["id"]: sha(b64(h["root"])) for h in t["hotlines"]}
            need(not set(self.accredited) & set(self.roots) and len(self.accredited) == len(t["hotlines"]) <= 16, "a hotline is there twice")
            self.id = sha(b"cordon/cluster/v1\n" + encode(binary(c))).hex()[:32]
        except (Bad, KeyError, TypeError) as e:
            self.stop("trust", "the trust file: %s" % e)

    def head(self, todo):
        name, b = next(todo, (None, None))
        need(name == "bundle.json", "bundle is empty, or begins with something else")
        info = read_json(b)
        keys(info, "v", "cluster", "created", "since", "all", what=name)
        need(info["v"] == 2 and not (info["all"] and info["since"]), "version of the bundle")
        need(info["since"] == 0, "a part of a log, and nothing is known of what is before it")
        self.all = info["all"]
        if info["cluster"] != self.id:
            self.stop("trust", "the bundle is of cluster %s, trusted is %s" % (info["cluster"], self.id))
        name, b = next(todo, (None, None))
        if name is None:
            self.stop("checkpoint", "there is none")
        need(name == "checkpoint", "bundle has %r where its checkpoint belongs" % name)
        try:
            self.cp = checkpoint(b, self.cluster["origin"], {n: (k, self.second[n]) for n, k in self.members.items()}, self.need)
        except Bad as e:
            self.stop("checkpoint", str(e))
        age, most = self.case["now"] - self.cp.fresh, self.case.get("max_age")
        if most and age > most:
            self.fail("checkpoint", "stale: signed %d seconds ago" % age)
        if age < -300:
            self.fail("checkpoint", "dated in the future")
        self.witnessed(b, most)

    def witnessed(self, note, most):
        try:
            fresh = seen(self.witnesses, note) if self.witnesses else None
        except Bad as e:
            return self.fail("witnesses", str(e))
        if fresh is not None:
            age = self.case["now"] - fresh
            if most and age > most or age < -300:
                self.fail("witnesses", "cosigned %d seconds ago" % age)


def binary(v):
    """The cluster file's value with its base64 texts as bytes."""
    if isinstance(v, dict):
        return {k: b64(x) if k in ("key", "root", "mldsa") else binary(x) for k, x in v.items()}
    return [binary(x) for x in v] if isinstance(v, list) else v


def load(path):
    def get(name):
        try:
            with open(os.path.join(path, name), "rb") as f:
                return f.read()
        except FileNotFoundError:
            return None

    case = dict(bundle=get("bundle.tar"), trust=get("trust.json"), state=get("state.json"), statements=[])
    if case["bundle"] is None or case["trust"] is None:
        sys.exit("auditor.py: %s holds no bundle.tar and trust.json" % path)
    case["now"] = int(get("now") or time.time())
    case["max_age"] = int(get("max-age") or 0)
    while (s := get("statement-%d" % len(case["statements"]))) is not None:
        case["statements"].append(s)
    return case


def main(paths):
    if not paths:
        sys.exit(__doc__)
    for path in paths:
        print(json.dumps(dict(case=path, failed=Auditor(load(path)).run())), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
