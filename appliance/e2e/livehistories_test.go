package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestHonestHistoriesOfLiveProcesses: what may happen to an honest cluster and is no lie. An auditor who visited before comes back and goes
// on from the state kept then: after a control node lost its data and took it from the others, and after every program was stopped and
// started from its disk, as an upgrade does.
func TestHonestHistoriesOfLiveProcesses(t *testing.T) {
	w := newWorld(t)
	w.startAll()
	w.publish(firstList())
	w.await("first list in force", w.bothWork)
	w.await("the auditor's first visit", func() error { return w.visit("verify", "--trust", w.trust, "--state", "visit", w.api["c1"]) })

	w.stop("c3")
	if err := os.Remove(w.join("isp", "c3", "data", "cluster", "raft.db")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(w.join("isp", "c3", "data", "cluster", "snapshots")); err != nil {
		t.Fatal(err)
	}
	w.start("c3", "cordon", "control", "--config", w.join("isp", "c3", "control.yaml"), "--rejoin")
	w.stops("after-the-loss.test")
	w.honest("a control node lost its log and took it from the others", "c3")

	names := []string{"e1", "e2", "c1", "c2", "c3"}
	for _, name := range names {
		w.stop(name)
	}
	for _, name := range names[2:] {
		w.startControl(name)
	}
	for _, name := range names[:2] {
		w.startEdge(name)
	}
	w.honest("every program is stopped and started again from its disk", "c2")
	w.stops("after-the-restart.test")
	w.honest("a version comes in after that restart", "c1")
}

// stops publishes a version with one host and waits until edges stop it.
func (w *world) stops(host string) {
	w.t.Helper()
	w.publish(rows(entry(host, "host", "order")))
	w.await(host+" in force", func() error {
		return w.onEdges(func(e string) error { return w.stopped(e, host, true) })
	})
}

// honest visits a node, from the state of the visit before, and puts the history into the table of make lies. The visit must have something to
// hold the log to, and must never fail for another reason than that the node is not up yet, has no checkpoint or is still behind: with the log, or with
// the files of a version that came when it was away.
func (w *world) honest(name, node string) {
	w.t.Helper()
	w.await(name, func() error {
		before := w.get(w.join("visit"))
		out, errs, code := w.command("cordon-audit", "verify", "--json", "--trust", w.trust, "--state", "visit", w.api[node])
		behind := strings.Contains(out, "rollback: the log has") || strings.Contains(out, "is missing from the bundle")
		if code == 5 && !behind {
			w.t.Fatalf("%s: a false alarm\n%s", name, out)
		}
		if code != 0 {
			return fmt.Errorf("exit %d\n%s%s", code, out, errs)
		}
		var r struct {
			Pass   bool
			Checks []struct {
				Name   string
				Pass   bool
				Detail string
			}
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			w.t.Fatal(err)
		}
		held := false
		for _, c := range r.Checks {
			held = held || c.Name == "consistency" && c.Pass && strings.Contains(c.Detail, "since the last visit")
		}
		if !r.Pass || !held || len(before) == 0 {
			w.t.Fatalf("%s: the log was not held to the last visit\n%s", name, out)
		}
		return nil
	})
	table = append(table, row{"nobody", name + ", by live processes", "all", "every check passes", "PASS"})
}
