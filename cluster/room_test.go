package cluster_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/clustertest"
)

func TestALogThatIsHalfFullIsAlarmed(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{Members: 1})
	n := c.Leader().Node()
	v := *n.View()
	at := func(filled int) (cluster.Alarm, bool) {
		v.Filled = filled
		s := n.StatusOf(&v)
		if s.LogFilled != filled {
			t.Errorf("status: %d percent, want %d", s.LogFilled, filled)
		}
		i := slices.IndexFunc(s.Alarms, func(a cluster.Alarm) bool { return a.What == cluster.AlarmLogFull })
		if i < 0 {
			return cluster.Alarm{}, false
		}
		return s.Alarms[i], true
	}
	if a, up := at(49); up {
		t.Errorf("49 percent: alarm %+v, want none", a)
	}
	first, up := at(50)
	if !up || first.What != "log_full" || !strings.Contains(first.Text, "50 percent") {
		t.Errorf("50 percent: alarm %+v, want log_full in words", first)
	}
	later, up := at(80)
	if !up || !later.Since.Equal(first.Since) || !strings.Contains(later.Text, "80 percent") {
		t.Errorf("80 percent: alarm %+v, want it since %s still", later, first.Since)
	}
}
