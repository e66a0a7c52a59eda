package report

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/operator"
)

// witnessWithin is how long witnesses and other operators' nodes may be away before a person is told.
const witnessWithin = 5 * time.Minute

// witnessProblems are sentences about what a node says of witnessing.
func witnessProblems(s api.WitnessStatus, node string, now time.Time) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, f := range s.Forks {
		what := fmt.Sprintf("the log %s", f.Origin)
		if f.Hotline != "" {
			what = fmt.Sprintf("the public log of hotline %s (%s)", f.Hotline, f.Origin)
		}
		switch {
		case f.With > 0:
			say("the log %s that %s was shown (size %d) is no beginning of the one in the hotline's repository (size %d), and the log's key has signed both: somebody is shown another list than others; tell the hotline, its authority and other operators", f.Origin, cmp.Or(f.From, "another operator"), f.Size, f.With)
		case f.Logged:
			say("%s has signed two histories (size %d): somebody is shown another list than others. No new version of it is taken until its authority accredits another log key; tell the hotline, its authority and other operators", what, f.Size)
		default:
			say("%s has signed two histories (size %d): its operator, or who holds its key, shows different people different logs", what, f.Size)
		}
	}
	if !s.Failing.IsZero() && now.Sub(s.Failing) > witnessWithin {
		say("witnesses have not cosigned %s's checkpoints as its policy asks since %s: %s", node, clock(s.Failing), s.Problem)
	}
	for _, a := range s.Asked {
		if !a.FailingSince.IsZero() && now.Sub(a.FailingSince) > witnessWithin {
			say("witness %s has not cosigned since %s: %s (says %s)", a.Name, clock(a.FailingSince), a.Problem, node)
		}
	}
	for _, p := range s.Peers {
		if !p.FailingSince.IsZero() && now.Sub(p.FailingSince) > witnessWithin {
			say("%s, with which %s compares logs, has not answered since %s: %s", p.URL, node, clock(p.FailingSince), p.Problem)
		}
	}
	return out
}

// writeWitnesses says who has cosigned the log from outside, and what this cluster watches of others.
func writeWitnesses(w io.Writer, nodes []operator.NodeStatus) {
	best := operator.LongestLog(nodes)
	s := best.Status.Witness
	if len(s.Asked) == 0 && len(s.Watched) == 0 && len(s.Peers) == 0 {
		return
	}
	fmt.Fprintf(w, "\nWitnesses (says %s):\n", best.Status.Node.Name)
	for _, a := range s.Asked {
		switch {
		case !a.FailingSince.IsZero():
			fmt.Fprintf(w, "  %s: missing since %s: %s\n", a.Name, clock(a.FailingSince), a.Problem)
		case a.At.IsZero():
			fmt.Fprintf(w, "  %s: not asked yet\n", a.Name)
		default:
			fmt.Fprintf(w, "  %s: cosigned this log at %s\n", a.Name, clock(a.At))
		}
	}
	for _, l := range s.Watched {
		if l.Size == 0 {
			fmt.Fprintf(w, "  watches %s: nobody has asked to cosign it yet\n", l.Origin)
		} else {
			fmt.Fprintf(w, "  watches %s: cosigned up to size %d\n", l.Origin, l.Size)
		}
	}
	for _, p := range s.Peers {
		if p.FailingSince.IsZero() {
			fmt.Fprintf(w, "  compares with %s: last answer %s\n", p.URL, clock(p.At))
		} else {
			fmt.Fprintf(w, "  compares with %s: nothing to compare since %s: %s\n", p.URL, clock(p.FailingSince), p.Problem)
		}
	}
}
