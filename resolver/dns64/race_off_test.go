//go:build !race

package dns64

const raceEnabled = false
