#!/usr/bin/env bash
# Runs each fuzz target of the module for the given time, one on each processor
# at once. Hardly any of the time goes into making large interesting inputs
# smaller. What a target finds lands in testdata/fuzz beside it, where every
# go test tries it again: commit it with the mend.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
each=${1:-20s}
logs=$(mktemp -d)
trap 'rm -r "$logs"' EXIT

targets() {
  grep -rl --include='*_test.go' '^func Fuzz' internal api controllers | xargs -n1 dirname | sort -u |
    while read -r package; do
      grep -ho '^func Fuzz[A-Za-z0-9_]*' "$package"/*_test.go | sed "s|^func |$package |"
    done
}

# Go's fuzzer calls its own end a failure when that comes while an input runs.
ended() { # log
  grep -q 'context deadline exceeded' "$1" && ! grep -q 'Failing input written\|panic:' "$1"
}

run() { # package target
  log=$logs/$2.log
  if go test "./$1" -run '^$' -fuzz "^$2\$" -fuzztime "$each" -fuzzminimizetime 10x -parallel 1 >"$log" 2>&1 </dev/null || ended "$log"; then
    echo "ok    $1 $2, $(grep -o 'execs: [0-9]*' "$log" | tail -1)"
  else
    echo "FAIL  $1 $2"
    sed 's/^/      /' "$log"
    return 1
  fi
}
export -f run ended
export each logs

if ! targets | xargs -P "$(nproc)" -n 2 bash -c 'run "$@"' run; then
  finds=$(git status --porcelain --untracked-files=all -- ':(glob)**/testdata/fuzz/**' | cut -c4-)
  [ -z "$finds" ] || printf 'Mend what they show, and commit these finds with it; every test run tries them from then on:\n%s\n' "$finds" >&2
  exit 1
fi
