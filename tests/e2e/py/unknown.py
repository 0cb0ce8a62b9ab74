"""Nothing passes because it is not known: each of S3's operations by a user without a permission, and what is
none of them by one with all. The store is `recorder.py`, and what reached it is read from its file."""

import json
import pathlib
import uuid

import botocore_model
from harness import ACME, E2E, Table, expect, in_force, send, signed, statement

table = Table()
FILE = pathlib.Path(E2E["directory"], "recorded.jsonl")
# So the bucket is called in botocore_model.py; to the recorder every bucket is there.
B = "photos"
OPERATIONS = [botocore_model.MODEL.operation_model(name) for name in botocore_model.MODEL.operation_names]
READ = []
# What a request needs for it to be known what it asks for.
botocore_model.VALUES.update(
    ExpectedBucketOwner=ACME, ExpectedSourceBucketOwner=ACME, ACL="private", ChecksumAlgorithm="CRC32"
)
botocore_model.BODIES.update(
    PutBucketInventoryConfiguration="""<InventoryConfiguration><Destination><S3BucketDestination>
        <Bucket>arn:aws:s3:::photos</Bucket><Format>CSV</Format></S3BucketDestination></Destination>
        <IsEnabled>true</IsEnabled><Id>2</Id><IncludedObjectVersions>All</IncludedObjectVersions>
        <Schedule><Frequency>Daily</Frequency></Schedule></InventoryConfiguration>""",
    PutObjectLegalHold="<LegalHold><Status>ON</Status></LegalHold>",
    PutObjectRetention="""<Retention><Mode>GOVERNANCE</Mode>
        <RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate></Retention>""",
    PutObjectTagging="<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    UpdateObjectEncryption="""<ObjectEncryption><SSE-KMS>
        <KMSKeyArn>arn:aws:kms:us-east-1:1:key/k</KMSKeyArn></SSE-KMS></ObjectEncryption>""",
)


def reached(marker):
    """The requests at the store that carry the marker. What the proxy asks by itself carries none."""
    lines = FILE.read_text().splitlines()[len(READ) :]
    READ.extend(lines)
    return [line for line in map(json.loads, lines) if line["headers"].get("user-agent") == marker]


def ask(who, method, target, headers=None, body=b"", host=None):
    """The answer, and whether the store was asked."""
    marker = str(uuid.uuid4())
    headers = {**(headers or {}), "user-agent": marker}
    answer = (
        signed(who, method, target, body, headers, host=host) if who else send(method, target, body, headers, host=host)
    )
    return answer, reached(marker)


# --- the recorder sees what passes, so that it sees nothing says something

for method, target in [("GET", f"/{B}/a/key"), ("PUT", f"/{B}/a/key"), ("DELETE", f"/{B}/a/key"), ("HEAD", f"/{B}")]:

    def passes():
        answer, at_store = ask("acme-root", method, target)
        expect((answer.status, len(at_store)), (200, 1))
        expect((at_store[0]["method"], at_store[0]["target"]), (method, target))

    table.row(f"root: {method} {target}", None, passes)


# --- every operation

for operation in OPERATIONS:
    for whole in (False, True):
        line, _, _ = botocore_model.request(operation, "path", whole)
        # Credentials and what is said of the body are the signer's.
        ours = {"authorization", "content-length", "content-md5", "x-amz-content-sha256"}
        headers = {name.lower(): value for name, value in line["headers"].items() if name.lower() not in ours}
        host = line["host"] if operation.name in botocore_model.HOSTS else None
        for who in ("mallory", None):

            def denied():
                answer, at_store = ask(who, line["method"], line["target"], headers, line["body"].encode(), host)
                expect(at_store, [])
                if operation.name == "DeleteObjects" and answer.status == 200:
                    # Each key has an answer of its own; with `preserve` they are denied as one.
                    assert b"<Code>AccessDenied</Code>" in answer.body and b"<Deleted>" not in answer.body, answer.body
                    return
                assert 400 <= answer.status < 600, answer.status
                if not whole and operation.name not in botocore_model.HOSTS:
                    assert answer.status in (403, 405), (answer.status, answer.body)

            table.row(f"{who}: {operation.name} {'with all' if whole else ''}", None, denied)


@table.case
def all_operations_were_there():
    assert len(OPERATIONS) > 110, len(OPERATIONS)


# --- what is no operation, by those who may do everything, with a bucket that lets everybody

in_force(
    B,
    statement(B, action="s3:*", resource=[f"arn:aws:s3:::{B}", f"arn:aws:s3:::{B}/*"]),
)


@table.case
def the_policy_lets_everybody():
    _, at_store = ask("mallory", "DELETE", f"/{B}/a/key")
    expect(len(at_store), 1)


METHODS = [
    "PATCH",
    "TRACE",
    "PROPFIND",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "LINK",
    "SEARCH",
    "REPORT",
    "PURGE",
    "get",
    "Put",
    "X",
]
REQUESTS = [
    *((method, target) for method in METHODS for target in ("/", f"/{B}", f"/{B}/a/key")),
    *(("POST", target) for target in ("/", f"/{B}/a/key", f"/{B}/a/key?delete", f"/{B}?uploads")),
    *((method, "/") for method in ("PUT", "DELETE", "POST")),
    *(
        (method, f"{target}?{subresource}")
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE")
        for target in (f"/{B}", f"/{B}/a/key")
        for subresource in (
            "usage",
            "rebalance",
            "Policy",
            "POLICY",
            "acL",
            "append",
            "x-purge",
            "trash",
            "policy%20",
            "policyx",
        )
    ),
    *((method, f"/{B}?policy&acl") for method in ("GET", "PUT", "DELETE")),
    *((method, f"/{B}/a/key?acl&tagging") for method in ("GET", "PUT", "DELETE")),
    *((method, f"/{B}/a/key?policy") for method in ("GET", "PUT", "DELETE")),
    *((method, f"/{B}?cors;acl") for method in ("GET", "PUT", "DELETE")),
    *((method, f"/{B}?cors=x") for method in ("GET", "PUT", "DELETE")),
    ("GET", f"/{B}?versionId=1&versionId=2"),
    ("GET", f"/{B}/a/key?versionId=1&versionId=2"),
    ("GET", f"/{B}/a/key?partNumber=1&partNumber=2"),
    ("PUT", f"/{B}/a/key?uploadId=1"),
    ("PUT", f"/{B}/a/key?uploadId=1&uploadId=2&partNumber=1"),
    ("GET", f"/{B}/a/../key"),
    ("GET", f"/{B}/%2e%2e/secret/key"),
    ("GET", "/../secret"),
    ("GET", "/./"),
    ("OPTIONS", f"/{B}/a/key"),
]
for method, target in REQUESTS:
    for who in ("acme-root", None):

        def refused():
            answer, at_store = ask(who, method, target)
            expect(at_store, [])
            assert 400 <= answer.status < 600, answer.status

        table.row(f"{who}: {method} {target}", None, refused)

for name in ("x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"):

    def taken_off():
        _, at_store = ask("acme-root", "GET", f"/{B}/a/key", {name: "DELETE"})
        expect([(line["method"], name in line["headers"]) for line in at_store], [("GET", False)])

    table.row(f"{name} does not go on", None, taken_off)

table.finish()
