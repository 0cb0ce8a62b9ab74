"""`handler = "forward"` with `enforcement = "enforce"`: policies at the store, decided on here."""

from harness import (
    ACME,
    GLOBEX,
    Table,
    client,
    expect,
    in_force,
    make_bucket,
    outcome,
    root,
    send,
    statement,
    user,
)

table = Table()
DENIED = (403, "AccessDenied")
B = make_bucket("forwarded")
owner = client("acme-root")
for key in ("open/a", "closed"):
    owner.put_object(Bucket=B, Key=key, Body=b"data")


def verdicts():
    """Whether mallory and erin read the open and the closed object."""
    read = lambda who, key: outcome(lambda: client(who).get_object(Bucket=B, Key=key), ours=False) == 200
    return {(who, key) for who in ("mallory", "erin") for key in ("open/a", "closed") if read(who, key)}


@table.case
def what_the_stores_policy_says_is_enforced():
    expect(verdicts(), set())
    opened = f"arn:aws:s3:::{B}/open/*"
    in_force(B, statement(B, principal=user(ACME, "mallory"), resource=opened))
    expect(verdicts(), {("mallory", "open/a")})
    in_force(B, statement(B, principal=root(GLOBEX)))
    expect(verdicts(), {("erin", "open/a"), ("erin", "closed")})
    in_force(B, statement(B), statement(B, "Deny", resource=f"arn:aws:s3:::{B}/closed", Sid="Closed"))
    expect(verdicts(), {("mallory", "open/a"), ("erin", "open/a")})
    expect(outcome(lambda: owner.get_object(Bucket=B, Key="closed")), DENIED)
    for key, expected in (("open/a", 200), ("closed", 403)):
        answer = send("GET", f"/{B}/{key}")
        # Signed by us or not at all; moto does not mind which.
        expect(answer.status, expected)
    owner.delete_bucket_policy(Bucket=B)
    expect(verdicts(), set())
    expect(outcome(lambda: owner.get_object(Bucket=B, Key="closed"), ours=False), 200)


for claim, call in [
    ("a write", lambda: client("mallory").put_object(Bucket=B, Key="a", Body=b"")),
    ("a list", lambda: client("mallory").list_objects_v2(Bucket=B)),
    ("the policy", lambda: client("mallory").get_bucket_policy(Bucket=B)),
    ("a new bucket", lambda: client("mallory").create_bucket(Bucket="of-mallory")),
    ("all buckets", lambda: client("mallory").list_buckets()),
]:
    table.row(f"{claim} by a user without permissions", DENIED, lambda: outcome(call))

table.finish()
