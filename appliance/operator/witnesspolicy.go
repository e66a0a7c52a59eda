package operator

import "github.com/cordon-project/cordon/cluster/audit"

// CheckWitnessPolicy reads a witness policy as a cluster file or a trust file may have it, and says what is wrong with
// it and in which line.
func CheckWitnessPolicy(text string) error {
	_, err := audit.ParsePolicy(text)
	return err
}
