#!/usr/bin/env bash
# Shows what is in a dead-letter queue, or brings it back to the queue it came from.
#
#   infra/dead-letters.sh                     how many each one holds
#   infra/dead-letters.sh show inbound        reason and body of up to ten messages; they stay
#   infra/dead-letters.sh redrive inbound     those that are there now, in order, one by one
#
# The queues are those of the local stack (STATE, default .local). With ENVIRONMENT=staging they are those of that
# environment in AWS, in REGION (default us-east-1), with the caller's credentials.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ -n "${ENVIRONMENT:-}" ]]; then
    # Of the lint tools, which bring the SDK along; infra/check-templates.sh installs them.
    python=.local/tools/lint/bin/python
    stack=
    [[ -x "$python" ]] || { echo "error: run infra/check-templates.sh first, which fetches the SDK" >&2; exit 1; }
else
    stack=${STATE:-.local}/stack.json
    [[ -s "$stack" ]] || { echo "error: no stack runs on ${STATE:-.local}; \`make run\` starts one" >&2; exit 1; }
    # The emulator's own, which has the SDK.
    python=$(jq -r .emulator_python "$stack")
fi

exec "$python" - "$stack" "${ENVIRONMENT:-local}" "${REGION:-us-east-1}" "${1:-count}" "${2:-}" <<'PYTHON'
import hashlib
import json
import sys
from datetime import datetime, timezone

import boto3

QUEUES = {"inbound": ".fifo", "outbound": ".fifo", "turns": "", "ai-reply": "", "mail": "", "media": "", "imports": ".fifo", "erasures": "", "connections": "", "push": ""}

stack, environment, region, action, queue = sys.argv[1:]
if stack:
    with open(stack, encoding="utf-8") as file:
        endpoint = json.load(file)["aws_endpoint_url"]
    sqs = boto3.client(
        "sqs", endpoint_url=endpoint, region_name=region, aws_access_key_id="test", aws_secret_access_key="test"
    )
else:
    sqs = boto3.client("sqs", region_name=region)


def url(name, dead):
    full = f"master-ia-{environment}-{name}{'-dead' if dead else ''}{QUEUES[name]}"
    return sqs.get_queue_url(QueueName=full)["QueueUrl"]


def receive(address, seconds):
    answer = sqs.receive_message(
        QueueUrl=address, MaxNumberOfMessages=10, VisibilityTimeout=seconds, WaitTimeSeconds=1,
        MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"],
    )
    return answer.get("Messages", [])


def show(name):
    messages = receive(url(name, True), 30)
    for message in messages:
        for key, value in sorted(message.get("MessageAttributes", {}).items()):
            print(f"{key}: {value['StringValue']}")
        print(message["Body"], end="\n\n")
    give_back(url(name, True), messages)
    print(f"{len(messages)} shown")


def give_back(address, messages):
    """At once, so that the next look finds them too."""
    for message in messages:
        sqs.change_message_visibility(
            QueueUrl=address, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
        )


def parked_at(message):
    """In UTC, so that the texts of two times compare as the times do; what SQS itself put there does not say."""
    return message.get("MessageAttributes", {}).get("parked_at", {}).get("StringValue", "")


def redrive(name):
    source, target, moved = url(name, True), url(name, False), 0
    # What comes back while this runs was not mended: it stays, or both would go round for ever.
    limit = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    while messages := receive(source, 60):
        before = [message for message in messages if parked_at(message) < limit]
        give_back(source, [message for message in messages if message not in before])
        if not before:
            print(f"what was parked after {limit} stays")
            break
        for message in before:
            request = {"QueueUrl": target, "MessageBody": message["Body"]}
            if QUEUES[name]:
                # Another id than the first time, which SQS may remember for five minutes.
                again = hashlib.sha256(f"redrive {message['MessageId']}".encode()).hexdigest()
                request["MessageGroupId"] = message["Attributes"]["MessageGroupId"]
                request["MessageDeduplicationId"] = again
            # First there, then gone here: a crash in between repeats it, which consumers recognise.
            sqs.send_message(**request)
            sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
            moved += 1
    print(f"{moved} brought back to {name}")


if action == "count":
    for name in QUEUES:
        attributes = sqs.get_queue_attributes(
            QueueUrl=url(name, True), AttributeNames=["ApproximateNumberOfMessages"]
        )["Attributes"]
        print(f"{name:<10} {attributes['ApproximateNumberOfMessages']}")
elif action in ("show", "redrive") and queue in QUEUES:
    {"show": show, "redrive": redrive}[action](queue)
else:
    sys.exit(f"usage: infra/dead-letters.sh [show|redrive {'|'.join(QUEUES)}]")
PYTHON
