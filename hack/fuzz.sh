#!/usr/bin/env bash
# Runs each fuzz target of the module for the given time, hardly any of which
# goes into making large interesting inputs smaller.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
each=${1:-20s}

grep -rl --include='*_test.go' '^func Fuzz' internal api controllers | xargs -n1 dirname | sort -u |
  while read -r package; do
    grep -ho '^func Fuzz[A-Za-z0-9_]*' "$package"/*_test.go | cut -d' ' -f2 | while read -r target; do
      echo "== $package $target"
      go test "./$package" -run '^$' -fuzz "^$target\$" -fuzztime "$each" -fuzzminimizetime 10x </dev/null
    done
  done
