#!/usr/bin/env bash
# Measures and writes infra/bench/RESULTS.md. Arguments go to the bench (`--quick` for a try of seconds).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Release, as deployed; the launcher that starts PostgreSQL (with fsync) need not be.
cargo build --release --package webhooks --package api --package consumers --package schedules --package realtime \
    --package bench --bins
cargo build --quiet --workspace --bin local
exec "${CARGO_TARGET_DIR:-target}/debug/local" database --state .local/bench -- \
    "${CARGO_TARGET_DIR:-target}/release/bench" "$@"
