#!/usr/bin/env bash
# What this repository depends on, and what it must not hold: advisories, bans, licences and sources of its crates; secrets
# in its files. Only findings make it fail; what could not be checked is said.
#
#   infra/audit.sh             asks before it installs cargo-deny; without a terminal it goes on without
#   infra/audit.sh --install   installs it without asking, as with CI=true, and fails when it cannot
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo_deny_version=0.20.2
findings=()
unchecked=()

has_cargo_deny() {
    cargo deny --version >/dev/null 2>&1
}

# Gives back whether cargo-deny is there now.
provide_cargo_deny() {
    local answer=
    has_cargo_deny && return
    if [[ "$1" != --install && "${CI:-}" != true ]]; then
        [[ -t 0 && -t 1 ]] || return 1
        read -r -p "cargo-deny is not installed. Install version $cargo_deny_version (minutes, once)? [y/N] " answer
        [[ "$answer" == [yY]* ]] || return 1
    fi
    echo "Installing cargo-deny $cargo_deny_version (minutes, once)"
    # Without optimisation: it reads a few files, and compiles in a third of the time.
    cargo install --quiet --locked --debug --version "$cargo_deny_version" cargo-deny || exit 1
}

audit_crates() {
    if ! provide_cargo_deny "$1"; then
        unchecked+=("crates: cargo-deny is not installed (infra/audit.sh --install)")
        return
    fi
    cargo deny --log-level error check bans licenses sources || findings+=("bans, licences or sources of crates")
    # The list of advisories is a git repository elsewhere: a machine that cannot reach it still checks the rest.
    if cargo deny --log-level error fetch db >/dev/null 2>&1; then
        cargo deny --log-level error check advisories || findings+=("advisories against crates")
    else
        unchecked+=("advisories: their list (github.com/rustsec/advisory-db) cannot be fetched")
    fi
}

main() {
    local line
    audit_crates "${1:-}"
    python3 infra/find_secrets.py || findings+=("secrets in files")
    for line in ${unchecked[@]+"${unchecked[@]}"}; do
        echo "NOT CHECKED: $line"
    done
    for line in ${findings[@]+"${findings[@]}"}; do
        echo "FOUND: $line" >&2
    done
    ((${#findings[@]} == 0))
}

main "$@"
