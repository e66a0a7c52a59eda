package edge

import (
	"cmp"

	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/resolver"
)

// structured is the text with the signal, when the file has one.
func structured(c *config.Edge) resolver.Structured {
	e := &c.StructuredErrors
	if e.Option == 0 {
		return resolver.Structured{}
	}
	return resolver.Structured{
		Option: uint16(e.Option), Contact: c.Stop.Contact, Law: cmp.Or(e.Law, config.DefaultLawText), Voluntary: cmp.Or(e.Voluntary, config.DefaultVoluntaryText),
		Organization: e.Organization, Language: e.Language,
	}
}
