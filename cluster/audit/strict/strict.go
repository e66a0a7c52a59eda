// Package strict is the CBOR of the cluster: one encoding for each value, and a reader that takes nothing else for granted.
//
// Writers use Encoding: core deterministic (RFC 8949, 4.2.1), empty slices never null. Readers use Decoding: duplicate and unknown keys, tags,
// indefinite lengths, deep nesting and counts over the limits are errors before memory is taken for them. Who needs equal bytes for equal
// values also encodes again what was read, and compares.
package strict

import "github.com/fxamacker/cbor/v2"

// maxNesting is more than any of our types has.
const maxNesting = 16

// Encoding writes the one encoding of a value. It may be used concurrently.
var Encoding = encoding()

func encoding() cbor.EncMode {
	o := cbor.CoreDetEncOptions()
	o.NilContainers = cbor.NilContainerAsEmpty
	m, err := o.EncMode()
	if err != nil {
		panic("strict: " + err.Error())
	}
	return m
}

// Options are Decoding's, for who needs to loosen one: arrays and maps have at most this many elements.
func Options(arrays, maps int) cbor.DecOptions {
	return cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		MaxArrayElements:  arrays,
		MaxMapPairs:       maps,
		MaxNestedLevels:   maxNesting,
	}
}

// Decoding is a reader with these limits; limits that the library does not know are a broken promise of the caller's and panic. It may be
// used concurrently.
func Decoding(o cbor.DecOptions) cbor.DecMode {
	m, err := o.DecMode()
	if err != nil {
		panic("strict: " + err.Error())
	}
	return m
}
