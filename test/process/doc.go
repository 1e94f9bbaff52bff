// Package process runs the operator and its commands as the processes that they
// are: with signals, a log and an exit code, beside a real API server.
package process
