"""Policies are kept in a bucket of the store itself: they do what policies do, and no client gets at their objects."""

import json

from harness import (
    ACME,
    AUTH,
    E2E,
    ENDPOINT,
    STORE,
    Table,
    client,
    expect,
    garage,
    make_bucket,
    outcome,
    policy,
    root,
    send,
    signed,
    statement,
)

table = Table()
OURS, KEY = "our-policies", "prod/buckets/reserved-photos"
PHOTOS = make_bucket("reserved-photos")
DENIED = (403, "AccessDenied")
store = client("operator", STORE)
PEOPLE = ["acme-root", "alice", "globex-root", "operator", None]


@table.case
def a_policy_is_an_object():
    document = policy(statement(PHOTOS, principal=root(ACME), action="s3:*", resource=[f"arn:aws:s3:::{PHOTOS}/*"]))
    expect(outcome(lambda: client("acme-root").put_bucket_policy(Bucket=PHOTOS, Policy=document)), 204)
    lines = store.get_object(Bucket=OURS, Key=KEY)["Body"].read().decode().splitlines()
    expect(json.loads(lines[1])["revisions"][0]["document"], document)
    expect(client("acme-root").get_bucket_policy(Bucket=PHOTOS)["Policy"], document)


before = store.get_object(Bucket=OURS, Key=KEY)["Body"].read()


def refused(call):
    """The status, since a HEAD has no more; and of all that has a body, that it is denied."""
    got = outcome(call)
    return got if got != (403, "403") else DENIED


for who in PEOPLE:
    # Whose key is not in the identity file is refused for that, where it is looked at.
    asked = client(who)
    for name, call in {
        "get": lambda: asked.get_object(Bucket=OURS, Key=KEY),
        "head": lambda: asked.head_object(Bucket=OURS, Key=KEY),
        "put": lambda: asked.put_object(Bucket=OURS, Key=KEY, Body=b"{}"),
        "put another": lambda: asked.put_object(Bucket=OURS, Key="prod/buckets/other", Body=b"{}"),
        "delete": lambda: asked.delete_object(Bucket=OURS, Key=KEY),
        "delete several": lambda: asked.delete_objects(Bucket=OURS, Delete={"Objects": [{"Key": KEY}]}),
        "list": lambda: asked.list_objects_v2(Bucket=OURS),
        "list the old way": lambda: asked.list_objects(Bucket=OURS),
        "head the bucket": lambda: asked.head_bucket(Bucket=OURS),
        "delete the bucket": lambda: asked.delete_bucket(Bucket=OURS),
        "make the bucket": lambda: asked.create_bucket(Bucket=OURS),
        "begin in parts": lambda: asked.create_multipart_upload(Bucket=OURS, Key=KEY),
        "copy to it": lambda: asked.copy_object(Bucket=OURS, Key=KEY, CopySource={"Bucket": PHOTOS, "Key": "k"}),
        "copy from it": lambda: asked.copy_object(Bucket=PHOTOS, Key="k", CopySource={"Bucket": OURS, "Key": KEY}),
        "copy a part from it": lambda: asked.upload_part_copy(
            Bucket=PHOTOS, Key="k", CopySource=f"{OURS}/{KEY}", PartNumber=1, UploadId="u"
        ),
        "read its policy": lambda: asked.get_bucket_policy(Bucket=OURS),
        "open it": lambda: asked.put_bucket_policy(Bucket=OURS, Policy=policy(statement(OURS))),
        "read its acl": lambda: asked.get_bucket_acl(Bucket=OURS),
    }.items():
        table.row(f"{who}: {name}", DENIED, lambda: refused(call))

    def virtual_hosted():
        host = f"{OURS}.s3.localhost"
        ask = (lambda: signed(who, "GET", f"/{KEY}", host=host)) if who else (lambda: send("GET", f"/{KEY}", host=host))
        return ask().brief()

    table.row(f"{who}: virtual-hosted", DENIED, virtual_hosted)
    for target in [f"/our%2Dpolicies/{KEY}", f"//{OURS}/{KEY}", f"/{PHOTOS}/../{OURS}/{KEY}", f"/{PHOTOS}/%2e%2e/{OURS}/{KEY}"]:
        table.row(f"{who}: GET {target}", DENIED, lambda: (signed(who, "GET", target) if who else send("GET", target)).brief())

for who in ["acme-root", "alice"]:
    presigned = client(who).generate_presigned_url("get_object", Params={"Bucket": OURS, "Key": KEY})
    table.row(f"a link of {who}", DENIED, lambda: send("GET", presigned.removeprefix(ENDPOINT)).brief())


if E2E["enforcement"] == "enforce":
    # To Garage a bucket's id is one of its names.
    BY_ID = next(line.split()[1] for line in garage("bucket", "info", OURS).splitlines() if line.startswith("Bucket:"))
    assert len(BY_ID) == 64, BY_ID
    expect(store.get_object(Bucket=BY_ID, Key=KEY)["Body"].read(), before)
    for target in [f"/{BY_ID}/{KEY}", f"/{BY_ID.upper()}/{KEY}"]:
        table.row(f"GET {target}", (400, "InvalidBucketName"), lambda: signed("acme-root", "GET", target).brief())
    copied = {"x-amz-copy-source": f"{BY_ID}/{KEY}"}
    table.row("copy it by its id", (400, "InvalidArgument"), lambda: signed("acme-root", "PUT", f"/{PHOTOS}/k", headers=copied).brief())


@table.case
def it_is_in_no_filtered_list():
    if AUTH == "resign" and E2E["enforcement"] == "enforce":
        names = {bucket["Name"] for bucket in client("acme-root").list_buckets()["Buckets"]}
        assert PHOTOS in names and OURS not in names, names


@table.case
def all_is_as_it_was():
    expect(store.get_object(Bucket=OURS, Key=KEY)["Body"].read(), before)
    keys = {entry["Key"] for entry in store.list_objects_v2(Bucket=OURS)["Contents"]}
    expect({key for key in keys if not key.startswith("prod/owners/")}, {KEY})


table.finish()
