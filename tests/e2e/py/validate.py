"""`portcullis policy validate` gives the API's verdict, in the API's words."""

import json
import subprocess
import xml.etree.ElementTree as ET

from harness import ACME, E2E, Table, harmless, make_bucket, policy, signed, statement, user

table = Table()
B = make_bucket("validated")
PRINCIPAL = {"AWS": user(ACME, "alice")}


def document(**more):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement(B)], **more})


def one(**more):
    changed = {**statement(B), **more}
    return policy({name: value for name, value in changed.items() if value is not None})


REFUSED = {
    "nothing": "",
    "a blank line first": "\n" + harmless(B),
    "no object": "[]",
    "a trailing comma": harmless(B)[:-1] + ",}",
    "the same element twice": '{"Version":"2012-10-17","Version":"2012-10-17"}',
    "nested without end": '{"Statement":' + "[" * 5000,
    "an unknown element": document(Comment="x"),
    "an unknown version": document(Version="2012-10-18"),
    "no statement": '{"Version":"2012-10-17"}',
    "an empty list of statements": document(Statement=[]),
    "an unknown element of a statement": one(Actions="x"),
    "no effect": one(Effect=None),
    "an effect in lower case": one(Effect="allow"),
    "no principal": one(Principal=None),
    "a bare account id as principal": one(Principal=ACME),
    "a wildcard in a principal": one(Principal={"AWS": user(ACME, "*")}),
    "a group as principal": one(Principal={"AWS": f"arn:aws:iam::{ACME}:group/admins"}),
    "Allow with NotPrincipal": one(Principal=None, NotPrincipal=PRINCIPAL),
    "no action": one(Action=None),
    "an unknown action": one(Action="s3:HeadBucket"),
    "an action of another service": one(Action="ec2:RunInstances"),
    "no resource": one(Resource=None),
    "every resource": one(Resource="*"),
    "another bucket's objects": one(Resource="arn:aws:s3:::another/*"),
    "a bucket action on objects": one(Action="s3:ListBucket"),
    "an unknown condition operator": one(Condition={"StringEqual": {"aws:SourceIp": "10.0.0.0/8"}}),
    "an unknown condition key": one(Condition={"StringEquals": {"s3:x-acl": "private"}}),
    "a key the action does not support": one(Condition={"StringEquals": {"s3:prefix": "a"}}),
    "no IP address": one(Condition={"IpAddress": {"aws:SourceIp": "256.1.1.1"}}),
    "too long": one(Sid="x" * 20_480),
}
ACCEPTED = {
    "the usual": harmless(B),
    "an older version": document(Version="2008-10-17"),
    "a single statement": document(Statement=statement(B)),
    "a condition": one(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
    "Deny with NotPrincipal": one(Effect="Deny", Principal=None, NotPrincipal=PRINCIPAL),
    "pretty-printed beyond 20 KiB": harmless(B) + " " * 30_000,
}


def validate(text):
    return subprocess.run(
        [E2E["binary"], "policy", "validate", "--bucket", B, "-"], input=text.encode(), capture_output=True, timeout=60
    )


for claim, text in REFUSED.items():

    def same():
        answer = signed("acme-root", "PUT", f"/{B}?policy", text.encode())
        assert answer.brief() == (400, "MalformedPolicy"), answer.brief()
        result = validate(text)
        assert result.returncode == 1, f"exit code {result.returncode}"
        told = result.stderr.decode()
        detail = ET.fromstring(answer.body).findtext("Detail")
        wanted = f"error: MalformedPolicy: {answer.message}" + (f"\n  {detail}" if detail else "")
        assert told.startswith(wanted + "\n"), f"API:\n{wanted}\nvalidate:\n{told}"

    table.row(claim, None, same)

for claim, text in ACCEPTED.items():

    def same():
        assert signed("acme-root", "PUT", f"/{B}?policy", text.encode()).status == 204
        result = validate(text)
        assert result.returncode == 0, result.stderr

    table.row(claim, None, same)

table.finish()
