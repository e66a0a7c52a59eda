package cluster_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/resolver/match"
)

// TestStatusHasStableNamesInJSON is what monitoring relies on: who changes a
// name here breaks it.
func TestStatusHasStableNamesInJSON(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	full := cluster.Status{
		Name: "control-1", Role: "follower", Term: 3, Leader: "control-2",
		LeaderlessAt: at, LeaderlessFor: cluster.Seconds(1500 * time.Millisecond), Halted: "why", HaltedAt: at, Fenced: true,
		LogSize: 9, LogFilled: 51, LastTime: at, CheckpointSize: 8, CheckpointAt: at, CheckpointAge: cluster.Seconds(20 * time.Second),
		CosignedBy: []string{"control-1"},
		Members:    []cluster.MemberStatus{{Name: "control-2", Self: true, Leader: true, LastContact: at, FailingSince: at, Problem: "silent"}},
		Lists:      []cluster.ListStatus{{List: "h/l", Hotline: "h", Seq: 1, Epoch: 2, Entries: 3, Leaf: 4, Index: "ff", Bases: []audit.BasisCount{{Basis: "law", N: 3}}, Since: at, Expires: at, Newest: 1, Logged: 7, Missing: 5}},
		Alarms:     []cluster.Alarm{{What: "clock", Text: "wrong", Since: at}},
		Refused:    7,
		Refusals: []cluster.Refusal{{Refused: state.Refused{
			Leaf: 6, Time: at.Unix(), Hotline: "h", List: "h/l", Seq: 2, Stage: "apply", Reason: "expired", Detail: "d", Node: "control-3",
		}}},
		Held: []cluster.HeldStatus{{List: "h/l", Seq: 3, Brake: "growth", Since: at, Leaf: 8, Edge: "aa", NeverBlock: "bb", Approved: true}},
		Orders: cluster.OrderStatus{
			Cluster: "cc", Officers: []string{"ada"}, Numbers: map[string]uint64{"policy": 2}, NeverBlock: "bb",
			Policy: &cluster.PolicyStatus{NeverBlock: "dd", Names: 4, Since: at}, Bypass: at,
			Suppressed: []cluster.SuppressedStatus{{List: "h/l", Entry: match.EntryID{1}, Until: at, Number: 5}},
		},
		Known: []cluster.KnownHotline{{ID: "h"}, {ID: "i", Order: 1, Root: "ee", Since: at, Leaf: 9}}, Development: true,
		Receipts: cluster.ReceiptStatus{Queued: 1, Accepted: 2, Dropped: 3}, ConnsRefused: 4,
	}
	for _, tc := range []struct {
		name   string
		status cluster.Status
		want   string
	}{
		{"all of it", full, `{"name":"control-1","role":"follower","term":3,"leader":"control-2",
			"leaderless_at":"2026-03-01T12:00:00Z","leaderless_seconds":1.5,"halted":"why","halted_at":"2026-03-01T12:00:00Z","fenced":true,
			"log_size":9,"log_filled_percent":51,"last_time":"2026-03-01T12:00:00Z","checkpoint_size":8,
			"checkpoint_at":"2026-03-01T12:00:00Z","checkpoint_age_seconds":20,"cosigned_by":["control-1"],
			"members":[{"name":"control-2","self":true,"leader":true,"last_contact":"2026-03-01T12:00:00Z",
				"failing_since":"2026-03-01T12:00:00Z","problem":"silent"}],
			"lists":[{"list":"h/l","hotline":"h","seq":1,"epoch":2,"entries":3,"leaf":4,"index":"ff","bases":[{"basis":"law","n":3}],"since":"2026-03-01T12:00:00Z",
				"expires":"2026-03-01T12:00:00Z","newest":1,"public_log":7,"missing_files":5}],
			"alarms":[{"what":"clock","text":"wrong","since":"2026-03-01T12:00:00Z"}],
			"refused":7,"refusals":[{"leaf":6,"time":"2026-03-01T12:00:00Z","hotline":"h","list":"h/l","seq":2,"stage":"apply",
				"reason":"expired","detail":"d","node":"control-3"}],
			"held":[{"list":"h/l","seq":3,"brake":"growth","since":"2026-03-01T12:00:00Z","leaf":8,"edge":"aa","never_block":"bb","approved":true}],
			"orders":{"cluster":"cc","officers":["ada"],"numbers":{"policy":2},"never_block":"bb","never_block_names":0,
				"policy":{"never_block":"dd","names":4,"since":"2026-03-01T12:00:00Z"},
				"suppressed":[{"list":"h/l","entry":"01000000000000000000000000000000","until":"2026-03-01T12:00:00Z","number":5}],
				"bypass_until":"2026-03-01T12:00:00Z"},
			"hotlines":[{"id":"h"},{"id":"i","order":1,"root":"ee","since":"2026-03-01T12:00:00Z","leaf":9}],"development":true,
			"receipts":{"queued":1,"accepted":2,"dropped":3},"connections_refused":4}`},
		{"no times", cluster.Status{Members: []cluster.MemberStatus{{}}, Lists: []cluster.ListStatus{}, Alarms: []cluster.Alarm{}},
			`{"name":"","role":"","term":0,"leader":"","halted":"","fenced":false,"log_size":0,"log_filled_percent":0,"checkpoint_size":0,
			"cosigned_by":null,"members":[{"name":"","self":false,"leader":false,"problem":""}],"lists":[],"alarms":[],
			"refused":0,"refusals":null,"held":null,"orders":{"cluster":"","officers":null,"numbers":null,"never_block":"","never_block_names":0,"policy":null,"suppressed":null},"hotlines":null,"development":false,"receipts":{"queued":0,"accepted":0,"dropped":0},"connections_refused":0}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := json.Marshal(tc.status)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.NewReplacer("\n", "", "\t", "").Replace(tc.want)
			if string(got) != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			var again cluster.Status
			if err := json.Unmarshal(got, &again); err != nil || !reflect.DeepEqual(again, tc.status) {
				t.Errorf("read back: %v\ngot  %+v\nwant %+v", err, again, tc.status)
			}
		})
	}
}
