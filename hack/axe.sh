#!/usr/bin/env bash
# Prints the path of axe-core's script, by which the browser tests look for what
# keeps people out, and makes sure that it is in the cache: fetched once.
set -euo pipefail

version=4.14.1
sum=1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5
cache=${XDG_CACHE_HOME:-$HOME/.cache}/audit-operator/axe/$version-${sum:0:16}
if [ ! -f "$cache/axe.min.js" ]; then
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
  if [ ! -f "$cache/axe.min.js" ]; then
    echo "Fetching axe-core $version (0.7 MB, once)." >&2
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    file=$work/axe-core-$version.tgz
    if ! command -v npm >/dev/null; then
      sudo=()
      if [ "$(id -u)" != 0 ]; then sudo=(sudo -n); fi
      echo "Installing npm, which fetches it (a minute, once)." >&2
      if ! { "${sudo[@]}" apt-get update && DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y --no-install-recommends npm; } >/dev/null 2>&1; then
        echo "npm is missing and could not be installed: install it (apt-get install npm), then run this again." >&2
        exit 1
      fi
    fi
    if ! (cd "$work" && npm pack --silent "axe-core@$version") >/dev/null; then
      echo "axe-core could not be fetched: set npm's registry to one that is reachable, then run this again." >&2
      exit 1
    fi
    if ! sha512sum --check --status <<<"$sum  $file"; then
      echo "axe-core-$version.tgz is not the file that was fetched when this version was chosen: its SHA-512 differs." >&2
      exit 1
    fi
    tar -xzf "$file" -C "$work"
    mv "$work/package/axe.min.js" "$cache/axe.min.js"
  fi
fi
echo "$cache/axe.min.js"
