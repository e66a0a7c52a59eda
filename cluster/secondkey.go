package cluster

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/cluster/audit"
)

// secondKey lets this member cosign with its ML-DSA half too, when the cluster file has one for it. Without the very same one its
// cosignatures would never count.
func (n *Node) secondKey() error {
	i := slices.IndexFunc(n.c.Cluster.Members, func(m audit.MemberKey) bool { return m.Name == n.c.Name })
	if i < 0 || len(n.c.Cluster.Members[i].MLDSA) == 0 {
		return nil
	}
	if n.c.MLDSA == nil {
		return fmt.Errorf("the cluster file has an ML-DSA key for %s, and its node key was loaded without one", n.c.Name)
	}
	pub, ok := n.c.MLDSA.Public().(interface{ Bytes() []byte })
	if !ok || !bytes.Equal(pub.Bytes(), n.c.Cluster.Members[i].MLDSA) {
		return fmt.Errorf("the ML-DSA half of %s's node key is not the one in the cluster file: copy node.key and cluster.json from the folder cordon init made", n.c.Name)
	}
	signer, err := n.signer.WithMLDSA(n.c.MLDSA)
	if err != nil {
		return err
	}
	n.signer = signer
	return nil
}
