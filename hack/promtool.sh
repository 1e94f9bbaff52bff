#!/usr/bin/env bash
# Prints the folder that holds promtool, which checks config/prometheus, and
# makes sure that it does: built from its Go module, once, into the cache.
set -euo pipefail

module=$(cd "$(dirname "${BASH_SOURCE[0]}")/promtool" && pwd)
key=$({ go env GOVERSION GOOS GOARCH; cat "$module"/go.{mod,sum}; } | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/audit-operator/promtool/$key
if [ ! -x "$cache/promtool" ]; then
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
  if [ ! -x "$cache/promtool" ]; then
    echo "Building promtool (about 2 minutes on 2 cores, once)." >&2
    # Without the service discoveries, which bring every cloud's client.
    CGO_ENABLED=0 go build -C "$module" -trimpath -tags remove_all_sd -ldflags '-s -w' \
      -o "$cache/promtool.partial" github.com/prometheus/prometheus/cmd/promtool
    mv "$cache/promtool.partial" "$cache/promtool"
  fi
fi
echo "$cache"
