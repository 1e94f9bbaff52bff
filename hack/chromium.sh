#!/usr/bin/env bash
# Makes sure that there is a Chromium for the dashboard's tests.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then exit 0; fi
done

sudo=()
if [ "$(id -u)" != 0 ]; then sudo=(sudo -n); fi
if command -v apt-get >/dev/null && "${sudo[@]}" true 2>/dev/null; then
  log=$(mktemp)
  echo "Installing Chromium for the dashboard's tests (a minute, once)."
  if "${sudo[@]}" apt-get update >"$log" 2>&1 &&
    DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y --no-install-recommends chromium >>"$log" 2>&1; then
    rm "$log"
    exit 0
  fi
  tail -5 "$log" >&2
fi
echo "Chromium is missing and could not be installed: install it so that chromium is on the PATH (apt-get install chromium), then run make test again." >&2
exit 1
