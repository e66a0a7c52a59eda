package state_test

import (
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/publiclog/publiclogtest"
	"github.com/cordon-project/cordon/listsync/trust"
)

// evidence is two checkpoints of one size that the log has signed.
func evidence(w *world, log *publiclogtest.Log) command.Fork {
	lie := log.Fork(0)
	for n := range log.Size() {
		lie.Append([]byte{byte(n), 'x'})
	}
	return command.Fork{
		Hotline: string(w.hotline.ID), Log: log.VKey(), First: log.Checkpoint(log.Size()), Second: lie.Checkpoint(log.Size()), Node: "control-1",
	}
}

func TestNothingNewComesFromALogThatToldTwoStories(t *testing.T) {
	w := logged(t)
	s := w.state()
	apply(t, s, w.version(1, nil))
	w.accepted(s.View())
	told := evidence(w, w.hotline.Log)

	for name, bad := range map[string]func(*command.Fork){
		"one story twice":   func(f *command.Fork) { f.Second = f.First },
		"another key":       func(f *command.Fork) { f.Log = publiclogtest.New("other.test/log", key("other")).VKey() },
		"another hotline":   func(f *command.Fork) { f.Hotline = "nobody" },
		"a log of somebody": func(f *command.Fork) { *f = evidence(w, somebody(w)); f.Hotline = string(w.hotline.ID) },
	} {
		c := told
		bad(&c)
		before := s.View().Size
		if res := s.Apply(w.command(c)); res.Err == nil {
			t.Errorf("%s: accepted", name)
		}
		if h, _ := s.View().Hotline(w.hotline.ID); len(h.Forked) > 0 || s.View().Size > before+1 {
			t.Errorf("%s: it counts", name)
		}
	}
	res := apply(t, s, w.command(told))
	if h, _ := s.View().Hotline(w.hotline.ID); len(h.Forked) != 1 || !res.Logged {
		t.Fatalf("forked %v, %+v", h.Forked, res)
	}
	if res := s.Apply(w.command(told)); !res.Duplicate || res.Err != nil {
		t.Errorf("the same again: %+v", res)
	}
	r, err := state.Restore(w.desc, bytesOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	second := w.version(2, nil)
	refused(t, r, second, state.ReasonForked)
	refused(t, s, second, state.ReasonForked)
	apply(t, s, w.withdraw(w.withdrawal(listMain, 1, 1, 0, 1)))

	accredit := func(log string) {
		w.hotline.Charter.Log = log
		w.hotline.Accredit(time.Unix(w.now, 0))
	}
	accredit("") // no log is not another log
	refused(t, s, w.version(3, func(trust.Metadata, []byte) []byte { return nil }), state.ReasonForked)

	w.hotline.Log = publiclogtest.New("new.test/log", key("new log"))
	accredit(w.hotline.Log.VKey())
	w.logged = publiclog.Head{}
	apply(t, s, w.version(4, nil))
	if p, _, ok := s.View().Publish(listMain); !ok || p.Seq != 4 {
		t.Errorf("version %d is in force", p.Seq)
	}
	if _, err := state.Restore(w.desc, bytesOf(t, s)); err != nil {
		t.Errorf("restore: %v", err)
	}
}

// somebody is a log that is not the hotline's.
func somebody(w *world) *publiclogtest.Log {
	l := publiclogtest.New("somebody.test/log", key("somebody"))
	l.Append([]byte("leaf"))
	return l
}
