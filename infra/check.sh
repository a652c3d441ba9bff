#!/usr/bin/env bash
# All checks that need no running stack, cheapest first: format, templates, lints, licences and sources, queries.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() {
    printf '\n== %s\n' "$1"
}

check_dependencies() {
    if ! cargo deny --version >/dev/null 2>&1; then
        echo "cargo-deny is not installed, so licences and sources are not checked (cargo install --locked cargo-deny)"
        return
    fi
    cargo deny --log-level error check bans licenses sources
    # The list of advisories is a git repository elsewhere: a machine that cannot reach it still checks the rest.
    if cargo deny --log-level error fetch db >/dev/null 2>&1; then
        cargo deny --log-level error check advisories
    else
        echo "The list of advisories cannot be reached: advisories are not checked"
    fi
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
step "Lints" && env --unset=DATABASE_URL cargo clippy --quiet --workspace --all-targets -- -D warnings
step "Dependencies" && check_dependencies
step "Queries" && check_queries
