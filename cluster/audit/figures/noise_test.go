package figures

import (
	"math"
	"math/rand/v2"
	"testing"
)

// seeded is a source of random bytes that gives the same ones each time.
func seeded(b byte) *rand.ChaCha8 {
	var seed [32]byte
	for i := range seed {
		seed[i] = b
	}
	return rand.NewChaCha8(seed)
}

// TestNoiseHasTheStatedDistribution compares 200,000 numbers with P(z) = (1-p)/(1+p) p^|z|, p = exp(-1/4), by chi-square over -20..20 and the
// two tails. The seed is fixed, so the result is.
func TestNoiseHasTheStatedDistribution(t *testing.T) {
	const n, reach = 200_000, 20
	random := seeded(1)
	var seen [2*reach + 3]int
	var sum, squares float64
	for range n {
		z, err := noise(random)
		if err != nil {
			t.Fatal(err)
		}
		seen[min(max(z, -reach-1), reach+1)+reach+1]++
		sum += float64(z)
		squares += float64(z * z)
	}
	p := math.Exp(-float64(EpsilonNum) / EpsilonDen)
	at := func(z int) float64 { return (1 - p) / (1 + p) * math.Pow(p, math.Abs(float64(z))) }
	tail := math.Pow(p, reach+1) / (1 + p)
	chi := 0.0
	for i, got := range seen {
		z := i - reach - 1
		want := n * at(z)
		if z < -reach || z > reach {
			want = n * tail
		}
		chi += (float64(got) - want) * (float64(got) - want) / want
	}
	// 42 degrees of freedom: above 76.1 once in a thousand seeds, and one that is wrong by a few per cent is in the hundreds.
	if chi > 76.1 {
		t.Errorf("chi-square is %.1f with 42 degrees of freedom", chi)
	}
	if mean := sum / n; math.Abs(mean) > 0.06 {
		t.Errorf("mean %.3f", mean)
	}
	if v := squares / n; v > Variance*1.02 || v < Variance*0.95 {
		t.Errorf("variance %.2f, %d is stated", v, Variance)
	}
	beyond := 0.0
	for z := Error95 + 1; z < 400; z++ {
		beyond += 2 * at(z)
	}
	if beyond > 0.05 {
		t.Errorf("the noise is beyond %d with a probability of %.3f", Error95, beyond)
	}
}

// TestABrokenSourceEnds: bytes that are all the same make no number, and no endless loop.
func TestABrokenSourceEnds(t *testing.T) {
	for _, b := range []byte{0, 0xff} {
		if z, err := noise(same(b)); err == nil {
			t.Errorf("bytes %#x give the number %d", b, z)
		}
	}
}

type same byte

func (s same) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s)
	}
	return len(b), nil
}
