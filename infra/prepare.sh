#!/usr/bin/env bash
# Writes .sqlx, by which queries are checked without a database, from a database with today's migrations.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

launcher=${CARGO_TARGET_DIR:-$PWD/target}/debug/local

write_queries() {
    # Only compiling writes the files, so the crate that holds the SQL must look changed.
    touch shared/db/src/lib.rs
    rm -rf .sqlx.new && mkdir .sqlx.new
    # The workspace, though the crate alone has queries: with features of its own, all that it depends on is compiled anew.
    SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$PWD/.sqlx.new" DATABASE_URL="$OWNER_DATABASE_URL" \
        cargo check --quiet --workspace --all-targets
    rm -rf .sqlx && mv .sqlx.new .sqlx
    # What was compiled above has the database's word; the next build shall have that of the files.
    touch shared/db/src/lib.rs
    echo "Wrote $(find .sqlx -name 'query-*.json' | wc -l) queries to .sqlx"
}

if [[ "${1:-}" == --inside ]]; then
    write_queries
    exit
fi
# The launcher that starts that database is compiled by .sqlx itself, and after a change to a query it may not build;
# without its seed it contains no query.
if ! cargo build --quiet --workspace --bin local 2>/dev/null; then
    cargo build --quiet --package local --no-default-features
fi
exec "$launcher" database --state .local/prepare --fast-unsafe-database -- infra/prepare.sh --inside
