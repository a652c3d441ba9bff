#!/usr/bin/env bash
# Looks for bytes that break a reader, guided by what they reach: libFuzzer over the targets of infra/fuzz, a minute each.
#
#   infra/fuzz.sh                        every target
#   infra/fuzz.sh meta csv               some
#   FUZZ_SECONDS=600 infra/fuzz.sh csv   for ten minutes
#
# It needs no nightly toolchain: the instructions that tell libFuzzer how far an input got are a pass of LLVM, which the
# stable one has, too. libFuzzer itself is C++: a compiler of it has to be there.
#
# State is in .local/fuzz/<target>/: seeds (written anew), corpus (what reached something new; kept), found (what broke the
# reader), log. What is found belongs into infra/fuzz/regressions/<target>/, with its mend.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

state=$PWD/.local/fuzz
seconds=${FUZZ_SECONDS:-60}
host=$(rustc -vV | sed -n 's/^host: //p')
engine=$state/build/$host/fuzz/fuzz-engine
tool=${CARGO_TARGET_DIR:-$PWD/target}/debug/fuzz
failed=()
total=0

# As cargo-fuzz has them, without a sanitizer, which stable does not have and safe Rust hardly needs.
coverage=(
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
)

require_tools() {
    command -v "${CXX:-c++}" >/dev/null && return
    echo "error: missing: a C++ compiler, which builds libFuzzer (g++ or clang++)" >&2
    exit 1
}

# For a target by name, so that build scripts and macros are left alone. In a folder of its own: with these flags every
# crate is another one.
build() {
    echo "Building (the first time takes minutes)"
    cargo build --quiet --workspace --bin fuzz
    RUSTFLAGS="${coverage[*]}" CARGO_TARGET_DIR="$state/build" \
        cargo build --quiet --profile fuzz --target "$host" --package fuzz --features engine --bin fuzz-engine
}

stat_of() {
    sed -n "s/^stat::$2: *//p" "$1" | tail -n 1
}

coverage_of() {
    grep -o 'cov: [0-9]*' "$1" | tail -n 1 | cut -d ' ' -f 2
}

# A line now and then for whoever watches.
watch() {
    local engine_pid=$1 log=$2 began=$SECONDS pulse
    while kill -0 "$engine_pid" 2>/dev/null; do
        if [[ -t 1 ]]; then
            pulse=$(grep '^#' "$log" | tail -n 1 | cut -c 1-90 || true)
            printf '\r\e[K%-18s %3d s  %s' "$(basename "$(dirname "$log")")" $((SECONDS - began)) "$pulse"
        fi
        sleep 1
    done
    [[ ! -t 1 ]] || printf '\r\e[K'
}

search() {
    local target=$1 folder=$state/$1 log=$state/$1/log outcome=0 began=$SECONDS runs crash engine_pid
    rm -rf "$folder/seeds"
    mkdir -p "$folder/corpus" "$folder/found"
    "$tool" seeds "$target" "$folder/seeds"
    find "$folder/found" -type f -delete
    FUZZ_TARGET=$target "$engine" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=8192 \
        -print_final_stats=1 -artifact_prefix="$folder/found/" "$folder/corpus" "$folder/seeds" \
        >"$log" 2>&1 </dev/null &
    engine_pid=$!
    watch "$engine_pid" "$log"
    wait "$engine_pid" || outcome=$?
    runs=$(stat_of "$log" number_of_executed_units)
    total=$((total + ${runs:-0}))
    printf '%-18s %12d executions  %6d s  %7d edges  %6d inputs kept\n' "$target" "${runs:-0}" \
        $((SECONDS - began)) "$(coverage_of "$log" || echo 0)" "$(find "$folder/corpus" -type f | wc -l)"
    ((outcome)) || return 0
    failed+=("$target")
    crash=$(find "$folder/found" -type f | head -n 1)
    echo "FOUND in $target: ${crash:-nothing was written; see $log}" >&2
    grep -m 1 -A 3 -E 'panicked at|ERROR: libFuzzer' "$log" | cut -c 1-500 >&2 || true
    [[ -z "$crash" ]] || echo "again: cargo run --bin fuzz -- run $target $crash" >&2
}

main() {
    local targets target known
    require_tools
    build
    trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
    trap 'exit 130' INT TERM
    known=$("$tool" targets)
    mapfile -t targets <<<"$known"
    (($# == 0)) || targets=("$@")
    for target in "${targets[@]}"; do
        grep -qx "$target" <<<"$known" || { echo "error: there is no target $target, but:" $known >&2; exit 1; }
    done
    for target in "${targets[@]}"; do
        search "$target"
    done
    echo "$total executions in $SECONDS s"
    ((${#failed[@]} == 0))
}

main "$@"
