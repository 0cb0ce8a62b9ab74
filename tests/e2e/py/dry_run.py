"""The same requests under the same policy, with `audit` and then with `enforce`: what the one says, the other does."""

import json
import pathlib
import urllib.request

from harness import ACME, E2E, Table, client, expect, in_force, make_bucket, outcome, statement, user

table = Table()
DENIED = (403, "AccessDenied")
B = "rehearsed"
MODE = E2E["enforcement"]
if MODE == "audit":
    make_bucket(B)
    in_force(
        B,
        statement(B, principal=user(ACME, "mallory"), resource=f"arn:aws:s3:::{B}/open/*", Sid="Open"),
        statement(B, "Deny", "*", "s3:DeleteObject", Sid="Kept", Condition={"Bool": {"aws:SecureTransport": "false"}}),
    )
    for key in ("open/a", "closed"):
        client("acme-root").put_object(Bucket=B, Key=key, Body=b"data")

ARN = f"arn:aws:s3:::{B}"
mallory, owner = client("mallory"), client("acme-root")
# The call, and what is told of it: action, resource, reason, statement and what it missed.
CALLS = [
    (lambda: mallory.get_object(Bucket=B, Key="open/a"), None),
    (
        lambda: mallory.get_object(Bucket=B, Key="closed"),
        ("s3:GetObject", f"{ARN}/closed", "implicit_deny", "Open", "Resource"),
    ),
    (lambda: mallory.list_objects_v2(Bucket=B), ("s3:ListBucket", ARN, "implicit_deny", "Open", "Action")),
    (
        lambda: mallory.put_object(Bucket=B, Key="open/b", Body=b""),
        ("s3:PutObject", f"{ARN}/open/b", "implicit_deny", "Open", "Action"),
    ),
    (
        lambda: owner.delete_object(Bucket=B, Key="open/never"),
        ("s3:DeleteObject", f"{ARN}/open/never", "explicit_deny", "Kept", None),
    ),
    (lambda: owner.put_object(Bucket=B, Key="open/c", Body=b""), None),
]


def told():
    """The lines about these requests that the audit trail has of this mode."""
    lines = pathlib.Path(E2E["directory"], "audit.log").read_text().splitlines()
    event = {"audit": "would_deny", "enforce": "denied"}[MODE]
    return [line for line in map(json.loads, lines) if line.get("event") == event]


def counted(decision):
    with urllib.request.urlopen(E2E["admin"] + "/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    ours = [line for line in lines if line.startswith("portcullis_decisions_total{")]
    wanted = [line for line in ours if f'mode="{MODE}"' in line and f'decision="{decision}"' in line]
    assert all(f'mode="{MODE}"' in line for line in ours), ours
    return sum(int(float(line.rpartition(" ")[2])) for line in wanted)


BEFORE = {decision: counted(decision) for decision in ("allowed", "denied", "refused")}
for number, (call, denial) in enumerate(CALLS):

    def one():
        before = len(told())
        got = outcome(call, ours=False)
        if denial is None or MODE == "audit":
            assert got in (200, 204), got
        else:
            expect(got, DENIED)
        lines = told()[before:]
        if denial is None:
            expect(lines, [])
            return
        [line] = lines
        [by] = [by for by in line.get("decided_by", []) + line.get("missed", []) if by["sid"] == denial[3]]
        expect((line["action"], line["resource"], line["reason"], by["sid"], by.get("missed")), denial)
        expect((by["policy"], line["account"]), ("bucket", ACME))

    table.row(f"{MODE}: call {number}", None, one)

denials = sum(denial is not None for _, denial in CALLS)
AFTER = {decision: counted(decision) - BEFORE[decision] for decision in BEFORE}
table.row("counted", {"allowed": len(CALLS) - denials, "denied": denials, "refused": 0}, lambda: AFTER)
table.finish()
