#!/usr/bin/env bash
# All checks that need no running stack, cheapest first: format, templates, lints, audit, queries.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() {
    printf '\n== %s\n' "$1"
}

check_queries() {
    local before after
    before=$(queries)
    infra/prepare.sh
    after=$(queries)
    if [[ "$before" != "$after" ]]; then
        echo "error: .sqlx was not that of the queries and the schema; it is now. Commit it." >&2
        diff <(echo "$before") <(echo "$after") >&2 || true
        exit 1
    fi
}

# The files and their contents; without git, so that work in progress is judged by what it is.
queries() {
    find .sqlx -name 'query-*.json' -exec sha256sum {} + | sort -k 2
}

step "Format" && cargo fmt --all --check
step "Templates" && infra/check-templates.sh
step "Lints" && cargo clippy --quiet --workspace --all-targets -- -D warnings
step "Audit" && infra/audit.sh
step "Queries" && check_queries
