"""Runs the AWS emulator. Arguments: the file that the functions' output is copied to.

Never started by hand: infra/local gives it a clean environment, which the functions inherit.
"""

import json
import os
import signal
import socketserver
import sys
import threading
import time
from email.utils import parseaddr

functions_log = open(sys.argv[1], "a", buffering=1, encoding="utf-8", errors="replace")
sys.argv = sys.argv[:1]
launcher = os.getppid()


def end_with_launcher():
    """The functions are our children, and would outlive a launcher that was killed: take them with us."""
    while os.getppid() == launcher:
        time.sleep(0.2)
    os.killpg(os.getpgrp(), signal.SIGKILL)


threading.Thread(target=end_with_launcher, daemon=True).start()

# Without this every answer of a function waits 40 ms for the delayed acknowledgement of its headers.
socketserver.StreamRequestHandler.disable_nagle_algorithm = True

from ministack import app  # noqa: E402
from ministack.core import iam_actions, lambda_runtime  # noqa: E402
from ministack.services import eventbridge, lambda_svc, scheduler, sqs  # noqa: E402

# Schedules are looked at every second instead of every ten.
for module, name in ((scheduler, "_SCHEDULE_TICK_INTERVAL"), (eventbridge, "_SCHEDULER_TICK_INTERVAL")):
    assert hasattr(module, name), f"{module.__name__}.{name} is gone: look for its successor"
    setattr(module, name, 1)

ses_resource = iam_actions._ses_v2_resource_arn


def ses_resource_of_sender(method, path, body, region, account):
    """Sending is a right to an identity, that of the sender; here it would be a right to everything or nothing."""
    sender = json.loads(body).get("FromEmailAddress") if path.endswith("/outbound-emails") and body else None
    if sender:
        return f"arn:aws:ses:{region}:{account}:identity/{parseaddr(sender)[1]}"
    return ses_resource(method, path, body, region, account)


iam_actions._ses_v2_resource_arn = ses_resource_of_sender

complete = sqs._ensure_msg_fields
# Every poll completes every message of a queue: with some ten thousand of them it would take a second. `seq` comes last.
sqs._ensure_msg_fields = lambda message: None if "seq" in message else complete(message)

prune = sqs._prune_dedup


def prune_every_second(queue):
    """Every send looks through all deduplication ids of the last five minutes: of 20,000 they would be all it does."""
    if queue.get("pruned_at", 0) < time.time() - 1:
        prune(queue)
        queue["pruned_at"] = time.time()


sqs._prune_dedup = prune_every_second

action_of = iam_actions.extract_iam_action


def authorised_action(*request):
    """IAM has no actions for SQS's batch calls: the right to send one message is the right to send ten."""
    action = action_of(*request)
    return action.removesuffix("Batch") if action and action.startswith("sqs:") else action


iam_actions.extract_iam_action = authorised_action


execute = lambda_svc._execute_function


def execute_for_client(function, event):
    """API Gateway tells a function the address of whoever called it; this one always tells its own."""
    context = event.get("requestContext", {}) if isinstance(event, dict) else {}
    headers = event.get("headers") or {} if isinstance(event, dict) else {}
    seen = headers.get("x-forwarded-for", "").split(",")[-1].strip()
    if seen and "sourceIp" in context.get("http", {}):
        context["http"]["sourceIp"] = seen
    return execute(function, event)


lambda_svc._execute_function = execute_for_client


class Copied:
    """A function's output, each line of which is also written to the log of all functions."""

    def __init__(self, stream, function):
        self.stream = stream
        self.function = function

    def readline(self):
        line = self.stream.readline()
        if line:
            text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
            functions_log.write(f"{self.function} {text.rstrip()}\n")
        return line

    def close(self):
        self.stream.close()


pump = lambda_runtime.ProvidedWorker._pump_output
lambda_runtime.ProvidedWorker._pump_output = lambda self, stream, queue: pump(
    self, Copied(stream, self.func_name), queue
)

app.main()
