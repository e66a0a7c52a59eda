package trust_test

import (
	"testing"

	"github.com/cordon-project/cordon/listsync/trust"
)

func TestServicesHaveOneFormOfAddress(t *testing.T) {
	for s, want := range map[string]bool{
		"https://private.example": true, "https://private.example:8443/lookup": true, "http://127.0.0.1:8080": true, "http://[::1]:8080": true,
		"http://private.example": false, "http://127.private.example": false, "http://127.0.0.1.private.example": false, "https://": false, "": false, "https://private.example/": false, "https://a@private.example": false,
		"https://private.example?a": false, "https://private.example#a": false, "HTTPS://private.example": false, "https://private.example/a b": false, "//private.example": false,
	} {
		if got := trust.CheckServiceURL(s); got != want {
			t.Errorf("%q: got %t", s, got)
		}
	}
}
