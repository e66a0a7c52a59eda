package figures

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The noise: a two-sided geometric (discrete Laplace) number, P(z) proportional to exp(-|z| EpsilonNum/EpsilonDen). It is drawn with whole
// numbers only, after Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy" (2020), algorithms 1 and 2: floating-point
// noise can be taken off again by its last bits (Mironov 2012).
const (
	// EpsilonNum / EpsilonDen is the loss for one answer: 1/4. A visit of a page is some four questions, so a visit costs about 1.
	EpsilonNum = 1
	EpsilonDen = 4
)

// noise draws one number from random bytes.
func noise(random io.Reader) (int64, error) {
	for {
		u, err := uniform(random, EpsilonDen)
		if err != nil {
			return 0, err
		}
		if keep, err := bernoulliExp(random, u, EpsilonDen); err != nil {
			return 0, err
		} else if !keep {
			continue
		}
		v := uint64(0)
		for {
			more, err := bernoulliExp(random, 1, 1)
			if err != nil {
				return 0, err
			}
			if !more {
				break
			}
			v++
		}
		y := int64((u + EpsilonDen*v) / EpsilonNum)
		sign, err := uniform(random, 2)
		if err != nil {
			return 0, err
		}
		switch {
		case sign == 1 && y == 0: // or 0 would come twice as often
			continue
		case sign == 1:
			return -y, nil
		}
		return y, nil
	}
}

// bernoulliExp is true with probability exp(-num/den), 0 <= num <= den.
func bernoulliExp(random io.Reader, num, den uint64) (bool, error) {
	for k := uint64(1); ; k++ {
		if k > 1000 { // of honest bytes never: 1 in 1000! times
			return false, fmt.Errorf("noise: the source of random numbers does not give any")
		}
		u, err := uniform(random, den*k)
		if err != nil {
			return false, err
		}
		if u >= num {
			return k%2 == 1, nil
		}
	}
}

// uniform is one of 0 to n-1, each as likely; n is far below 2^64.
func uniform(random io.Reader, n uint64) (uint64, error) {
	limit := ^uint64(0) - ^uint64(0)%n // a multiple of n
	for range 1000 {
		var b [8]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return 0, fmt.Errorf("noise: %w", err)
		}
		if x := binary.LittleEndian.Uint64(b[:]); x < limit {
			return x % n, nil
		}
	}
	return 0, fmt.Errorf("noise: the source of random numbers does not give any")
}
