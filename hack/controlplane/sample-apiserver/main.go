// Command sample-apiserver is the aggregated API server of the development
// control plane: the second component that a request passes through.
package main

import (
	"os"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"
	"k8s.io/sample-apiserver/pkg/cmd/server"
)

func main() {
	options := server.NewWardleServerOptions(os.Stdout, os.Stderr)
	ctx := genericapiserver.SetupSignalContext()
	os.Exit(cli.Run(server.NewCommandStartWardleServer(ctx, options, false)))
}
