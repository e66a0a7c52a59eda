package guard

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cordon-project/cordon/resolver/wire"
)

// reader asks for names as fast as it is let, for a day, and counts the listed ones it has learnt. Of the names in its dictionary a share
// listed is on the list; size is how many there are.
func reader(t testing.TB, g *Guard, listed float64, size int) (learnt, asked int) {
	r := rand.New(rand.NewPCG(5, 6))
	c := from("10.0.0.1", wire.UDP)
	for at := time.Duration(0); at < 24*time.Hour && asked < size; {
		ticket, v := g.Admit(c, at)
		if v != Pass {
			at += max(time.Millisecond, at/3_000)
			continue
		}
		asked++
		if r.Float64() < listed {
			learnt++
			g.Met(ticket, uint64(learnt))
		}
	}
	return learnt, asked
}

// TestWhatOneSourceLearnsInADay measures attack 1: docs/security.md has the table that this logs. The dictionary of the Finnish case had 785
// listed names of 100,000; the perfect one has nothing but listed names.
func TestWhatOneSourceLearnsInADay(t *testing.T) {
	for _, tt := range []struct {
		budget                int
		finnish, good, always int // at most
	}{
		{8, 75, 90, 120}, {32, 250, 290, 360}, {128, 785, 1100, 1300},
	} {
		for _, d := range []struct {
			name   string
			listed float64
			size   int
			most   int
		}{
			{"785 of 100,000", 0.00785, 100_000, tt.finnish},
			{"one of 10", 0.1, 1 << 30, tt.good},
			{"all", 1, 1 << 30, tt.always},
		} {
			learnt, asked := reader(t, newGuard(t, Config{Budget: tt.budget}), d.listed, d.size)
			t.Logf("budget %d, %s listed: %d learnt with %d questions", tt.budget, d.name, learnt, asked)
			if learnt > d.most {
				t.Errorf("budget %d, %s listed: %d learnt, want at most %d", tt.budget, d.name, learnt, d.most)
			}
			if learnt < min(tt.budget, 785) {
				t.Errorf("budget %d, %s listed: only %d learnt: it was slowed down within the budget", tt.budget, d.name, learnt)
			}
		}
	}
}

// TestABudgetCountsEntriesAndNotQuestions: whoever meets the same few names all day is not slowed down.
func TestABudgetCountsEntriesAndNotQuestions(t *testing.T) {
	g := newGuard(t, Config{Questions: 1000})
	for i := range 80_000 {
		ticket, v := g.Admit(from("10.0.0.1", wire.UDP), time.Duration(i)*time.Second)
		if v != Pass {
			t.Fatalf("question %d got %d", i, v)
		}
		g.Met(ticket, uint64(i%(DefaultBudget*3/4)))
	}
	if c := g.Counts(); c != (Counts{}) {
		t.Errorf("counts are %+v", c)
	}
}

// meet lets a client meet n entries at one moment.
func meet(t testing.TB, g *Guard, addr string, at time.Duration, n int) {
	t.Helper()
	for i := range n {
		ticket, v := g.Admit(from(addr, wire.UDP), at)
		if v != Pass {
			t.Fatalf("%s: question %d got %d", addr, i, v)
		}
		g.Met(ticket, uint64(i))
	}
}

// passing counts how many of a client's questions pass in ten seconds of a thousand each.
func passing(g *Guard, addr string, at time.Duration) (n int) {
	for ms := range 10_000 {
		if _, v := g.Admit(from(addr, wire.TCP), at+time.Duration(ms)*time.Millisecond); v == Pass {
			n++
		}
	}
	return n
}

func TestAboveItsBudgetAClientIsSlowedDownForADayAndNobodyElseIs(t *testing.T) {
	const hour = time.Hour
	g := newGuard(t, Config{Questions: 800, Budget: 20})
	meet(t, g, "10.0.0.1", hour, 18) // the sketch counts 20 as 19 to 22
	if n := passing(g, "10.0.0.1", hour+time.Minute); n < 8000 {
		t.Errorf("within the budget %d of 10000 passed", n)
	}
	meet(t, g, "10.0.0.1", hour+2*time.Minute, 35)
	if n := passing(g, "10.0.0.1", hour+3*time.Minute); n < 1000 || n > 1500 {
		t.Errorf("above it %d of 10000 passed, want a hundred a second and the burst", n)
	}
	if n := passing(g, "10.0.0.2", hour+3*time.Minute); n < 8000 {
		t.Errorf("of a neighbour's %d of 10000 passed", n)
	}
	if n := passing(g, "10.0.0.1", 24*hour+30*time.Minute); n > 1500 {
		t.Errorf("half an hour before the day is over %d of 10000 passed", n)
	}
	if n := passing(g, "10.0.0.1", 25*hour+time.Minute); n < 8000 {
		t.Errorf("when the day was over %d of 10000 passed", n)
	}
	if c := g.Counts(); c.Sources != 1 || c.Slowed == 0 || c.Limited < c.Slowed {
		t.Errorf("counts are %+v", c)
	}
}

// TestASlowedClientStaysSlowWhenItsBucketIsForgotten: a flood of other sources takes its slot, not its mark.
func TestASlowedClientStaysSlowWhenItsBucketIsForgotten(t *testing.T) {
	g := newGuard(t, Config{Questions: 800, Budget: 20})
	meet(t, g, "10.0.0.1", time.Hour, 35)
	clear(g.buckets.slots[:])
	if n := passing(g, "10.0.0.1", time.Hour+time.Minute); n > 1500 {
		t.Errorf("%d of 10000 passed", n)
	}
}

// TestTheLatestOfSlowedClientsStaysSlowForItsDay: that of another one is over before.
func TestTheLatestOfSlowedClientsStaysSlowForItsDay(t *testing.T) {
	const hour = time.Hour
	g := newGuard(t, Config{Questions: 800, Budget: 20})
	meet(t, g, "10.0.0.1", hour, 35)
	meet(t, g, "10.0.0.2", 20*hour, 35)
	clear(g.buckets.slots[:])
	if n := passing(g, "10.0.0.2", 43*hour); n > 1500 {
		t.Errorf("%d of 10000 passed", n)
	}
	if n := passing(g, "10.0.0.1", 43*hour); n < 8000 {
		t.Errorf("of the one whose day is over %d of 10000 passed", n)
	}
}

// TestSourcesNearTheirBudgetAreNotDrivenOut: many made-up sources that met one entry each drive out one another.
func TestSourcesNearTheirBudgetAreNotDrivenOut(t *testing.T) {
	g := newGuard(t, Config{Questions: 800, Budget: 20})
	meet(t, g, "10.0.0.1", time.Hour, 15)
	for i := range 60_000 {
		g.Met(Ticket{client: rand.Uint64(), at: tick(time.Hour), standing: limited}, uint64(i))
	}
	meet(t, g, "10.0.0.1", time.Hour, 35)
	if n := passing(g, "10.0.0.1", time.Hour+time.Minute); n > 1500 {
		t.Errorf("%d of 10000 passed", n)
	}
}

func TestLevelsRiseWithEachBudget(t *testing.T) {
	s := newSources(DefaultBudget)
	for met := range 600 {
		s.note(1<<40, tick(time.Hour), mix(uint64(met)^0x9e3779b97f4a7c15, 0xd1b54a32d192ed03))
		// The sketch counts within a sixth.
		low, high := (met+1)*5/6, (met+1)*7/6
		level := s.level(1<<40, tick(time.Hour))
		if level < min(maxLevel, (low-1)/DefaultBudget) || level > min(maxLevel, (high-1)/DefaultBudget+1) {
			t.Errorf("after %d entries the level is %d", met+1, level)
		}
	}
}
