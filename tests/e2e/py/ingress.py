"""Objects go straight between client and store; what is denied does not, and what needs more than a head goes its way."""

import hashlib
import os
import pathlib

import requests

from harness import (
    ACME,
    E2E,
    ENDPOINT,
    FRONT,
    STORE,
    Table,
    at,
    aws,
    chunked,
    client,
    expect,
    in_force,
    make_bucket,
    now,
    outcome,
    policy,
    send,
    signed,
    statement,
    user,
)

table = Table()
DENIED = (403, "AccessDenied")
B = make_bucket("ingress")
ARN = f"arn:aws:s3:::{B}"
MALLORY = user(ACME, "mallory")
LARGE = os.urandom(24 << 20)
mallory, root, at_store = client("mallory"), client("acme-root"), client("operator", STORE)


def stored(key):
    keys = [o["Key"] for o in at_store.list_objects_v2(Bucket=B).get("Contents", [])]
    return at_store.get_object(Bucket=B, Key=key)["Body"].read() if key in keys else None


# Through the proxy, and on to Portcullis: it has a body, and is answered there.
in_force(
    B,
    statement(B, principal=MALLORY, action=["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], resource=f"{ARN}/open/*"),
    statement(B, principal=MALLORY, action=["s3:AbortMultipartUpload"], resource=f"{ARN}/open/*"),
    statement(B, principal=MALLORY, resource=f"{ARN}/net/*", Condition={"IpAddress": {"aws:SourceIp": "127.0.0.3"}}),
    statement(
        B, principal=MALLORY, resource=f"{ARN}/tls/*", Condition={"Bool": {"aws:SecureTransport": "true"}}
    ),
    statement(B, "Deny", MALLORY, "s3:*", f"{ARN}/open/secret/*"),
)
for name in ("open/a", "secret", "open/secret/a", "net/a", "tls/a"):
    at_store.put_object(Bucket=B, Key=name, Body=name.encode())


# --- what is allowed


@table.case
def an_object_is_written_read_and_deleted():
    for key in ("open/plain", "open/a//b", "open/ü +&=%2F%", "open/dir/", "open/auth_request"):
        expect(outcome(lambda: mallory.put_object(Bucket=B, Key=key, Body=b"1"), ours=False), 200)
        expect(stored(key), b"1")
        expect(mallory.get_object(Bucket=B, Key=key)["Body"].read(), b"1")
        expect(outcome(lambda: mallory.delete_object(Bucket=B, Key=key), ours=False), 204)
        expect(stored(key), None)


@table.case
def the_length_may_be_signed():
    # As the SDKs for Go and Rust do; the question has another length.
    data = b"payload" * 100
    got = signed("mallory", "PUT", f"/{B}/open/length", data, headers={"content-length": str(len(data))})
    expect((got.status, stored("open/length")), (200, data))
    expect(signed("mallory", "DELETE", f"/{B}/open/length", headers={"content-length": "0"}).status, 204)


@table.case
def the_cli_carries_a_large_object_both_ways():
    here = pathlib.Path(E2E["directory"])
    (here / "large").write_bytes(LARGE)
    aws("mallory", "s3", "cp", "--no-progress", str(here / "large"), f"s3://{B}/open/large")
    expect(hashlib.sha256(stored("open/large")).digest(), hashlib.sha256(LARGE).digest())
    aws("mallory", "s3", "cp", "--no-progress", f"s3://{B}/open/large", str(here / "back"))
    expect((here / "back").read_bytes() == LARGE, True)
    got = mallory.get_object(Bucket=B, Key="open/large", Range="bytes=5-99")
    expect((got["ResponseMetadata"]["HTTPStatusCode"], got["Body"].read()), (206, LARGE[5:100]))


@table.case
def in_one_piece_too():
    expect(outcome(lambda: mallory.put_object(Bucket=B, Key="open/large-2", Body=LARGE), ours=False), 200)
    expect(mallory.get_object(Bucket=B, Key="open/large-2")["Body"].read() == LARGE, True)


@table.case
def a_presigned_url_is_one_for_itself_alone():
    url = mallory.generate_presigned_url("get_object", {"Bucket": B, "Key": "open/a"}, ExpiresIn=60)
    got = requests.get(url, timeout=60)
    expect((got.status_code, got.content), (200, b"open/a"))
    got = requests.get(url.replace("open/a", "open/b"), timeout=60)
    expect((got.status_code, "<Code>SignatureDoesNotMatch</Code>" in got.text), (403, True))
    url = mallory.generate_presigned_url("get_object", {"Bucket": B, "Key": "secret"}, ExpiresIn=60)
    got = requests.get(url, timeout=60)
    expect((got.status_code, "<Code>AccessDenied</Code>" in got.text), (403, True))


@table.case
def virtual_hosted_style_is_read_as_such():
    host = f"{B}.s3.localhost"
    expect(signed("mallory", "GET", "/open/a", host=host).body, b"open/a")
    expect(signed("mallory", "GET", "/secret", host=host).brief(), DENIED)
    expect(signed("acme-root", "GET", "/?policy", host=host).status, 200)


# --- what is not

for claim, expected, call in [
    ("another key: get", DENIED, lambda: mallory.get_object(Bucket=B, Key="secret")),
    ("another key: put", DENIED, lambda: mallory.put_object(Bucket=B, Key="new", Body=LARGE)),
    ("another key: delete", DENIED, lambda: mallory.delete_object(Bucket=B, Key="secret")),
    ("an explicit deny", DENIED, lambda: mallory.get_object(Bucket=B, Key="open/secret/a")),
    ("a list", DENIED, lambda: mallory.list_objects_v2(Bucket=B)),
    ("a copy out of it", DENIED, lambda: mallory.copy_object(Bucket=B, Key="open/c", CopySource=f"{B}/secret")),
    ("from elsewhere", DENIED, lambda: mallory.get_object(Bucket=B, Key="net/a")),
    ("without TLS", DENIED, lambda: mallory.get_object(Bucket=B, Key="tls/a")),
    ("no such bucket", (404, "NoSuchBucket"), lambda: root.get_object(Bucket="nowhere", Key="k")),
    ("a policy by somebody", DENIED, lambda: mallory.put_bucket_policy(Bucket=B, Policy=policy(statement(B)))),
    ("reading the policy", DENIED, lambda: mallory.get_bucket_policy(Bucket=B)),
    (
        "a key that nobody knows",
        (403, "InvalidAccessKeyId"),
        lambda: client(("GK0e2e0e2e0e2e0e2e0e2e0999", "x" * 64, None)).get_object(Bucket=B, Key="open/a"),
    ),
    (
        "a wrong secret",
        (403, "SignatureDoesNotMatch"),
        lambda: client("mallory", secret="x" * 64).get_object(Bucket=B, Key="open/a"),
    ),
]:
    table.row(claim, expected, lambda call=call: outcome(call))
table.row("and none of it is stored", None, lambda: stored("new") or stored("open/c"))
table.row("nobody", DENIED, lambda: send("GET", f"/{B}/secret").brief())


@table.case
def an_old_signature_is_no_signature():
    with at(now(minutes=-20)):
        expect(outcome(lambda: mallory.get_object(Bucket=B, Key="open/a")), (403, "RequestTimeTooSkewed"))


@table.case
def dots_lead_nowhere():
    for target in (f"/{B}/open/../secret", f"/{B}/open/%2e%2e/secret", f"/{B}/open/..%2Fsecret", f"/{B}/open/./a"):
        answer = signed("mallory", "GET", target)
        assert answer.status in (400, 403), (target, answer.status, answer.body)
    assert signed("mallory", "GET", f"/{B}/open/..;/secret").status in (400, 403)
    assert signed("mallory", "GET", f"/{B}/open/a#/../../secret").status in (400, 403)


@table.case
def a_client_cannot_say_what_it_is_asking_for():
    for headers in (
        {"x-original-uri": f"/{B}/open/a"},
        {"x-original-uri": f"/{B}/open/a", "x-original-method": "GET"},
        {"X-Original-URI": f"/{B}/open/a", "X-Original-Content-Length": "7"},
        {"x-original-url": f"/{B}/open/a", "x-rewrite-url": f"/{B}/open/a"},
        {"x-envoy-original-path": f"/{B}/open/a"},
        {"x-forwarded-uri": f"/{B}/open/a", "x-forwarded-method": "GET"},
        {"x-portcullis-status": "200", "x-portcullis-error": "none"},
        {"x-http-method-override": "GET"},
    ):
        for method in ("GET", "PUT", "DELETE"):
            got = signed("mallory", method, f"/{B}/secret", unsigned=headers).brief()
            assert got in (DENIED, (400, "InvalidArgument")), (method, headers, got)
        # And the same headers open nothing to nobody.
        got = send("GET", f"/{B}/secret", headers=headers).brief()
        assert got in (DENIED, (400, "InvalidArgument")), (headers, got)
    expect(stored("secret"), b"secret")


@table.case
def a_client_is_where_it_is():
    expect(signed("mallory", "GET", f"/{B}/net/a", source="127.0.0.3").body, b"net/a")
    for unsigned in (
        {},
        {"x-forwarded-for": "127.0.0.3"},
        {"X-Forwarded-For": "127.0.0.3, 127.0.0.1"},
        {"forwarded": "for=127.0.0.3"},
        {"x-real-ip": "127.0.0.3"},
        {"x-envoy-external-address": "127.0.0.3"},
    ):
        for source in ("127.0.0.1", "127.0.0.4"):
            got = signed("mallory", "GET", f"/{B}/net/a", source=source, unsigned=unsigned).brief()
            expect(got, DENIED)
    expect(signed("mallory", "GET", f"/{B}/tls/a", unsigned={"x-forwarded-proto": "https"}).brief(), DENIED)


@table.case
def two_headers_of_one_name_are_not_taken_for_one():
    import http.client
    import urllib.parse

    from harness import Signer

    place = urllib.parse.urlsplit(ENDPOINT)
    # One source that mallory may read, and one that they may not.
    for first, second in ((f"{B}/open/a", f"{B}/secret"), (f"{B}/secret", f"{B}/open/a")):
        headers = Signer("mallory").sign(
            "PUT", f"/{B}/open/copy", hashlib.sha256(b"").hexdigest(), {"x-amz-copy-source": f"{first},{second}"}
        )
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
        connection.putrequest("PUT", f"/{B}/open/copy", skip_host=True, skip_accept_encoding=True)
        del headers["x-amz-copy-source"]
        for name, value in [*headers.items(), ("x-amz-copy-source", first), ("x-amz-copy-source", second)]:
            connection.putheader(name, value)
        connection.putheader("content-length", "0")
        connection.endheaders()
        assert connection.getresponse().status in (400, 403)
    expect(stored("open/copy"), None)


# --- what a head does not decide


@table.case
def a_batch_is_decided_key_by_key():
    for key in ("open/x", "open/y"):
        at_store.put_object(Bucket=B, Key=key, Body=b"")
    batch = {"Objects": [{"Key": "open/x"}, {"Key": "open/y"}]}
    expect(outcome(lambda: mallory.delete_objects(Bucket=B, Delete=batch), ours=False), 200)
    expect((stored("open/x"), stored("open/y")), (None, None))
    batch = {"Objects": [{"Key": "open/a"}, {"Key": "secret"}]}
    expect(outcome(lambda: mallory.delete_objects(Bucket=B, Delete=batch)), DENIED)
    expect((stored("open/a"), stored("secret")), (b"open/a", b"secret"))


@table.case
def a_policy_counts_from_the_next_request():
    before = root.get_bucket_policy(Bucket=B)["Policy"]
    in_force(B, statement(B, principal=MALLORY, resource=f"{ARN}/secret"))
    expect(mallory.get_object(Bucket=B, Key="secret")["Body"].read(), b"secret")
    expect(outcome(lambda: mallory.get_object(Bucket=B, Key="open/a")), DENIED)
    expect(outcome(lambda: root.delete_bucket_policy(Bucket=B)), 204)
    expect(outcome(lambda: mallory.get_object(Bucket=B, Key="secret")), DENIED)
    expect(outcome(lambda: root.put_bucket_policy(Bucket=B, Policy=before)), 204)
    expect(outcome(lambda: mallory.get_object(Bucket=B, Key="secret")), DENIED)


@table.case
def an_order_that_portcullis_takes_off_does_not_reach_the_store():
    # It is sent through Portcullis, where the proxy can; else it is refused.
    got = signed("mallory", "GET", f"/{B}/open/a", unsigned={"x-http-method-override": "DELETE"})
    expect(got.brief() if FRONT == "envoy" else (got.status, got.body), DENIED if FRONT == "envoy" else (200, b"open/a"))
    expect(stored("open/a"), b"open/a")


# --- what is left to the store


@table.case
def the_store_holds_the_body_against_the_signature():
    data = b"payload" * 1000
    got = signed("mallory", "PUT", f"/{B}/open/wrong", data, payload_hash=hashlib.sha256(b"other").hexdigest())
    expect(got.status, 400)
    mode = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    target = f"/{B}/open/chunks"
    expect(chunked("mallory", target, data, mode, size=2000).status, 200)
    expect(stored("open/chunks"), data)
    spoilt = chunked("mallory", f"/{B}/open/spoilt", data, mode, size=2000, spoil=lambda b: b.replace(b"load", b"1oad", 1))
    assert spoilt.status in (400, 403), spoilt.status
    expect((stored("open/wrong"), stored("open/spoilt")), (None, None))


expect(outcome(lambda: mallory.get_object(Bucket=B, Key="the-last")), DENIED)
table.finish()
