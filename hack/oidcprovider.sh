#!/usr/bin/env bash
# Prints the folder that holds oidcprovider, the OpenID Connect provider that
# tests sign in at, and makes sure that it does: built once, into the cache.
set -euo pipefail

module=$(cd "$(dirname "${BASH_SOURCE[0]}")/oidcprovider" && pwd)
key=$({ go env GOVERSION GOOS GOARCH; cat "$module"/{go.mod,go.sum,main.go}; } | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/audit-operator/oidcprovider/$key
if [ ! -x "$cache/oidcprovider" ]; then
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
  if [ ! -x "$cache/oidcprovider" ]; then
    echo "Building the OpenID Connect provider of the tests (a minute, once)." >&2
    CGO_ENABLED=0 go build -C "$module" -trimpath -ldflags '-s -w' -o "$cache/oidcprovider.partial" .
    mv "$cache/oidcprovider.partial" "$cache/oidcprovider"
  fi
fi
echo "$cache"
