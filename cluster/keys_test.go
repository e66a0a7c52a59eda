package cluster_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/clustertest"
)

type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func keysAlarm(n *cluster.Node) string {
	for _, a := range n.Status().Alarms {
		if a.What == cluster.AlarmKeys {
			return a.Text
		}
	}
	return ""
}

func TestAMemberWithAnotherClusterKeyIsNamedUntilItHasTheRightOne(t *testing.T) {
	wrong, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	log := &lines{}
	c := clustertest.New(t, clustertest.Options{
		Log: slog.New(slog.NewTextHandler(log, nil)),
		Configure: func(c *cluster.Config) {
			if c.Name == "control-2" {
				c.Identity = wrong
			}
		},
	})
	odd, at := c.Members[1], c.Members[0]
	if got := keysAlarm(odd.Node()); !strings.HasPrefix(got, "control-2 cannot open the keys of any list") || !strings.Contains(got, "cluster.agekey") {
		t.Errorf("its own alarm at once: %q, want what to check", got)
	}
	c.Leader()
	if err := at.Node().Publish(c.Context(), c.Publication(at, 1, 40, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*clustertest.Member{at, odd} {
		m.Wait("the alarm", func(n *cluster.Node) bool {
			got := keysAlarm(n)
			return strings.HasPrefix(got, "control-2 cannot open the keys of list "+string(clustertest.List)+" version 1") && strings.Contains(got, "cluster.agekey")
		})
	}
	if !strings.Contains(log.String(), "control-2 cannot open the keys of list") {
		t.Error("the log does not name the member")
	}
	odd.Stop()
	if err := odd.TryStart(func(conf *cluster.Config) { conf.Identity = c.Identity() }); err != nil {
		t.Fatal(err)
	}
	if got := keysAlarm(odd.Node()); got != "" {
		t.Errorf("alarm with the right key: %q, want none", got)
	}
	odd.Wait("a leader", func(n *cluster.Node) bool { return n.Status().Leader != "" })
	if err := at.Node().Publish(c.Context(), c.Publication(at, 2, 41, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	at.Wait("no alarm", func(n *cluster.Node) bool { return keysAlarm(n) == "" })
}
