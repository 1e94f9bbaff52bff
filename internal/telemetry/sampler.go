package telemetry

import (
	"encoding/binary"
	"math/rand/v2"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// sampler keeps a part of all traces. What lies within a span of this process
// is kept with it. A remote caller decides nothing: neither its own decision
// counts nor its trace ID, which it may choose low. Anybody could fill the
// traces otherwise, since spans begin before anybody is known.
func sampler(ratio float64) sdktrace.Sampler {
	root := sdktrace.TraceIDRatioBased(ratio)
	remote := drawn{root}
	return sdktrace.ParentBased(root, sdktrace.WithRemoteParentSampled(remote), sdktrace.WithRemoteParentNotSampled(remote))
}

// drawn decides by a trace ID that it draws instead of the span's.
type drawn struct{ sdktrace.Sampler }

func (d drawn) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	binary.BigEndian.PutUint64(p.TraceID[8:], rand.Uint64())
	return d.Sampler.ShouldSample(p)
}

func (d drawn) Description() string { return "Drawn{" + d.Sampler.Description() + "}" }
