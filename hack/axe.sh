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
    # npm knows of a mirror, if there is one.
    if ! { command -v npm && (cd "$work" && npm pack --silent "axe-core@$version"); } >/dev/null 2>&1; then
      if ! curl -fsSL --retry 3 -o "$file" "https://registry.npmjs.org/axe-core/-/axe-core-$version.tgz"; then
        echo "axe-core could not be fetched: set npm's registry to one that is reachable, or allow registry.npmjs.org, then run this again." >&2
        exit 1
      fi
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
