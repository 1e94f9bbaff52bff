// Package bench holds benchmarks of a whole operator: a real process beside a
// real API server, over a store that holds millions of events. make bench runs
// them; docs/performance.md has their results and says what they mean.
package bench
