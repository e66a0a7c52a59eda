package state

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

var encMode = func() cbor.EncMode {
	o := cbor.CoreDetEncOptions()
	o.NilContainers = cbor.NilContainerAsEmpty
	return must(o.EncMode())
}()

var decMode = must(cbor.DecOptions{
	DupMapKey:         cbor.DupMapKeyEnforcedAPF,
	IndefLength:       cbor.IndefLengthForbidden,
	TagsMd:            cbor.TagsForbidden,
	ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	MaxArrayElements:  131072,
	MaxMapPairs:       64,
	MaxNestedLevels:   16,
}.DecMode())

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("state: %v", err))
	}
	return v
}

// encode is for values of this module's own types, which always have an encoding.
func encode(v any) []byte {
	b, err := encMode.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("state: encode %T: %v", v, err))
	}
	return b
}
