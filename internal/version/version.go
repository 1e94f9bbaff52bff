// Package version says which build runs.
package version

// Version is set by the linker.
var Version = "dev"
