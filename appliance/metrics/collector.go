package metrics

import "github.com/prometheus/client_golang/prometheus"

// collector reads one snapshot a scrape, so that the numbers of one answer belong together.
type collector struct{ read func() Snapshot }

func (f *family) desc() *prometheus.Desc { return prometheus.NewDesc(f.name, f.help, f.labels, nil) }

func (c collector) Describe(to chan<- *prometheus.Desc) {
	for i := range families {
		to <- families[i].desc()
	}
}

func (c collector) Collect(to chan<- prometheus.Metric) {
	s := c.read()
	for i := range families {
		f := &families[i]
		d := f.desc()
		f.write(&s, func(v float64, labels ...string) { to <- prometheus.MustNewConstMetric(d, f.kind, v, labels...) })
	}
}
