#!/usr/bin/env bash
# Builds the Lambda binaries once and lays each where template.yaml expects it: target/lambda/<name>/bootstrap.
#
#   infra/package.sh                 release build, then package
#   PROFILE=dev infra/package.sh     the same with the development profile
#   SKIP_BUILD=1 infra/package.sh    package what is built already
#
# Fails when a binary of the template is missing, or needs a newer glibc than provided.al2023 has.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profile=${PROFILE:-release}
target=${CARGO_TARGET_DIR:-target}
packages=(webhooks api consumers schedules realtime)
glibc_of_lambda=2.34

build() {
    local arguments=(build --profile "$profile" --bins)
    local package
    for package in "${packages[@]}"; do arguments+=(--package "$package"); done
    cargo "${arguments[@]}"
}

# The template is the list of functions: one CodeUri line each.
functions_of_template() {
    sed -n 's|^ *CodeUri: target/lambda/\(.*\)/$|\1|p' template.yaml
}

# The newest version of glibc whose symbols a binary imports.
glibc_of() {
    { readelf --version-info --wide "$1" | grep -o 'GLIBC_[0-9.]*' || true; } | sed 's/GLIBC_//' | sort --version-sort --unique | tail -n 1
}

is_newer() {
    [[ "$1" != "$2" && "$(printf '%s\n%s\n' "$1" "$2" | sort --version-sort | tail -n 1)" == "$1" ]]
}

package() {
    local binary=$1 folder=target/lambda/$2 glibc
    if [[ ! -x "$binary" ]]; then
        echo "error: $binary is missing, though template.yaml has a function $2" >&2
        return 1
    fi
    if ! readelf --file-header "$binary" | grep -q 'Machine:.*X86-64'; then
        echo "error: $binary is not for x86-64, as template.yaml says" >&2
        return 1
    fi
    glibc=$(glibc_of "$binary")
    if [[ -n "$glibc" ]] && is_newer "$glibc" "$glibc_of_lambda"; then
        echo "error: $2 needs glibc $glibc; provided.al2023 has $glibc_of_lambda" >&2
        return 1
    fi
    mkdir -p "$folder"
    # Beside and then renamed: a running emulator may execute the old one, which cannot be written to.
    cp "$binary" "$folder/bootstrap.new"
    mv "$folder/bootstrap.new" "$folder/bootstrap"
    printf '%-24s %6.1f MB   %6.1f MB compressed   glibc %s\n' "$2" \
        "$(megabytes <"$binary")" "$(gzip --fast --stdout "$binary" | megabytes)" "${glibc:-none}"
}

megabytes() {
    wc -c | awk '{ printf "%.1f", $1 / 1000000 }'
}

main() {
    # Cargo calls the folder of the development profile "debug".
    local folder=$target/${profile/#dev/debug} function functions
    [[ -n "${SKIP_BUILD:-}" ]] || build
    functions=$(functions_of_template)
    [[ -n "$functions" ]] || { echo "error: template.yaml has no CodeUri: target/lambda/<name>/" >&2; exit 1; }
    for function in $functions; do
        package "$folder/$function" "$function"
    done
}

main
