"""Looks for secrets in the files of the repository: those that git tracks, and new ones that it does not ignore.

What is allowed stands in find_secrets.allow beside this file, a line each: path (with wildcards), rule, fingerprint,
reason. A fingerprint is the beginning of the SHA-256 of what was found, so that another secret in the same file is still
one; `*` stands for every one. A line that nothing needs any more is an error too. What was found is never printed.
"""

import fnmatch
import hashlib
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ALLOWED = pathlib.Path(__file__).resolve().with_suffix(".allow")

RULES = {
    "aws-key-id": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "aws-secret": r"(?i)aws.{0,30}?(?:secret|key).{0,30}?[\"'=:\s]([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
    "private-key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "meta-token": r"\bEAA[A-Za-z0-9]{20,}",
    "openai-key": r"\bsk-[A-Za-z0-9_-]{20,}",
    "google-key": r"\b(?:AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{20,})",
    "forge-token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{40,}|glpat-[A-Za-z0-9_-]{20,})",
    "api-key": r"\bmia_[0-9a-f]{64}\b",
    "jwt": r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    "url-password": r"\b[a-z][a-z0-9+]*://[^\s:/@\"'`{}<>$]+:([^\s:/@\"'`{}<>$…]{6,})@",
    "hex-secret": r"(?i)(?:secret|token|passw|api.?key|credential).{0,40}?\b([0-9a-f]{32,})\b",
}


def files():
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    return sorted({name for name in names if name and (ROOT / name).is_file()})


def fingerprint(text):
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def findings():
    """Path, line number, rule and fingerprint of everything that looks like a secret."""
    rules = {name: re.compile(rule) for name, rule in RULES.items()}
    for path in files():
        data = (ROOT / path).read_bytes()
        if b"\0" in data:
            continue
        for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
            for name, rule in rules.items():
                for match in rule.finditer(line):
                    yield path, number, name, fingerprint(match[match.lastindex or 0])


def allowed():
    """The lines of the list, by their numbers: path, rule, fingerprint."""
    entries = {}
    for number, line in enumerate(ALLOWED.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.split(None, 3)
        if len(parts) < 4:
            sys.exit(f"{ALLOWED.name}:{number}: path, rule, fingerprint, reason")
        entries[number] = parts[:3]
    return entries


def main():
    known = allowed()
    needed = set()
    wrong = 0
    for path, number, rule, mark in findings():
        lines = {
            line
            for line, (paths, of, marks) in known.items()
            if of == rule and marks in (mark, "*") and fnmatch.fnmatchcase(path, paths)
        }
        needed |= lines
        if not lines:
            wrong += 1
            print(f"{path}:{number}: {rule} {mark}")
    for line in known.keys() - needed:
        wrong += 1
        print(f"{ALLOWED.relative_to(ROOT)}:{line}: nothing needs this line any more")
    if wrong:
        sys.exit(
            f"{wrong} findings: take a secret out and make it void; "
            f"what is none goes to {ALLOWED.name} with its reason"
        )
    print(f"No secrets in {len(files())} files; {len(known)} known exceptions")


main()
