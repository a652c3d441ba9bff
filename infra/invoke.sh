#!/usr/bin/env bash
# Calls one function of a running local stack with an event and prints its answer.
#
#   infra/invoke.sh webhook-meta events/webhook-meta/message.json
#   STATE=.local/test infra/invoke.sh schedule-outbox events/schedule-outbox/every-minute.json
#
# Without an event it lists those that there are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

function=${1:-}
event=${2:-}
state=${STATE:-.local}

if [[ -z "$function" || -z "$event" ]]; then
    echo "usage: make invoke FUNCTION=name EVENT=file" >&2
    find events -name '*.json' | sort >&2
    exit 2
fi
[[ -r "$event" ]] || { echo "error: there is no $event" >&2; exit 2; }
if [[ ! -s "$state/stack.json" ]]; then
    echo "error: no stack runs on $state; \`make run\` starts one" >&2
    exit 1
fi

# The emulator's own Python has the SDK.
python=$(jq -r .emulator_python "$state/stack.json")
"$python" - "$function" "$event" "$state/stack.json" <<'PYTHON'
import json
import sys

import boto3

function, event, stack = sys.argv[1:]
with open(stack, encoding="utf-8") as file:
    endpoint = json.load(file)["aws_endpoint_url"]
client = boto3.client(
    "lambda", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
)
with open(event, "rb") as file:
    answer = client.invoke(FunctionName=f"master-ia-local-{function}", Payload=file.read())
payload = answer["Payload"].read().decode()
try:
    print(json.dumps(json.loads(payload), indent=2, ensure_ascii=False))
except ValueError:
    print(payload)
if "FunctionError" in answer:
    sys.exit(f"error: the function failed ({answer['FunctionError']})")
PYTHON
