#!/usr/bin/env bash
# Prints the folder that holds PostgreSQL's server (15 or newer), which the
# tests start, and makes sure that it does. In this order: $POSTGRES_BIN, the
# PATH, the newest that Debian's packages installed, Debian's package. Only the
# folder goes to standard output. With TEST_DATABASE_URL set it may print
# nothing: then the tests that kill a server fail and say what they lack.
set -euo pipefail

readonly oldest=15
say() { printf '%s\n' "$*" >&2; }

# A folder counts where all of it is there: some systems ship the clients alone.
complete() {
  local tool major
  for tool in initdb postgres pg_basebackup; do [ -x "$1/$tool" ] || return 1; done
  major=$("$1/postgres" --version | grep -o '[0-9]*' | head -1)
  [ "$major" -ge $oldest ]
}

found() {
  if complete "$1"; then
    echo "$1"
    exit
  fi
}

packaged() {
  local dir
  while read -r dir; do found "$dir"; done < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV)
}

if [ -n "${POSTGRES_BIN:-}" ]; then
  found "$POSTGRES_BIN"
  say "POSTGRES_BIN=$POSTGRES_BIN does not hold initdb, postgres and pg_basebackup of PostgreSQL $oldest or newer."
  say "Unset it to have them looked for or installed."
  exit 1
fi
if postgres=$(command -v postgres); then found "$(dirname "$(readlink -f "$postgres")")"; fi
packaged

sudo=()
if [ "$(id -u)" != 0 ]; then sudo=(sudo -n); fi
if command -v apt-get >/dev/null && "${sudo[@]}" true 2>/dev/null; then
  log=$(mktemp)
  say "Installing PostgreSQL for the store's tests (a minute, once)."
  # The package would start a server of its own, which no test asks for.
  "${sudo[@]}" mkdir -p /etc/postgresql-common/createcluster.d
  echo "create_main_cluster = false" | "${sudo[@]}" tee /etc/postgresql-common/createcluster.d/audit-operator.conf >/dev/null
  if "${sudo[@]}" apt-get update >"$log" 2>&1 &&
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql >>"$log" 2>&1; then
    rm "$log"
    packaged
    say "Debian's package postgresql is older than PostgreSQL $oldest here."
  else
    tail -5 "$log" >&2
  fi
fi
if [ -n "${TEST_DATABASE_URL:-}" ]; then
  say "PostgreSQL's server is missing and could not be installed: the tests that kill one will fail, the others use TEST_DATABASE_URL."
  exit
fi
say "PostgreSQL's server is missing and could not be installed. Install version $oldest or newer (apt-get install postgresql) and, where"
say "it is neither on the PATH nor in /usr/lib/postgresql, set POSTGRES_BIN to the folder that holds initdb and postgres."
say "Most tests can also use a server that runs: TEST_DATABASE_URL=postgres://user:password@host/database, of a role that may create databases."
exit 1
