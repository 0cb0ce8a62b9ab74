"""The contract of PUT, GET and DELETE ?policy with `handler = "store"`: who may, what is answered, what is kept."""

import base64
import hashlib
import json
import socket
import urllib.parse

import botocore.exceptions
import requests

from harness import (
    ACME,
    AUTH,
    E2E,
    ENDPOINT,
    GLOBEX,
    KEYS,
    Table,
    at,
    check_headers,
    client,
    expect,
    garage,
    harmless,
    make_bucket,
    now,
    outcome,
    policy,
    root,
    send,
    signed,
    statement,
    user,
)

table = Table()
DENIED = (403, "AccessDenied")
NOT_ALLOWED = (405, "MethodNotAllowed")
NO_BUCKET = (404, "NoSuchBucket")
NO_POLICY = (404, "NoSuchBucketPolicy")


def put(who, bucket, document, endpoint=None, **more):
    return outcome(lambda: client(who, endpoint).put_bucket_policy(Bucket=bucket, Policy=document, **more))


def get(who, bucket, **more):
    return outcome(lambda: client(who).get_bucket_policy(Bucket=bucket, **more))


def delete(who, bucket, **more):
    return outcome(lambda: client(who).delete_bucket_policy(Bucket=bucket, **more))


def stored(bucket):
    return client("acme-root").get_bucket_policy(Bucket=bucket)["Policy"]


# --- who may

B = make_bucket("contract-callers")
PLAIN = harmless(B)
table.row("GET before any policy", NO_POLICY, lambda: get("acme-root", B))
table.row("DELETE where there is none", 204, lambda: delete("acme-root", B))
table.row("the owner's root puts", 204, lambda: put("acme-root", B, PLAIN))
table.row("a permitted user of the owner's account puts", 204, lambda: put("alice", B, PLAIN))
table.row("a user without permission", DENIED, lambda: put("bob", B, PLAIN))
table.row("a user allowed and explicitly denied", DENIED, lambda: put("carol", B, PLAIN))
table.row("a permitted user of another account", NOT_ALLOWED, lambda: put("dave", B, PLAIN))
table.row("the root of another account", NOT_ALLOWED, lambda: put("globex-root", B, PLAIN))
table.row("a user of another account without permission", DENIED, lambda: put("erin", B, PLAIN))
table.row("nobody", DENIED, lambda: put(None, B, PLAIN))
for who, expected in [
    ("acme-root", 200),
    ("alice", 200),
    ("bob", DENIED),
    ("carol", DENIED),
    ("dave", NOT_ALLOWED),
    ("globex-root", NOT_ALLOWED),
    ("erin", DENIED),
    (None, DENIED),
]:
    table.row(f"GET by {who}", expected, lambda: get(who, B))
for who, expected in [
    ("bob", DENIED),
    ("carol", DENIED),
    ("dave", NOT_ALLOWED),
    ("globex-root", NOT_ALLOWED),
    ("erin", DENIED),
    (None, DENIED),
    ("alice", 204),
    ("acme-root", 204),
]:
    table.row(f"DELETE by {who}", expected, lambda: delete(who, B))
table.row("GET after the deletion", NO_POLICY, lambda: get("alice", B))

MISSING = "contract-no-such-bucket"
for who in ("acme-root", "alice"):
    table.row(f"PUT to a missing bucket by {who}", NO_BUCKET, lambda: put(who, MISSING, harmless(MISSING)))
    table.row(f"GET of a missing bucket by {who}", NO_BUCKET, lambda: get(who, MISSING))
    table.row(f"DELETE of a missing bucket by {who}", NO_BUCKET, lambda: delete(who, MISSING))

# --- what the present policy grants and denies

G = make_bucket("contract-grants")


def in_force(*statements):
    client("acme-root").put_bucket_policy(Bucket=G, Policy=policy(*statements))


def by_policy(claim, who, expected, *statements):
    """`who` puts the policy that is in force once more, so that nobody loses what it grants."""

    def call():
        in_force(*statements)
        return put(who, G, policy(*statements))

    table.row(claim, expected, call)


ALL_BUT_ROOT = statement(G, "Deny", "*", "s3:*BucketPolicy")
by_policy("the owner's root, though the policy denies everybody", "acme-root", 204, ALL_BUT_ROOT)
by_policy(
    "a permitted user the policy denies",
    "alice",
    DENIED,
    statement(G, "Deny", user(ACME, "alice"), "s3:PutBucketPolicy"),
)
by_policy("everybody denied: a permitted user", "alice", DENIED, ALL_BUT_ROOT)
by_policy(
    "the policy grants to a user without identity policy",
    "bob",
    204,
    statement(G, "Allow", user(ACME, "bob"), "s3:PutBucketPolicy"),
)
by_policy(
    "the policy grants to a user whose identity policy denies",
    "carol",
    DENIED,
    statement(G, "Allow", user(ACME, "carol"), "s3:PutBucketPolicy"),
)
by_policy(
    "the policy grants to a user of another account",
    "erin",
    NOT_ALLOWED,
    statement(G, "Allow", user(GLOBEX, "erin"), "s3:PutBucketPolicy"),
)
by_policy(
    "the policy grants to everybody: a user of another account",
    "erin",
    NOT_ALLOWED,
    statement(G, "Allow", "*", "s3:PutBucketPolicy"),
)
by_policy("the policy grants to everybody: nobody", None, DENIED, statement(G, "Allow", "*", "s3:*BucketPolicy"))
by_policy(
    "the policy names only the other account: its user still needs a policy of its own",
    "erin",
    DENIED,
    statement(G, "Allow", root(GLOBEX), "s3:PutBucketPolicy"),
)
by_policy(
    "the policy names only the caller's account: a user without identity policy",
    "bob",
    DENIED,
    statement(G, "Allow", root(ACME), "s3:PutBucketPolicy"),
)
by_policy(
    "the policy denies the root of another account",
    "globex-root",
    DENIED,
    statement(G, "Deny", root(GLOBEX), "s3:PutBucketPolicy"),
)
by_policy(
    "a deny of another action does not count",
    "alice",
    204,
    statement(G, "Deny", user(ACME, "alice"), "s3:GetBucketPolicy"),
)


@table.case
def get_and_delete_are_decided_by_their_own_actions():
    in_force(
        statement(G, "Deny", user(ACME, "alice"), "s3:GetBucketPolicy"),
        statement(G, "Allow", user(ACME, "bob"), "s3:GetBucketPolicy", Sid="bob"),
    )
    expect(get("alice", G), DENIED)
    expect(get("bob", G), 200)
    expect(delete("bob", G), DENIED)
    expect(delete("alice", G), 204)


# --- credentials

table.row(
    "a wrong secret",
    (403, "SignatureDoesNotMatch"),
    lambda: outcome(lambda: client("alice", secret="0" * 64).put_bucket_policy(Bucket=B, Policy=PLAIN)),
)
table.row(
    "an unknown key",
    (403, "InvalidAccessKeyId"),
    lambda: outcome(
        lambda: client(("GK00000000000000000000beef", "0" * 64, None)).put_bucket_policy(Bucket=B, Policy=PLAIN)
    ),
)
for claim, minutes, expected in [
    ("a clock 16 minutes slow", -16, (403, "RequestTimeTooSkewed")),
    ("a clock 16 minutes fast", 16, (403, "RequestTimeTooSkewed")),
    ("a clock 14 minutes slow", -14, 204),
]:

    def skewed():
        with at(now(minutes=minutes)):
            return put("alice", B, PLAIN)

    table.row(claim, expected, skewed)


def presigned(operation="get_bucket_policy", seconds=60, moved=0, who="acme-root", spoil=lambda url: url, **params):
    with at(now(seconds=moved)):
        url = client(who).generate_presigned_url(operation, Params={"Bucket": B, **params}, ExpiresIn=seconds)
    answer = requests.request(
        "PUT" if operation.startswith("put") else "GET", spoil(url), timeout=30, data=params.get("Policy")
    )
    check_headers({name.lower(): value for name, value in answer.headers.items()})
    if answer.status_code < 300:
        return answer.status_code
    return answer.status_code, answer.text.partition("<Code>")[2].partition("</Code>")[0]


table.row("a presigned GET", 200, presigned)
table.row("a presigned GET past its time", DENIED, lambda: presigned(seconds=60, moved=-120))
table.row("a presigned GET, still valid after 20 minutes", 200, lambda: presigned(seconds=3600, moved=-1200))
table.row(
    "a presigned URL for more than seven days",
    (400, "AuthorizationQueryParametersError"),
    lambda: presigned(seconds=604801),
)
table.row(
    "a presigned URL, tampered with",
    (403, "SignatureDoesNotMatch"),
    lambda: presigned(spoil=lambda url: url.replace("X-Amz-Expires=60", "X-Amz-Expires=61")),
)
table.row("a presigned URL for another account", NOT_ALLOWED, lambda: presigned(who="dave"))
table.row(
    "Signature Version 2",
    (400, "InvalidRequest"),
    lambda: send("GET", f"/{B}?policy", headers={"authorization": f"AWS {KEYS['alice'][0]}:c2lnbmF0dXJl"}).brief(),
)
table.row(
    "an Authorization header that is none",
    (400, "AuthorizationHeaderMalformed"),
    lambda: send(
        "GET",
        f"/{B}?policy",
        headers={
            "authorization": "AWS4-HMAC-SHA256 nonsense",
            "x-amz-date": now().strftime("%Y%m%dT%H%M%SZ"),
            "x-amz-content-sha256": hashlib.sha256(b"").hexdigest(),
        },
    ).brief(),
)

# --- x-amz-expected-bucket-owner

for claim, owner, expected in [("the owner", ACME, 204), ("another account", GLOBEX, DENIED)]:
    table.row(
        f"x-amz-expected-bucket-owner is {claim}",
        expected,
        lambda: put("acme-root", B, PLAIN, ExpectedBucketOwner=owner),
    )
table.row("GET expecting another owner", DENIED, lambda: get("acme-root", B, ExpectedBucketOwner=GLOBEX))
table.row("DELETE expecting another owner", DENIED, lambda: delete("acme-root", B, ExpectedBucketOwner=GLOBEX))

# --- the lock-out guard

L = make_bucket("contract-lockout")
LOCKS_ALICE_OUT = policy(statement(L, "Deny", user(ACME, "alice"), "s3:PutBucketPolicy"))


@table.case
def a_user_cannot_lock_herself_out_by_mistake():
    expect(put("alice", L, LOCKS_ALICE_OUT), DENIED)
    expect(get("alice", L), NO_POLICY)
    try:
        client("alice").put_bucket_policy(Bucket=L, Policy=LOCKS_ALICE_OUT)
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Message"] != "Access Denied", "the message must say that it is the guard"


@table.case
def nor_by_taking_away_her_only_grant():
    granted = policy(statement(L, "Allow", user(ACME, "bob"), "s3:PutBucketPolicy"))
    expect(put("acme-root", L, granted), 204)
    expect(put("bob", L, harmless(L)), DENIED)
    expect(put("bob", L, granted), 204)
    expect(put("bob", L, harmless(L), ConfirmRemoveSelfBucketAccess=True), 204)
    expect(put("bob", L, granted), DENIED)


@table.case
def she_can_when_she_says_so():
    expect(put("alice", L, LOCKS_ALICE_OUT, ConfirmRemoveSelfBucketAccess=True), 204)
    expect(put("alice", L, harmless(L)), DENIED)


@table.case
def the_guard_never_refuses_the_owners_root():
    expect(put("acme-root", L, policy(statement(L, "Deny", "*", "s3:*BucketPolicy"))), 204)
    expect(put("acme-root", L, harmless(L)), 204)


# --- the body

K = make_bucket("contract-body")


@table.case
def get_answers_the_bytes_that_were_put():
    body = (
        '{\n "Statement" :[{"Action":["s3:GetObject"],"Resource":"arn:aws:s3:::%s\\/*", "Effect":"Allow",'
        '"Principal":"*","Sid":"\\u00fcn\u00ef \u4e16"}],"Version":"2012-10-17"\t}  \n' % K
    ).encode()
    answer = signed("acme-root", "PUT", f"/{K}?policy", body)
    assert (answer.status, answer.body) == (204, b""), answer.body
    check_headers(answer.headers)
    answer = signed("acme-root", "GET", f"/{K}?policy")
    assert answer.status == 200 and answer.headers["content-type"] == "application/json", answer.headers
    assert answer.body == body, answer.body
    expect(signed("acme-root", "GET", f"/{K}?policy=").body, body)


for claim, document in [
    ("no JSON", "not json"),
    ("an unknown field", '{"Version":"2012-10-17","Statment":[]}'),
    ("another bucket's resource", policy(statement("other"))),
    ("an unknown action", policy(statement(K, action="s3:Nope"))),
]:
    table.row(f"malformed: {claim}", (400, "MalformedPolicy"), lambda: put("acme-root", K, document))
table.row("malformed, but not permitted", DENIED, lambda: put("bob", K, "not json"))
table.row("malformed, but nobody", DENIED, lambda: put(None, K, "not json"))
table.row("malformed, but another account", NOT_ALLOWED, lambda: put("dave", K, "not json"))
table.row("malformed, for a missing bucket", NO_BUCKET, lambda: put("acme-root", MISSING, "not json"))


@table.case
def a_refused_body_leaves_the_policy_as_it_was():
    before = harmless(K, "Before")
    expect(put("acme-root", K, before), 204)
    expect(put("acme-root", K, "not json"), (400, "MalformedPolicy"))
    expect(stored(K), before)


for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):

    def with_checksum():
        document = harmless(K, algorithm)
        expect(put("acme-root", K, document, ChecksumAlgorithm=algorithm), 204)
        expect(stored(K), document)

    table.row(f"checksum {algorithm}", None, with_checksum)


@table.case
def content_md5_is_verified():
    body = harmless(K, "Md5").encode()
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    expect(signed("acme-root", "PUT", f"/{K}?policy", body, {"content-md5": digest}).brief(), 204)
    expect(stored(K), body.decode())


@table.case
def an_unsigned_payload_is_accepted():
    body = harmless(K, "Unsigned").encode()
    expect(signed("acme-root", "PUT", f"/{K}?policy", body, payload_hash="UNSIGNED-PAYLOAD").brief(), 204)
    expect(stored(K), body.decode())


# --- addresses


@table.case
def a_virtual_hosted_bucket():
    resolve = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *rest, **more: resolve(
        "127.0.0.1" if str(host).endswith("localhost") else host, *rest, **more
    )
    try:
        port = urllib.parse.urlsplit(ENDPOINT).port
        hosted = client("acme-root", f"http://s3.localhost:{port}", s3={"addressing_style": "virtual"})
        document = harmless(K, "Hosted")
        seen = []
        hosted.meta.events.register("before-send", lambda request, **_: seen.append(request.url))
        expect(outcome(lambda: hosted.put_bucket_policy(Bucket=K, Policy=document)), 204)
        assert f"//{K}.s3.localhost" in seen[0], seen
        assert hosted.get_bucket_policy(Bucket=K)["Policy"] == document == stored(K)
        expect(outcome(lambda: hosted.delete_bucket_policy(Bucket=K)), 204)
    finally:
        socket.getaddrinfo = resolve


@table.case
def a_key_named_policy_is_not_the_policy():
    document = harmless(K, "Kept")
    expect(put("acme-root", K, document), 204)
    client("acme-root").put_object(Bucket=K, Key="policy", Body=b"an object")
    expect(client("acme-root").get_object(Bucket=K, Key="policy")["Body"].read(), b"an object")
    client("acme-root").delete_object(Bucket=K, Key="policy")
    expect(stored(K), document)


# --- buckets come and go

# A bucket that is created over S3 has its name at Garage for the creator's key alone. With `preserve` that is not the
# key the proxy asks with, and the name must be made known to all.
NAMES_ARE_PRIVATE = E2E["backend"] == "garage" and AUTH == "preserve"


def create(who, name):
    expect(outcome(lambda: client(who).create_bucket(Bucket=name), ours=False), 200)
    if NAMES_ARE_PRIVATE:
        buckets = json.loads(garage("json-api", "GetKeyInfo", json.dumps({"id": KEYS[who][0]})))["buckets"]
        [bucket] = [bucket["id"] for bucket in buckets if name in bucket["localAliases"]]
        garage("bucket", "alias", bucket, name)
        garage("bucket", "allow", "--read", name, "--key", KEYS["operator"][0])


@table.case
def a_new_bucket_of_a_deleted_ones_name_has_no_policy():
    name = "contract-reborn"
    create("acme-root", name)
    expect(put("acme-root", name, harmless(name)), 204)
    if NAMES_ARE_PRIVATE:
        garage("bucket", "unalias", name)
    expect(outcome(lambda: client("acme-root").delete_bucket(Bucket=name), ours=False), 204)
    expect(get("acme-root", name), NO_BUCKET)
    create("acme-root", name)
    expect(get("acme-root", name), NO_POLICY)


@table.case
def whoever_creates_a_bucket_owns_it():
    name = "contract-of-globex"
    create("globex-root", name)
    if NAMES_ARE_PRIVATE:
        # The name was nobody else's when the bucket was made, so it is no claim on a name that all know: that one
        # belongs to the default account.
        expect(put("globex-root", name, harmless(name)), NOT_ALLOWED)
        expect(put("acme-root", name, harmless(name)), 204)
        return
    expect(put("globex-root", name, harmless(name)), 204)
    expect(put("dave", name, harmless(name)), 204)
    expect(put("acme-root", name, harmless(name)), NOT_ALLOWED)
    expect(put("alice", name, harmless(name)), NOT_ALLOWED)
    expect(put("bob", name, harmless(name)), DENIED)


@table.case
def the_configuration_may_name_the_owner():
    name = make_bucket("static-globex-reports")
    expect(put("acme-root", name, harmless(name)), NOT_ALLOWED)
    expect(put("globex-root", name, harmless(name)), 204)


table.finish()
