package main

import (
	"fmt"
	"os"

	"github.com/cordon-project/cordon/appliance"
)

// policyFile reads a witness policy and refuses a bad one by its line, before anything is made of it.
func policyFile(flag, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err == nil {
		err = appliance.CheckWitnessPolicy(string(b))
	}
	if err != nil {
		return "", &appliance.InputError{Err: fmt.Errorf("%s %s: %w", flag, path, err)}
	}
	return string(b), nil
}
