package state

import (
	"fmt"

	"github.com/cordon-project/cordon/cluster/audit/strict"
)

var (
	encMode = strict.Encoding
	decMode = strict.Decoding(strict.Options(131072, 64))
)

// encode is for values of this module's own types, which always have an encoding.
func encode(v any) []byte {
	b, err := encMode.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("state: encode %T: %v", v, err))
	}
	return b
}
