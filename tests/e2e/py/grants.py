"""Who gets what under bucket policies: an anonymous reader, an address, a role's session, another account."""

import hashlib
import socket
import urllib.parse

from harness import (
    ACME,
    AUTH,
    E2E,
    ENDPOINT,
    GLOBEX,
    KEYS,
    STORE,
    Signer,
    Table,
    client,
    expect,
    in_force,
    make_bucket,
    outcome,
    root,
    send,
    signed,
    statement,
    user,
)

table = Table()
DENIED = (403, "AccessDenied")
DATA = bytes(range(256)) * 40


def put(bucket, *keys):
    for key in keys:
        client("acme-root").put_object(Bucket=bucket, Key=key, Body=DATA)


def stored(bucket):
    """The keys of a bucket, asked at the store itself."""
    return {o["Key"] for o in client("operator", STORE).list_objects_v2(Bucket=bucket).get("Contents", [])}


def raw(head, *lines):
    """Sends a head without a body, and answers all that comes back until the proxy closes, or waits for the body."""
    address = urllib.parse.urlsplit(ENDPOINT)
    text = "\r\n".join([head, f"host: {address.netloc}", *lines, "", ""])
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(text.encode())
        answer = b""
        while more := connection.recv(65536):
            answer += more
    return answer


# --- a prefix that everybody may read, with nothing but HTTP. A store that knows the callers' keys would have to know
# nobody too, so this needs `resign`.

PUBLIC = make_bucket("grants-public")
put(PUBLIC, "public/a.txt", "public/b c/ü.txt", "secret.txt", "publicity.txt")
in_force(
    PUBLIC,
    statement(PUBLIC, resource=f"arn:aws:s3:::{PUBLIC}/public/*"),
    statement(PUBLIC, action="s3:PutObject", resource=f"arn:aws:s3:::{PUBLIC}/inbox/*"),
)
READABLE = f"/{PUBLIC}/public/a.txt"


@table.case
def everybody_reads_below_the_prefix():
    if AUTH == "preserve":
        # Decided here as allowed, and refused by a store that knows no anonymous callers.
        answer = send("GET", READABLE)
        assert answer.status == 403 and answer.headers.get("server") != "portcullis", (answer.status, answer.headers)
        return
    answer = send("GET", READABLE)
    assert (answer.status, answer.body) == (200, DATA), answer.body
    expect(send("GET", f"/{PUBLIC}/public/b%20c/%C3%BC.txt").body, DATA)
    head = send("HEAD", READABLE)
    assert (head.status, head.headers["content-length"]) == (200, str(len(DATA))), head.headers
    part = send("GET", READABLE, headers={"range": "bytes=300-399"})
    assert (part.status, part.body) == (206, DATA[300:400]), part.body
    assert part.headers["content-range"] == f"bytes 300-399/{len(DATA)}", part.headers
    fresh = send("GET", READABLE, headers={"if-none-match": answer.headers["etag"]})
    assert (fresh.status, fresh.body) == (304, b""), fresh.body


for method, target, headers in [
    ("GET", "/", {}),
    ("GET", f"/{PUBLIC}", {}),
    ("GET", f"/{PUBLIC}?list-type=2&prefix=public/", {}),
    ("GET", f"/{PUBLIC}?versions", {}),
    ("GET", f"/{PUBLIC}?uploads", {}),
    ("GET", f"/{PUBLIC}?location", {}),
    ("GET", f"/{PUBLIC}?acl", {}),
    ("GET", f"/{PUBLIC}?policy", {}),
    ("GET", f"/{PUBLIC}?policyStatus", {}),
    ("GET", f"/{PUBLIC}/secret.txt", {}),
    ("GET", f"/{PUBLIC}/publicity.txt", {}),
    ("GET", f"/{PUBLIC}/public", {}),
    ("GET", f"/{PUBLIC}/Public/a.txt", {}),
    ("GET", f"{READABLE}?acl", {}),
    ("GET", f"{READABLE}?versionId=null", {}),
    ("GET", f"{READABLE}?tagging", {}),
    ("GET", f"{READABLE}?attributes", {"x-amz-object-attributes": "ETag"}),
    ("GET", f"{READABLE}?torrent", {}),
    ("PUT", READABLE, {}),
    ("PUT", f"/{PUBLIC}/new.txt", {}),
    ("PUT", f"/{PUBLIC}/inbox/stolen", {"x-amz-copy-source": f"/{PUBLIC}/secret.txt"}),
    ("PUT", f"/{PUBLIC}/inbox/tagged", {"x-amz-tagging": "a=b"}),
    ("PUT", f"/{PUBLIC}/inbox/open", {"x-amz-acl": "public-read"}),
    ("PUT", f"{READABLE}?acl", {"x-amz-acl": "public-read-write"}),
    ("PUT", f"/{PUBLIC}?policy", {}),
    ("PUT", f"/{PUBLIC}?cors", {}),
    ("PUT", "/grants-of-nobody", {}),
    ("DELETE", READABLE, {}),
    ("DELETE", f"/{PUBLIC}", {}),
    ("DELETE", f"/{PUBLIC}?policy", {}),
]:
    table.row(f"nobody: {method} {target} {headers}", DENIED, lambda: send(method, target, headers=headers).brief())
for target in [f"/{PUBLIC}", f"/{PUBLIC}/secret.txt", f"/{PUBLIC}/none"]:
    table.row(f"nobody: HEAD {target}", 403, lambda: send("HEAD", target).brief())
for target in [
    f"/{PUBLIC}/public/../secret.txt",
    f"/{PUBLIC}/public/..%2Fsecret.txt",
    f"/{PUBLIC}/public/%2e%2e/secret.txt",
    f"/{PUBLIC}/public/./../secret.txt",
]:
    table.row(f"nobody: GET {target}", (400, "InvalidURI"), lambda: send("GET", target).brief())


@table.case
def a_user_without_permissions_reads_what_everybody_may():
    expect(client("mallory").get_object(Bucket=PUBLIC, Key="public/a.txt")["Body"].read(), DATA)
    expect(outcome(lambda: client("mallory").get_object(Bucket=PUBLIC, Key="secret.txt")), DENIED)


@table.case
def everybody_may_drop_something_where_the_policy_says():
    answer = send("PUT", f"/{PUBLIC}/inbox/letter", DATA)
    if AUTH == "preserve":
        assert answer.status == 403 and answer.headers.get("server") != "portcullis", (answer.status, answer.headers)
        return
    expect(answer.status, 200)
    expect(client("operator", STORE).get_object(Bucket=PUBLIC, Key="inbox/letter")["Body"].read(), DATA)
    expect(send("GET", f"/{PUBLIC}/inbox/letter").brief(), DENIED)
    expect(send("DELETE", f"/{PUBLIC}/inbox/letter").brief(), DENIED)
    # What was announced is held against what came, signed or not.
    wrong = {"x-amz-content-sha256": hashlib.sha256(b"other").hexdigest()}
    expect(send("PUT", f"/{PUBLIC}/inbox/wrong", DATA, wrong).status, 400)
    expect(stored(PUBLIC) & {"inbox/wrong", "new.txt", "inbox/stolen", "inbox/tagged"}, set())


@table.case
def a_denied_head_has_no_body():
    answer = raw(f"HEAD /{PUBLIC}/secret.txt HTTP/1.1", "connection: close")
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 ") and rest == b"", answer


@table.case
def a_denied_upload_that_expects_100_is_refused_before_its_body():
    for head in (
        Signer("mallory").sign("PUT", f"/{PUBLIC}/new.txt", "UNSIGNED-PAYLOAD"),
        Signer("mallory").sign("PUT", f"/{PUBLIC}/new.txt", hashlib.sha256(DATA).hexdigest()),
        {},
    ):
        head = {k: v for k, v in head.items() if k != "host"} | {"content-length": "1000000", "expect": "100-continue"}
        # The body never comes, and the connection ends with the answer: the proxy cannot have waited for it.
        answer = raw(f"PUT /{PUBLIC}/new.txt HTTP/1.1", *(f"{k}: {v}" for k, v in head.items()), "connection: close")
        assert answer.startswith(b"HTTP/1.1 403 ") and b"<Code>AccessDenied</Code>" in answer, answer


# --- a deny by address. Only a trusted proxy is believed about whom it speaks for.

OFFICE, TRUSTED = make_bucket("grants-office"), E2E["trusted_proxy"]
put(OFFICE, "plan")
in_force(
    OFFICE,
    statement(OFFICE, principal=user(ACME, "mallory")),
    statement(
        OFFICE,
        "Deny",
        action="s3:*",
        resource=[f"arn:aws:s3:::{OFFICE}", f"arn:aws:s3:::{OFFICE}/*"],
        Sid="OfficeOnly",
        Condition={"NotIpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:db8::/32"]}},
    ),
)
for source, forwarded, expected in [
    ("127.0.0.1", None, DENIED),
    ("127.0.0.1", "203.0.113.7", DENIED),
    (TRUSTED, None, DENIED),
    (TRUSTED, "203.0.113.7", 200),
    (TRUSTED, "2001:db8::7", 200),
    (TRUSTED, "198.51.100.1, 203.0.113.7", 200),
    (TRUSTED, f"203.0.113.7, {TRUSTED}", 200),
    (TRUSTED, "203.0.113.7, 198.51.100.1", DENIED),
    (TRUSTED, f"203.0.113.7, 198.51.100.1, {TRUSTED}", DENIED),
    (TRUSTED, "198.51.100.1", DENIED),
    (TRUSTED, "203.0.113.7, nonsense", DENIED),
]:
    for who in ("mallory", "acme-root"):
        table.row(
            f"{who} from {source} for {forwarded}",
            expected,
            lambda: signed(
                who,
                "GET",
                f"/{OFFICE}/plan",
                unsigned={"x-forwarded-for": forwarded} if forwarded else {},
                source=source,
            ).brief(),
        )


# --- a role's session: what the role may, and what a bucket grants to the role or to this session

CI = make_bucket("grants-ci")
put(CI, "artifacts/a", "other")
ROLE, SESSION = f"arn:aws:iam::{ACME}:role/ci", f"arn:aws:sts::{ACME}:assumed-role/ci/build-7"
in_force(
    CI,
    statement(CI, principal=ROLE, action="s3:ListBucket"),
    statement(CI, principal=SESSION, action="s3:PutObject", resource=f"arn:aws:s3:::{CI}/results/*"),
    statement(CI, principal=f"{SESSION}1", action="s3:PutObject", resource=f"arn:aws:s3:::{CI}/results-of-another/*"),
    statement(CI, "Deny", ROLE, resource=f"arn:aws:s3:::{CI}/artifacts/sealed-role/*"),
    statement(CI, "Deny", SESSION, resource=f"arn:aws:s3:::{CI}/artifacts/sealed-session/*"),
)
session = client("build-7")
for claim, expected, call in [
    ("the role's policy", 200, lambda: session.get_object(Bucket=CI, Key="artifacts/a")),
    ("the role's policy says no more", DENIED, lambda: session.get_object(Bucket=CI, Key="other")),
    ("a grant to the role", 200, lambda: session.list_objects_v2(Bucket=CI)),
    ("a grant to the session", 200, lambda: session.put_object(Bucket=CI, Key="results/r", Body=DATA)),
    ("a grant to another session", DENIED, lambda: session.put_object(Bucket=CI, Key="results-of-another/r", Body=b"")),
    ("no grant", DENIED, lambda: session.put_object(Bucket=CI, Key="artifacts/a", Body=b"")),
    ("a deny of the role", DENIED, lambda: session.get_object(Bucket=CI, Key="artifacts/sealed-role/a")),
    ("a deny of the session", DENIED, lambda: session.get_object(Bucket=CI, Key="artifacts/sealed-session/a")),
]:
    table.row(f"a session: {claim}", expected, lambda: outcome(call, ours=False))
table.row(
    "a session's token is another one",
    (400, "InvalidToken"),
    lambda: outcome(lambda: client((*KEYS["build-7"][:2], "another")).get_object(Bucket=CI, Key="artifacts/a")),
)
table.row(
    "a session's token is missing",
    (403, "InvalidAccessKeyId"),
    lambda: outcome(lambda: client((*KEYS["build-7"][:2], None)).get_object(Bucket=CI, Key="artifacts/a")),
)


# --- another account: what both sides grant

SHARED, OWN = make_bucket("grants-shared"), make_bucket("grants-unshared")
put(SHARED, "report")
put(OWN, "report")
READ_ONLY = [
    statement(SHARED, principal=root(GLOBEX), action=action, resource=resource)
    for action, resource in [
        ("s3:GetObject", f"arn:aws:s3:::{SHARED}/*"),
        ("s3:ListBucket", f"arn:aws:s3:::{SHARED}"),
    ]
]
in_force(SHARED, *READ_ONLY)
for who, operation, expected, params in [
    ("erin", "get_object", 200, {"Key": "report"}),
    ("erin", "head_object", 200, {"Key": "report"}),
    ("erin", "list_objects_v2", 200, {}),
    ("erin", "put_object", DENIED, {"Key": "report", "Body": b"changed"}),
    ("erin", "delete_object", DENIED, {"Key": "report"}),
    ("erin", "get_bucket_location", DENIED, {}),
    ("globex-root", "get_object", 200, {"Key": "report"}),
    ("globex-root", "list_objects_v2", 200, {}),
    ("globex-root", "put_object", DENIED, {"Key": "new", "Body": b""}),
    ("globex-root", "delete_object", DENIED, {"Key": "report"}),
    ("globex-root", "delete_bucket", DENIED, {}),
    # dave's own account has not permitted him.
    ("dave", "get_object", DENIED, {"Key": "report"}),
    ("dave", "list_objects_v2", DENIED, {}),
    ("mallory", "get_object", DENIED, {"Key": "report"}),
]:
    table.row(
        f"{who}: {operation} in a bucket shared with globex",
        expected,
        lambda: outcome(lambda: getattr(client(who), operation)(Bucket=SHARED, **params), ours=False),
    )
for who in ("erin", "globex-root"):
    table.row(
        f"{who} in a bucket that is not shared",
        DENIED,
        lambda: outcome(lambda: client(who).get_object(Bucket=OWN, Key="report")),
    )


@table.case
def naming_a_user_of_another_account_does_not_permit_him():
    in_force(SHARED, statement(SHARED, principal=user(GLOBEX, "dave")))
    expect(outcome(lambda: client("dave").get_object(Bucket=SHARED, Key="report")), DENIED)
    expect(outcome(lambda: client("erin").get_object(Bucket=SHARED, Key="report")), DENIED)


# --- a copy reads as well as it writes, and both buckets have a say

THEIRS = make_bucket("static-globex-grants")
client("globex-root").put_object(Bucket=THEIRS, Key="recipe", Body=DATA)


def copy(who, source, target):
    return outcome(
        lambda: client(who).copy_object(Bucket=target, Key="copy", CopySource={"Bucket": source, "Key": "recipe"}),
        ours=False,
    )


def part_copy(who, source, target):
    s3 = client("operator", STORE)
    upload = {
        "Bucket": target,
        "Key": "parts",
        "UploadId": s3.create_multipart_upload(Bucket=target, Key="parts")["UploadId"],
    }
    try:
        return outcome(
            lambda: client(who).upload_part_copy(
                **upload, PartNumber=1, CopySource={"Bucket": source, "Key": "recipe"}, CopySourceRange="bytes=0-9"
            ),
            ours=False,
        )
    finally:
        s3.abort_multipart_upload(**upload)


@table.case
def a_copy_from_another_accounts_bucket_needs_that_buckets_grant():
    for call in (copy, part_copy):
        expect(call("acme-root", THEIRS, OWN), DENIED)
    assert "copy" not in stored(OWN)
    in_force(THEIRS, statement(THEIRS, principal=root(ACME)), who="globex-root")
    for call in (copy, part_copy):
        expect(call("acme-root", THEIRS, OWN), 200)
        # mallory may write here, but her account has not permitted her to read there.
        in_force(OWN, statement(OWN, principal=user(ACME, "mallory"), action="s3:PutObject"))
        expect(call("mallory", THEIRS, OWN), DENIED)
        # And what may be read may not be written.
        expect(call("acme-root", THEIRS, THEIRS), DENIED)
    expect(client("operator", STORE).get_object(Bucket=OWN, Key="copy")["Body"].read(), DATA)
    client("globex-root").delete_bucket_policy(Bucket=THEIRS)
    expect(copy("acme-root", THEIRS, OWN), DENIED)


table.finish()
