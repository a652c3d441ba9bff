#!/usr/bin/env bash
# Lints template.yaml and the templates in infra/. The tools live in .local/tools/lint, made at the first run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

sam_version=1.170.0
cfn_lint_version=1.58.0
region=us-east-1
tools=.local/tools/lint

# A marker and not the folder itself: an installation that was interrupted is made again.
marker="$tools/installed-$sam_version-$cfn_lint_version"
if [[ ! -e "$marker" ]]; then
    echo "Installing aws-sam-cli $sam_version and cfn-lint $cfn_lint_version into $tools"
    rm -rf "$tools"
    python3 -m venv "$tools"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check \
        "aws-sam-cli==$sam_version" "cfn-lint==$cfn_lint_version"
    touch "$marker"
fi

# Through the interpreter, for the scripts of a venv do not start when its path has a space in it or was moved.
export SAM_CLI_TELEMETRY=0
"$tools/bin/python" "$tools/bin/sam" validate --lint --template template.yaml --region "$region"
"$tools/bin/python" "$tools/bin/cfn-lint" --regions "$region" -- infra/*.yaml
echo "Templates are valid: template.yaml $(echo infra/*.yaml)"
