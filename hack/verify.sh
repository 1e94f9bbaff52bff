#!/usr/bin/env bash
# Checks what can be checked without running the tests. What is generated or
# formatted is written anew, and must turn out as it is checked in.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tree() { git status --porcelain --untracked-files=all; git diff HEAD; }
step() { printf '== %s\n' "$*"; }

before=$(tree)
step "generated code and manifests"
make --no-print-directory generate
step "go mod tidy"
for module in . hack/controlplane hack/tools hack/lint hack/promtool hack/sbom hack/oidcprovider hack/apiclient; do
  (cd "$module" && go mod tidy)
done
step "formatting, lint, import direction"
bin/golangci-lint fmt
bin/golangci-lint run
step "kustomizations"
kubectl=$(hack/controlplane.sh)/kubectl
git ls-files 'config/*kustomization.yaml' | while read -r file; do
  grep -q '^kind: Component' "$file" || "$kubectl" kustomize "$(dirname "$file")" >/dev/null
done
step "scripts"
for script in .ci/run hack/*.sh; do bash -n "$script"; done

if [ "$before" != "$(tree)" ]; then
  echo "These files were not as they are generated or formatted; look at them and commit:"
  git status --short
  exit 1
fi
echo "All is as it should be."
