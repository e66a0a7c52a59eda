package cluster_test

import (
	"errors"
	"testing"

	"github.com/cordon-project/cordon/cluster/clustertest"
	"github.com/cordon-project/cordon/cluster/command"
)

func TestForwardedBytesThatAreNoCommandAreToldApart(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	for _, m := range []*clustertest.Member{c.Leader(), c.Followers()[0]} {
		for _, tc := range []struct {
			name string
			b    []byte
			want error
		}{
			{"nothing", nil, command.ErrFormat},
			{"no CBOR", []byte("{}"), command.ErrFormat},
			{"an empty map", []byte{0xa0}, command.ErrUnknown},
			{"a reserved kind", []byte("\xa4\x61b\xa0\x61k\x67feature\x61t\x01\x61v\x01"), command.ErrUnknown},
			{"too much", make([]byte, command.MaxSize+1), command.ErrTooLarge},
		} {
			if out, err := m.Node().Forwarded(c.Context(), tc.b); !errors.Is(err, tc.want) {
				t.Errorf("%s on %s: %x, %v; want %v", tc.name, m.Name, out, err, tc.want)
			}
		}
	}
}
