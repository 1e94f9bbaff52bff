package audittest

import "fmt"

// Fleet is several clusters of one size each; a caller may use each cluster in
// a goroutine of its own.
type Fleet []Cluster

// Cluster sends events by its one source.
type Cluster struct {
	Name   string
	Source string
	*Generator
}

// NewFleet returns n clusters that share the options' rate.
func NewFleet(n int, o Options) Fleet {
	if o.Rate > 0 {
		o.Rate /= float64(n)
	}
	fleet := make(Fleet, n)
	for i := range fleet {
		name := fmt.Sprint("cluster-", i+1)
		fleet[i] = Cluster{Name: name, Source: name + "-apiserver", Generator: New(o)}
		o.Seed++
	}
	return fleet
}
