"""Browsers' uploads, with the forms that boto3 makes: what their signer may and their policy says, and nothing else."""

import requests

from harness import AUTH, ENDPOINT, STORE, Table, at, client, expect, in_force, make_bucket, now, statement

table = Table()
B = make_bucket("forms")
MINE, THEIRS = "home/hanna/", "home/ivan/"
DATA = bytes(range(250)) * 2
at_store = client("operator", STORE)
in_force(B, statement(B, action="s3:PutObject", resource=f"arn:aws:s3:::{B}/inbox/*"))


def stored():
    return {o["Key"] for o in at_store.list_objects_v2(Bucket=B).get("Contents", [])}


def form(who="hanna", key=MINE + "${filename}", fields=None, conditions=(), moved=0):
    with at(now(seconds=moved)):
        return client(who).generate_presigned_post(
            B,
            key,
            Fields=dict(fields or {}),
            Conditions=[["content-length-range", 1, 1000], *conditions],
            ExpiresIn=60,
        )


def post(form, data=DATA, name="a file.txt", **changed):
    fields = {key: value for key, value in {**form["fields"], **changed}.items() if value is not None}
    return requests.post(form["url"], data=fields, files={"file": (name, data)}, timeout=60)


def brief(answer):
    code = answer.text.partition("<Code>")[2].partition("</Code>")[0]
    return (answer.status_code, code) if code else answer.status_code


def refused(claim, expected, call):
    """Refused as expected, and nothing was stored."""

    def run():
        before = stored()
        got = brief(call())
        expect(stored(), before)
        return got

    table.row(claim, expected, run)


@table.case
def a_form_of_her_own_home():
    answer = post(form(fields={"Content-Type": "text/plain"}, conditions=[{"Content-Type": "text/plain"}]))
    assert answer.status_code == 204, answer.text
    got = at_store.get_object(Bucket=B, Key=MINE + "a file.txt")
    expect((got["Body"].read(), got["ContentType"]), (DATA, "text/plain"))
    conditions = [["starts-with", "$key", MINE], {"success_action_status": "201"}]
    made = form(key=MINE + "fixed", fields={"success_action_status": "201"}, conditions=conditions)
    answer = post(made)
    assert answer.status_code == 201 and f"<Key>{MINE}fixed</Key>" in answer.text, answer.text
    expect(at_store.get_object(Bucket=B, Key=MINE + "fixed")["Body"].read(), DATA)
    for size in (1, 1000):
        expect(post(form(key=f"{MINE}of {size}"), b"x" * size).status_code, 204)
        expect(at_store.head_object(Bucket=B, Key=f"{MINE}of {size}")["ContentLength"], size)


DENIED = (403, "AccessDenied")
refused("a field that the policy does not name", DENIED, lambda: post(form(), acl="public-read"))
refused(
    "a field with another value",
    DENIED,
    lambda: post(
        form(fields={"Content-Type": "text/plain"}, conditions=[{"Content-Type": "text/plain"}]),
        **{"Content-Type": "text/html"},
    ),
)
refused("a key outside of the policy's prefix", DENIED, lambda: post(form(), key=THEIRS + "a"))
refused("a key that the policy names, and hers is not", DENIED, lambda: post(form(key=THEIRS + "${filename}")))
refused(
    "a key that a file's name makes hers no longer",
    (400, "InvalidURI"),
    lambda: post(form(), name="x", key=MINE + "../ivan/${filename}"),
)
refused("a key by a user without permission", DENIED, lambda: post(form("mallory", key="other/a")))
refused("more than the policy allows", (400, "EntityTooLarge"), lambda: post(form(), b"x" * 1001))
refused("much more than the policy allows", (400, "EntityTooLarge"), lambda: post(form(), b"x" * 3_000_000))
refused("less than the policy allows", (400, "EntityTooSmall"), lambda: post(form(), b""))
refused("a policy that has expired", DENIED, lambda: post(form(moved=-61)))


@table.case
def a_policy_that_has_not_expired_yet():
    answer = post(form(moved=-30))
    assert answer.status_code == 204, answer.text


refused(
    "another policy than was signed",
    (403, "SignatureDoesNotMatch"),
    lambda: post(form(), policy=form(key="other/a")["fields"]["policy"]),
)
refused("no signature", (400, "InvalidArgument"), lambda: post(form(), **{"x-amz-signature": None}))


def of_nobody(form):
    return "GK00000000000000000000beef/" + form["fields"]["x-amz-credential"].partition("/")[2]


refused(
    "an access key that nobody has",
    (403, "InvalidAccessKeyId"),
    lambda: post(form(), **{"x-amz-credential": of_nobody(form())}),
)


def anonymous(key, **fields):
    return requests.post(f"{ENDPOINT}/{B}", data={"key": key, **fields}, files={"file": ("letter", DATA)}, timeout=60)


@table.case
def a_form_without_a_signature_where_the_policy_lets_everybody():
    answer = anonymous("inbox/${filename}")
    if AUTH == "preserve":
        # Decided here as allowed, and refused by a store that knows no anonymous callers.
        assert answer.status_code in (400, 403) and answer.headers.get("server") != "portcullis", (
            answer.headers,
            answer.text,
        )
        return
    assert answer.status_code == 204, answer.text
    expect(at_store.get_object(Bucket=B, Key="inbox/letter")["Body"].read(), DATA)


refused("a form without a signature where nobody lets it", DENIED, lambda: anonymous("elsewhere/a"))
refused("one with an ACL", DENIED, lambda: anonymous("inbox/open", acl="public-read"))
table.finish()
