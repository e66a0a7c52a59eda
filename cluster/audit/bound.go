package audit

import "math"

// UpperBound is the exact one-sided upper confidence bound (Clopper and Pearson 1934) of a share of which k were found among n drawn at
// random: the greatest share at which k or fewer would still be found with a probability of 1 - confidence. It is 1 for k = n, and for numbers that
// make no sense.
func UpperBound(k, n int, confidence float64) float64 {
	if n < 1 || k < 0 || k >= n || !(confidence > 0 && confidence < 1) {
		return 1
	}
	low, high := float64(k)/float64(n), 1.0
	for range 200 { // more than the bits of a float64
		mid := (low + high) / 2
		if binomialCDF(k, n, mid) > 1-confidence {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// binomialCDF is the probability of at most k among n, each with probability p.
func binomialCDF(k, n int, p float64) float64 {
	if p <= 0 {
		return 1
	}
	if p >= 1 {
		return 0
	}
	all, _ := math.Lgamma(float64(n) + 1)
	sum := 0.0
	for i := range k + 1 {
		a, _ := math.Lgamma(float64(i) + 1)
		b, _ := math.Lgamma(float64(n-i) + 1)
		sum += math.Exp(all - a - b + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return sum
}
