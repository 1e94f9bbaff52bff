#!/usr/bin/env bash
# Prints the folder that holds etcd, kube-apiserver and kubectl, or with the
# argument sample-apiserver the one that holds that, and makes sure that it
# does. In this order: $KUBEBUILDER_ASSETS, the cache, what setup-envtest can
# fetch, a build from their Go modules (once, into the cache). Only the folder's
# path goes to standard output; progress goes to the error output.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }

# The sets of binaries that others provide hold no aggregated API server, so
# that one is looked for in them but not asked of them.
case "$*" in
  '') tools=(etcd kube-apiserver kubectl) provided=yes ;;
  sample-apiserver) tools=(sample-apiserver) provided=no ;;
  *) say "Usage: hack/controlplane.sh [sample-apiserver]"; exit 2 ;;
esac
readonly tools provided
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
module=$here/controlplane

complete() {
  local tool
  for tool in "${tools[@]}"; do [ -x "$1/$tool" ] || return 1; done
}

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  if complete "$KUBEBUILDER_ASSETS"; then
    echo "$KUBEBUILDER_ASSETS"
    exit
  fi
  if [ $provided = yes ]; then
    say "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS lacks one of: ${tools[*]}."
    say "Unset it to have them fetched or built."
    exit 1
  fi
fi

version=$(cd "$module" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
key=$( { go env GOVERSION GOOS GOARCH; cat "$module"/go.{mod,sum} "$module"/*/main.go; } | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/audit-operator/controlplane/$version-$key
if complete "$cache"; then
  echo "$cache"
  exit
fi

# Two callers at once (make demo beside make test) must not build twice.
mkdir -p "$(dirname "$cache")"
exec 9>"$(dirname "$cache")/lock"
flock -n 9 || { say "Waiting for another build of the control plane ..."; flock 9; }
if complete "$cache"; then
  echo "$cache"
  exit
fi

if [ $provided = yes ] && [ "${CONTROLPLANE_FETCH:-yes}" = yes ]; then
  say "Looking for prebuilt Kubernetes ${version#v} binaries with setup-envtest ..."
  if fetched=$(cd "$here/tools" && timeout 180 go tool setup-envtest use "${version#v}" -p path 2>/dev/null) && complete "$fetched"; then
    echo "$fetched"
    exit
  fi
  say "None to be had here; building them from their Go modules instead."
fi

# Counts the packages as they are compiled, since go build says nothing by
# itself for minutes. A warm build cache finishes well below the total.
progress() {
  local total=$1 done=0 started=$SECONDS line
  while read -r line; do
    case $line in
      *' '* | '#'*) say "$line" ;; # a compiler's or linker's message
      *)
        done=$((done + 1))
        if [ -t 2 ]; then
          printf '\r\033[Kcompiling %d/%d packages, %ds' "$done" "$total" $((SECONDS - started)) >&2
        elif [ $((done % 250)) = 0 ]; then
          say "compiling $done/$total packages, $((SECONDS - started))s"
        fi ;;
    esac
  done
  if [ -t 2 ]; then printf '\n' >&2; fi
}

say "Building ${tools[*]} $version (up to 10 minutes on 2 cores, once):"
export CGO_ENABLED=0 GOFLAGS=-mod=readonly
cd "$module"
minor=${version#v*.}
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  flags+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
  flags+=" -X $package.gitTreeState=clean -X $package.buildDate=1970-01-01T00:00:00Z"
done
go mod download
packages=("${tools[@]/#/./}")
total=$(go list -deps "${packages[@]}" | wc -l)
staging=$cache.partial
rm -rf "$staging"
mkdir -p "$staging"
go build -v -trimpath -buildvcs=false -ldflags "$flags" -o "$staging/" "${packages[@]}" 2> >(progress "$total")
complete "$staging" || { say "The build left no complete set in $staging."; exit 1; }
mkdir -p "$cache"
mv "$staging"/* "$cache"/
rmdir "$staging"
say "Built into $cache."
echo "$cache"
