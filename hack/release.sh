#!/usr/bin/env bash
# Writes what a release consists of into a folder: install.yaml with the image
# in it, the binary for each architecture that can be built here, an SBOM of
# each binary, and SHA256SUMS of all of these. The image is built by itself:
# docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=... .
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=$1 image=$2 dist=$3
step() { printf '== %s\n' "$*"; }

if [ -z "$image" ]; then
  echo "Say where clusters pull the image from: make release IMAGE=registry.example.com/audit-operator VERSION=v0.1.0" >&2
  exit 1
fi
mkdir -p "$dist"
dist=$(cd "$dist" && pwd)
rm -f "$dist"/{install.yaml,audit-operator_*,SHA256SUMS}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step "install.yaml"
cat >"$work/kustomization.yaml" <<YAML
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - $(realpath --relative-to="$work" config/default)
images:
  - {name: audit-operator, newName: "$image", newTag: "$version"}
YAML
"$(hack/controlplane.sh)/kubectl" kustomize "$work" >"$dist/install.yaml"

# The same commit gives the same archives.
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
host=$(go env GOHOSTARCH)
declare -A compiler=([amd64]=x86_64-linux-gnu-g++ [arm64]=aarch64-linux-gnu-g++)
for arch in amd64 arm64; do
  if [ "$arch" != "$host" ] && ! command -v "${compiler[$arch]}" >/dev/null; then
    step "linux/$arch is left out: ${compiler[$arch]} is missing (apt-get install crossbuild-essential-$arch)"
    continue
  fi
  name=audit-operator_${version}_linux_$arch
  step "$name"
  mkdir "$work/$name"
  make --no-print-directory build ARCH="$arch" VERSION="$version" BINARY="$work/$name/manager"
  cp LICENSE README.md CHANGELOG.md "$work/$name"
  tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" -c "$name" | gzip -n >"$dist/$name.tar.gz"
  # The SBOM finds licences in the cache alone. What a build leaves there may lack
  # the file that names a version; the sources were checked against go.sum. Of the
  # operator's own module, which is in no cache, it complains.
  go version -m "$work/$name/manager" | awk '$1 == "dep" { print $2 "@" $3 }' | xargs go mod download
  GOPROXY=off GOSUMDB=off bin/cyclonedx-gomod bin -json -std -licenses -noserial -notimestamp -version "$version" \
    -output "$dist/$name.cdx.json" "$work/$name/manager" 2>"$work/sbom.log" || { cat "$work/sbom.log"; exit 1; }
done

step "SHA256SUMS"
(cd "$dist" && sha256sum -- * >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)
ls -l "$dist"
