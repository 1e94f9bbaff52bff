#!/usr/bin/env bash
# Makes sure that tests can mount a FUSE file system, which loses what a power
# cut would. Root mounts it without help, others need fusermount3.
set -euo pipefail

if [ ! -e /dev/fuse ]; then
  echo "/dev/fuse is missing: load the kernel's module fuse, or give it to this container (docker run --device /dev/fuse --cap-add SYS_ADMIN)." >&2
  exit 1
fi
if [ "$(id -u)" = 0 ] || command -v fusermount3 >/dev/null || command -v fusermount >/dev/null; then exit 0; fi

if command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then
  log=$(mktemp)
  echo "Installing fuse3 for the tests of power cuts (seconds, once)."
  if sudo -n apt-get update >"$log" 2>&1 && sudo -n DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends fuse3 >>"$log" 2>&1; then
    rm "$log"
    exit 0
  fi
  tail -5 "$log" >&2
fi
echo "fusermount3 is missing and could not be installed: install it (apt-get install fuse3), then run make test again." >&2
exit 1
