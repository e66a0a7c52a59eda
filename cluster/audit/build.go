package audit

import (
	"cmp"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"strings"
)

// Build is what a node says of the program it runs: the SHA-256 of the file that was started.
type Build struct {
	V       int      `cbor:"v"` // 1
	Cluster string   `cbor:"cluster"`
	Role    string   `cbor:"role"` // RoleControl or RoleEdge
	Name    string   `cbor:"name"`
	Program string   `cbor:"program"`
	Version string   `cbor:"version"` // as the program was built; for people
	Digest  [32]byte `cbor:"digest"`
	Time    int64    `cbor:"time"`
}

// SignedBuild is a build's canonical bytes and the node's Ed25519 signature over "cordon/build/v1\n" || Body. It is the node's own word: a node
// that was taken over can say what it likes.
type SignedBuild struct {
	Body []byte `cbor:"body"`
	Sig  []byte `cbor:"sig"`
}

// SignBuild signs with the node's key.
func SignBuild(b Build, key crypto.Signer) SignedBuild {
	b.V = signedVersion
	body := encode(b)
	return SignedBuild{Body: body, Sig: sign(key, append([]byte(buildTag), body...))}
}

// VerifyBuild checks form and signature. Errors: ErrSignature, ErrFormat, ErrTooLarge.
func VerifyBuild(s SignedBuild, key ed25519.PublicKey) (Build, error) {
	b, err := s.Build()
	if err != nil {
		return Build{}, err
	}
	if !verify(key, buildTag, s.Body, s.Sig) {
		return Build{}, fmt.Errorf("build of %s %s: %w", b.Role, b.Name, ErrSignature)
	}
	return b, nil
}

// Build reads the body without verifying the signature.
func (s SignedBuild) Build() (Build, error) {
	var b Build
	if err := decode(s.Body, maxSigned, "build", &b); err != nil {
		return Build{}, err
	}
	if b.V != signedVersion || b.Role != RoleControl && b.Role != RoleEdge || b.Time < 0 || b.Time > maxTime || b.Digest == ([32]byte{}) {
		return Build{}, fmt.Errorf("build: %w", ErrFormat)
	}
	if err := checkClusterID(b.Cluster); err != nil {
		return Build{}, err
	}
	if err := checkName("node", b.Name); err != nil {
		return Build{}, err
	}
	if err := checkName("program", b.Program); err != nil {
		return Build{}, err
	}
	return b, checkBuildVersion(b.Version)
}

// checkBuildVersion accepts what Go writes as a module's version, or nothing.
func checkBuildVersion(v string) error {
	ok := len(v) <= 64
	for i := 0; ok && i < len(v); i++ {
		c := v[i]
		ok = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(".-+_()", c) >= 0
	}
	if !ok {
		return fmt.Errorf("version %q of a program: %w", clip(v), ErrFormat)
	}
	return nil
}

// Encode returns the build as it travels.
func (s SignedBuild) Encode() []byte { return encode(s) }

// DecodeSignedBuild reads Encode's bytes strictly, body included; it verifies no signature.
func DecodeSignedBuild(b []byte) (SignedBuild, error) {
	var s SignedBuild
	if err := decode(b, maxSigned+256, "signed build", &s); err != nil {
		return SignedBuild{}, err
	}
	_, err := s.Build()
	return s, err
}

// Builds are what nodes said of their programs, each only when it was new.
type Builds struct {
	Items []SignedBuild `cbor:"items"`
}

func (Builds) act() string { return ActBuild }

func (b Builds) check() error {
	if len(b.Items) == 0 || len(b.Items) > MaxBuilds {
		return fmt.Errorf("%d builds in one leaf, 1 to %d: %w", len(b.Items), MaxBuilds, ErrTooLarge)
	}
	for _, s := range b.Items {
		if _, err := s.Build(); err != nil {
			return err
		}
	}
	return nil
}

// String says who runs what.
func (b Build) String() string {
	role := "control node"
	if b.Role == RoleEdge {
		role = "edge"
	}
	return fmt.Sprintf("%s %s says that it runs %s %s, SHA-256 %x", role, b.Name, b.Program, cmp.Or(b.Version, "of no version"), b.Digest)
}
