#!/usr/bin/env bash
# Prints the path of Lighthouse's command, by which the pages are measured, and
# makes sure that it is in the cache: installed once, by npm, from the lock file
# in hack/lighthouse, which holds the SHA-512 of each package.
set -euo pipefail

module=$(cd "$(dirname "${BASH_SOURCE[0]}")/lighthouse" && pwd)
key=$(cat "$module"/package.json "$module"/package-lock.json | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/audit-operator/lighthouse/$key
command=node_modules/lighthouse/cli/index.js
if [ ! -f "$cache/$command" ]; then
  mkdir -p "$(dirname "$cache")"
  exec 9>"$cache.lock"
  flock 9
  if [ ! -f "$cache/$command" ]; then
    if ! command -v npm >/dev/null || ! node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)'; then
      echo "Lighthouse needs Node.js 18 or newer, and npm: install them, then run this again." >&2
      exit 1
    fi
    echo "Installing Lighthouse (about a minute, once)." >&2
    work=$(mktemp -d "$cache.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    cp "$module"/package.json "$module"/package-lock.json "$work"
    # No package needs to run anything to be installed.
    if ! (cd "$work" && npm ci --silent --ignore-scripts --no-audit --no-fund) >&2; then
      echo "Lighthouse could not be installed: set npm's registry to one that is reachable, then run this again." >&2
      exit 1
    fi
    rm -rf "$cache"
    mv "$work" "$cache"
    trap - EXIT
  fi
fi
echo "$cache/$command"
