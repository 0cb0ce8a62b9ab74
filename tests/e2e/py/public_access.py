"""The public access block and the policy's status, by boto3; what the four switches forbid is refused."""

import botocore.exceptions

from harness import GLOBEX, Table, client, expect, in_force, make_bucket, outcome, policy, root, send, statement

table = Table()
DENIED = (403, "AccessDenied")
NONE = (404, "NoSuchPublicAccessBlockConfiguration")
B = make_bucket("blocked")
owner = client("acme-root")
OFF = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), False)
PUBLIC = statement(B)
SHARED = statement(B, principal=root(GLOBEX))


def block(who="acme-root", **switches):
    return outcome(lambda: client(who).put_public_access_block(Bucket=B, PublicAccessBlockConfiguration=OFF | switches))


def unblock(who="acme-root"):
    return outcome(lambda: client(who).delete_public_access_block(Bucket=B))


def blocked(who="acme-root"):
    return outcome(lambda: client(who).get_public_access_block(Bucket=B))


def anonymous(key="a"):
    """Who signs nothing reads only through `resign`: decided alike, the store refuses them with `preserve`."""
    answer = send("GET", f"/{B}/{key}")
    refused_here = answer.headers.get("server") == "portcullis"
    return answer.brief() if refused_here else "asked the store"


@table.case
def it_is_kept():
    expect(blocked(), NONE)
    for switch in OFF:
        expect(block(**{switch: True}), 200)
        expect(owner.get_public_access_block(Bucket=B)["PublicAccessBlockConfiguration"], OFF | {switch: True})
    expect(unblock(), 204)
    expect(blocked(), NONE)
    expect(unblock(), 204)


for who in ("mallory", "alice", "globex-root", "erin", None):
    for claim, call in [("put", block), ("get", blocked), ("delete", unblock)]:
        table.row(f"{claim} by {who}", DENIED, lambda: call(who))
    table.row(f"status by {who}", DENIED, lambda: outcome(lambda: client(who).get_bucket_policy_status(Bucket=B)))


@table.case
def the_policys_status():
    status = lambda: owner.get_bucket_policy_status(Bucket=B)["PolicyStatus"]["IsPublic"]
    expect(outcome(lambda: owner.get_bucket_policy_status(Bucket=B)), (404, "NoSuchBucketPolicy"))
    in_force(B, PUBLIC)
    expect(status(), True)
    in_force(B, SHARED)
    expect(status(), False)
    owner.delete_bucket_policy(Bucket=B)


@table.case
def block_public_policy():
    put = lambda entry: outcome(lambda: owner.put_bucket_policy(Bucket=B, Policy=policy(entry)))
    # One that is not there would be denied to whoever may not list.
    owner.put_object(Bucket=B, Key="a", Body=b"data")
    expect(put(PUBLIC), 204)
    expect(block(BlockPublicPolicy=True), 200)
    expect(put(PUBLIC), DENIED)
    # What is in force already stays in force.
    expect(anonymous(), "asked the store")
    expect(put(SHARED), 204)
    expect(put(PUBLIC), DENIED)
    expect(anonymous(), DENIED)
    expect(unblock(), 204)
    expect(put(PUBLIC), 204)


@table.case
def restrict_public_buckets():
    owner.put_object(Bucket=B, Key="a", Body=b"data")
    in_force(B, PUBLIC)
    read = lambda who: outcome(lambda: client(who).get_object(Bucket=B, Key="a"), ours=False)
    expect((anonymous(), read("erin"), read("mallory")), ("asked the store", 200, 200))
    expect(block(RestrictPublicBuckets=True), 200)
    expect((anonymous(), read("erin"), read("mallory"), read("acme-root")), (DENIED, DENIED, 200, 200))
    in_force(B, SHARED)
    expect(read("erin"), 200)
    expect(unblock(), 204)


@table.case
def block_public_acls():
    def asks_the_store(call):
        try:
            answer = call()
        except botocore.exceptions.ClientError as error:
            answer = error.response
        # What the store makes of an ACL, which it may not know, is its own affair.
        is_ours = answer["ResponseMetadata"]["HTTPHeaders"].get("server") == "portcullis"
        return answer["Error"]["Code"] if is_ours else "asked the store"

    calls = [
        lambda acl: owner.put_object(Bucket=B, Key="open", Body=b"", ACL=acl),
        lambda acl: owner.copy_object(Bucket=B, Key="open", ACL=acl, CopySource={"Bucket": B, "Key": "a"}),
        lambda acl: owner.put_object_acl(Bucket=B, Key="a", ACL=acl),
        lambda acl: owner.put_bucket_acl(Bucket=B, ACL=acl),
    ]
    for switches, acl, expected in [
        ({}, "public-read", "asked the store"),
        ({"BlockPublicAcls": True}, "public-read", "AccessDenied"),
        ({"BlockPublicAcls": True}, "public-read-write", "AccessDenied"),
        ({"BlockPublicAcls": True}, "authenticated-read", "AccessDenied"),
        ({"BlockPublicAcls": True}, "private", "asked the store"),
    ]:
        expect(block(**switches), 200)
        for call in calls:
            expect((acl, switches, asks_the_store(lambda: call(acl))), (acl, switches, expected))
    expect(unblock(), 204)


@table.case
def ignore_public_acls():
    # No ACL grants anything where policies are enforced, ignored or not.
    owner.delete_bucket_policy(Bucket=B)
    for switch in (False, True):
        expect(block(IgnorePublicAcls=switch), 200)
        expect((anonymous(), anonymous("open")), (DENIED, DENIED))
    expect(unblock(), 204)


table.finish()
