#!/usr/bin/env bash
# Every test of the workspace but a try of the bench (`make bench ARGS=--quick`), against a stack of its own;
# arguments go to nextest.
#
#   infra/test.sh                            all of them
#   infra/test.sh -p domain                  those of a package
#   infra/test.sh -E 'test(outage)'          those that a filter names
#   KEEP_STACK=1 infra/test.sh               the stack stays up afterwards (`local down --state .local/test` stops it)
#
# The stack is the deployed template: ports 18700 to 18703 (PORT_BASE), state in .local/test, log .local/test/up.log.
# The last lines are nextest's summary; its exit code is ours.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

state=$PWD/.local/test
port_base=${PORT_BASE:-18700}
launcher=${CARGO_TARGET_DIR:-$PWD/target}/debug/local
# Tools are fetched and PostgreSQL is initialised at the first start, seconds are enough afterwards.
start_limit=600
launcher_pid=

require_tools() {
    local tool missing=()
    for tool in cargo python3 node npm curl; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    if ((${#missing[@]})); then
        echo "error: missing: ${missing[*]} (see Requirements in README.md)" >&2
        exit 1
    fi
    if ! cargo nextest --version >/dev/null 2>&1; then
        echo "Installing cargo-nextest, which runs the tests (minutes, once)"
        # Without optimisation: it only starts processes, and compiles in a third of the time.
        cargo install --quiet --locked --debug --version 0.9.143 cargo-nextest
    fi
}

start_stack() {
    "$launcher" down --state "$state" >/dev/null 2>&1 || true
    mkdir -p "$state"
    rm -f "$state/stack.json"
    # A group of its own, so that Ctrl-C ends the tests first and the stack by our hand.
    set -m
    "$launcher" up --state "$state" --port-base "$port_base" --no-build --fast-unsafe-database \
        >"$state/up.log" 2>&1 </dev/null &
    launcher_pid=$!
    set +m
}

await_stack() {
    local deadline=$((SECONDS + start_limit))
    until [[ -s "$state/stack.json" ]] \
        && curl --silent --fail --max-time 5 --output /dev/null "http://127.0.0.1:$port_base/health/ready"; do
        if ! kill -0 "$launcher_pid" 2>/dev/null || ((SECONDS > deadline)); then
            echo "error: the stack did not start; the end of $state/up.log:" >&2
            tail -n 40 "$state/up.log" >&2
            exit 1
        fi
        sleep 0.5
    done
}

stop_stack() {
    [[ -n "$launcher_pid" && -z "${KEEP_STACK:-}" ]] || return 0
    kill -TERM "$launcher_pid" 2>/dev/null || true
    wait "$launcher_pid" 2>/dev/null || true
}

main() {
    require_tools
    # All targets in one go: binaries and tests then share what they depend on, and the stack needs no second build.
    echo "Building"
    cargo build --quiet --workspace --all-targets
    trap stop_stack EXIT
    trap 'exit 130' INT TERM
    start_stack
    echo "Starting the stack (log: .local/test/up.log)"
    await_stack
    STACK_FILE="$state/stack.json" cargo nextest run --workspace "$@"
}

main "$@"
