#!/usr/bin/env bash
# Stops every stack whose state is in .local, and deletes their data and what was built. What was fetched stays.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

launcher=${CARGO_TARGET_DIR:-target}/debug/local

# .local itself, and the folders of tests, bench and queries in it.
states() {
    find .local -mindepth 1 -maxdepth 2 -type d -name logs -printf '%h\n'
}

stop() {
    [[ -e "$1/processes.json" ]] || return 0
    [[ -x "$launcher" ]] || cargo build --quiet --workspace --bin local
    "$launcher" down --state "$1"
}

# Where PostgreSQL cannot get to as an ordinary user, its data is elsewhere (`reachable` in infra/local/src/tools.rs).
delete_data_elsewhere() {
    local digest
    digest=$(printf '%s/postgres' "$(realpath "$1")" | sha256sum | head -c 16)
    rm -rf "/var/tmp/master-ia-postgres-$digest"
}

main() {
    local found state
    mkdir -p .local
    mapfile -t found < <(states)
    for state in ${found[@]+"${found[@]}"}; do
        stop "$state"
        delete_data_elsewhere "$state"
    done
    find .local -mindepth 1 -maxdepth 1 ! -name tools -exec rm -rf {} +
    cargo clean
    # What was packaged stands there wherever cargo builds.
    rm -rf target/lambda
}

main
