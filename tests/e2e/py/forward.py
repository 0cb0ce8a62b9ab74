"""`handler = "forward"` before a store that answers ?policy itself: the contract first, then the store's own answer."""

from harness import (
    ACME,
    STORE,
    Table,
    client,
    expect,
    harmless,
    make_bucket,
    outcome,
    policy,
    send,
    signed,
    statement,
    user,
)

table = Table()
DENIED, NOT_ALLOWED = (403, "AccessDenied"), (405, "MethodNotAllowed")
B = make_bucket("forwarded")
TARGET = f"/{B}?policy"
ODD = (
    '{ "Statement":\n[{"Action":["s3:GetObject"],"Resource":"arn:aws:s3:::%s\\/*",  "Effect":"Allow",'
    '"Principal":"*","Sid":"\\u00fcn\u00ef"}],"Version":"2012-10-17"}\n' % B
).encode()


def put(who, document=None, **more):
    return outcome(lambda: client(who).put_bucket_policy(Bucket=B, Policy=document or harmless(B), **more))


def at_the_store():
    return send("GET", TARGET, endpoint=STORE)


@table.case
def the_very_same_bytes_arrive():
    answer = signed("acme-root", "PUT", TARGET, ODD)
    assert answer.status in (200, 204), (answer.status, answer.body)
    expect(at_the_store().body, ODD)


@table.case
def the_answer_comes_back_as_it_is():
    through, direct = signed("acme-root", "GET", TARGET), at_the_store()
    assert (through.status, through.body) == (direct.status, direct.body)
    assert through.headers["content-type"] == direct.headers["content-type"]


@table.case
def a_deletion_is_forwarded_too():
    expect(signed("acme-root", "DELETE", TARGET).status, 204)
    expect(at_the_store().status, 404)
    through, direct = signed("acme-root", "GET", TARGET), at_the_store()
    assert through.status == direct.status == 404 and b"NoSuchBucketPolicy" in through.body, through.body


OK = put("acme-root")
table.row("the owner's root", True, lambda: OK in (200, 204))
for claim, who, expected in [
    ("a permitted user", "alice", OK),
    ("no permission", "bob", DENIED),
    ("an explicit deny", "carol", DENIED),
    ("another account, permitted", "dave", NOT_ALLOWED),
    ("another account's root", "globex-root", NOT_ALLOWED),
    ("another account, not permitted", "erin", DENIED),
    ("nobody", None, DENIED),
]:
    table.row(claim, expected, lambda: put(who))


@table.case
def a_refused_request_never_reaches_the_store():
    put("acme-root", harmless(B, "Before"))
    expect(put("alice", policy(statement(B, action="s3:Nope"))), (400, "MalformedPolicy"))
    expect(put("bob", harmless(B, "Bob")), DENIED)
    expect(put("dave", harmless(B, "Dave")), NOT_ALLOWED)
    expect(at_the_store().body, harmless(B, "Before").encode())


@table.case
def the_policy_at_the_store_decides_about_the_next():
    put("acme-root", policy(statement(B, "Deny", user(ACME, "alice"), "s3:PutBucketPolicy")))
    expect(put("alice"), DENIED)
    granted = policy(statement(B, "Allow", user(ACME, "bob"), "s3:PutBucketPolicy"))
    expect(put("acme-root", granted), OK)
    expect(put("bob", granted), OK)


@table.case
def the_lock_out_guard_holds_here_too():
    locks_out = policy(statement(B, "Deny", user(ACME, "alice"), "s3:PutBucketPolicy"))
    expect(put("alice", locks_out), DENIED)
    expect(put("alice", locks_out, ConfirmRemoveSelfBucketAccess=True), OK)
    expect(at_the_store().body, locks_out.encode())


table.row(
    "a missing bucket",
    (404, "NoSuchBucket"),
    lambda: outcome(lambda: client("acme-root").put_bucket_policy(Bucket="not-there", Policy=harmless("not-there"))),
)


@table.case
def objects_pass_through():
    client("acme-root").put_object(Bucket=B, Key="a b", Body=b"data")
    expect(client("acme-root").get_object(Bucket=B, Key="a b")["Body"].read(), b"data")


table.finish()
