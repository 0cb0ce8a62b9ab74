"""A bucket that takes no object without `x-amz-server-side-encryption`."""

from harness import E2E, STORE, Table, client, expect, in_force, make_bucket, outcome, send, signed, statement

table = Table()
DENIED = (403, "AccessDenied")
B = make_bucket("encrypted")
HEADER = "x-amz-server-side-encryption"
in_force(
    B,
    statement(B, action="s3:*", resource=[f"arn:aws:s3:::{B}", f"arn:aws:s3:::{B}/*"]),
    statement(B, "Deny", action="s3:PutObject", Sid="Encrypted", Condition={"Null": {f"s3:{HEADER}": "true"}}),
    statement(
        B,
        "Deny",
        action="s3:PutObject",
        Sid="AES256",
        Condition={"StringNotEqualsIfExists": {f"s3:{HEADER}": "AES256"}},
    ),
)

for who in ("acme-root", "mallory"):
    for claim, target, headers in [
        ("without", "plain", {}),
        ("with another", "plain", {HEADER: "aws:kms"}),
        ("with a header that only looks like it", "plain", {"x-amz-meta-server-side-encryption": "AES256"}),
        ("of a copy without", "plain", {"x-amz-copy-source": f"/{B}/sealed"}),
    ]:
        table.row(
            f"an upload {claim} by {who}",
            DENIED,
            lambda: signed(who, "PUT", f"/{B}/{target}", b"data", headers).brief(),
        )
    table.row(
        f"an upload in parts without by {who}",
        DENIED,
        lambda: outcome(lambda: client(who).create_multipart_upload(Bucket=B, Key="plain")),
    )
# A name with underscores for hyphens is to some servers the same.
table.row(
    "an upload with underscores",
    (400, "InvalidArgument"),
    lambda: signed(
        "mallory", "PUT", f"/{B}/plain", b"data", {HEADER: "AES256", HEADER.replace("-", "_"): "aws:kms"}
    ).brief(),
)
table.row("an upload without by nobody", DENIED, lambda: send("PUT", f"/{B}/plain", b"data").brief())


@table.case
def with_it_the_object_is_stored():
    """What the store makes of the header is its own affair; it is asked, and its answer comes back."""
    for who in ("acme-root", "mallory"):
        through = signed(who, "PUT", f"/{B}/sealed", b"data", {HEADER: "AES256"})
        if E2E["backend"] == "embedded":
            expect(through.status, 200)
            expect(signed(who, "GET", f"/{B}/sealed").body, b"data")
            continue
        direct = signed("operator", "PUT", f"/{B}/direct", b"data", {HEADER: "AES256"}, endpoint=STORE)
        expect(through.status, direct.status)
        expect("server" in through.headers and through.headers["server"], direct.headers.get("server", False))
    if E2E["backend"] == "garage":
        keys = {o["Key"] for o in client("operator", STORE).list_objects_v2(Bucket=B).get("Contents", [])}
        expect(keys, {"sealed", "direct"})


table.finish()
