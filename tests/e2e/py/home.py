"""Users confined to `home/${aws:username}/*` by their identity policy: every way to an object."""

import base64
import hashlib
import io
import os
import pathlib

import requests

from harness import AUTH, E2E, STORE, Table, aws, client, expect, make_bucket, outcome, signed

table = Table()
DENIED = (403, "AccessDenied")
B = make_bucket("homes")
MINE, THEIRS = "home/hanna/", "home/ivan/"
DATA = os.urandom(100_000)
PART = 5 << 20
hanna, ivan = client("hanna"), client("ivan")
at_store = client("operator", STORE)


def stored(prefix=""):
    return {o["Key"] for o in at_store.list_objects_v2(Bucket=B, Prefix=prefix).get("Contents", [])}


def body(key):
    return at_store.get_object(Bucket=B, Key=key)["Body"].read()


def refused(claim, call, expected=DENIED):
    """Refused, and ivan's object is still there and as it was."""

    def run():
        got = outcome(call)
        expect(body(THEIRS + "diary"), b"ivan's")
        return got

    table.row(claim, expected, run)


for key in (THEIRS + "diary", "shared.txt"):
    at_store.put_object(Bucket=B, Key=key, Body=b"ivan's")


# --- one object


@table.case
def at_home_all_of_it_works():
    hanna.put_object(Bucket=B, Key=MINE + "a ü+.txt", Body=DATA, Metadata={"one": "1"}, ContentType="text/x-odd")
    got = hanna.get_object(Bucket=B, Key=MINE + "a ü+.txt")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"]) == (DATA, {"one": "1"}, "text/x-odd"), got
    expect(hanna.get_object(Bucket=B, Key=MINE + "a ü+.txt", Range="bytes=5-99")["Body"].read(), DATA[5:100])
    expect(hanna.head_object(Bucket=B, Key=MINE + "a ü+.txt")["ContentLength"], len(DATA))
    hanna.delete_object(Bucket=B, Key=MINE + "a ü+.txt")
    expect(stored(MINE), set())


refused("another's object: get", lambda: hanna.get_object(Bucket=B, Key=THEIRS + "diary"))
refused("another's object: put", lambda: hanna.put_object(Bucket=B, Key=THEIRS + "diary", Body=b""))
refused("another's object: delete", lambda: hanna.delete_object(Bucket=B, Key=THEIRS + "diary"))
refused("outside of all homes: get", lambda: hanna.get_object(Bucket=B, Key="shared.txt"))
refused("outside of all homes: put", lambda: hanna.put_object(Bucket=B, Key="new.txt", Body=b""))
refused("a home that only begins like hers", lambda: hanna.put_object(Bucket=B, Key="home/hannah/a", Body=b""))
refused("an ACL with the object", lambda: hanna.put_object(Bucket=B, Key=MINE + "a", Body=b"", ACL="public-read"))
refused("tags with the object", lambda: hanna.put_object(Bucket=B, Key=MINE + "a", Body=b"", Tagging="a=b"))
refused("a version", lambda: hanna.get_object(Bucket=B, Key=MINE + "a", VersionId="null"))
refused("the object's ACL", lambda: hanna.get_object_acl(Bucket=B, Key=MINE + "a"))
refused("the bucket's location", lambda: hanna.get_bucket_location(Bucket=B))
refused("the bucket's policy", lambda: hanna.get_bucket_policy(Bucket=B))
refused("the bucket", lambda: hanna.delete_bucket(Bucket=B))
for path in (f"{MINE}../ivan/diary", f"{MINE}..%2Fivan%2Fdiary", f"{MINE}%2e%2e/ivan/diary"):
    for method in ("GET", "PUT", "DELETE"):
        table.row(f"{method} {path}", (400, "InvalidURI"), lambda: signed("hanna", method, f"/{B}/{path}", b"").brief())


# --- lists


@table.case
def she_lists_her_home():
    for name in ("1", "2", "sub/3"):
        at_store.put_object(Bucket=B, Key=MINE + name, Body=b"")
    listed = hanna.list_objects_v2(Bucket=B, Prefix=MINE, Delimiter="/")
    expect([o["Key"] for o in listed["Contents"]], [MINE + "1", MINE + "2"])
    expect([p["Prefix"] for p in listed["CommonPrefixes"]], [MINE + "sub/"])
    expect(len(hanna.list_objects(Bucket=B, Prefix=MINE)["Contents"]), 3)
    expect(len(hanna.list_objects_v2(Bucket=B, Prefix=MINE + "sub/")["Contents"]), 1)
    pages = hanna.get_paginator("list_objects_v2").paginate(Bucket=B, Prefix=MINE, PaginationConfig={"PageSize": 1})
    expect(sum(len(page["Contents"]) for page in pages), 3)
    expect("home/hanna/sub/3" in aws("hanna", "s3", "ls", "--recursive", f"s3://{B}/{MINE}").stdout, True)


for prefix in ("", "home/", "home/hanna", THEIRS, "home/hann", "Home/hanna/"):
    refused(f"a list of {prefix!r}", lambda: hanna.list_objects_v2(Bucket=B, Prefix=prefix))
refused("a list of all", lambda: hanna.list_objects_v2(Bucket=B))
refused("a list of all, as it was in the first version", lambda: hanna.list_objects(Bucket=B))
refused("a list of versions", lambda: hanna.list_object_versions(Bucket=B, Prefix=MINE))
refused("a list of uploads", lambda: hanna.list_multipart_uploads(Bucket=B, Prefix=MINE))
for query in (f"prefix={MINE}&prefix=", f"prefix=&prefix={MINE}", f"prefix={MINE}&list-type=2&prefix={THEIRS}"):
    table.row(
        f"two prefixes: {query}",
        (400, "InvalidArgument"),
        lambda: signed("hanna", "GET", f"/{B}?{query}").brief(),
    )


# --- in parts


@table.case
def an_upload_in_parts():
    data = os.urandom(2 * PART + 17)
    parts = [data[at : at + PART] for at in range(0, len(data), PART)]
    target = {"Bucket": B, "Key": MINE + "large"}
    target["UploadId"] = hanna.create_multipart_upload(**target)["UploadId"]
    etags = [
        hanna.upload_part(**target, PartNumber=number, Body=part)["ETag"] for number, part in enumerate(parts, start=1)
    ]
    listed = hanna.list_parts(**target)["Parts"]
    expect([(part["PartNumber"], part["Size"]) for part in listed], [(1, PART), (2, PART), (3, 17)])
    # The upload's id is no key to it.
    for call in (
        lambda: ivan.list_parts(**target),
        lambda: ivan.upload_part(**target, PartNumber=1, Body=b"ivan's"),
        lambda: ivan.complete_multipart_upload(
            **target, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etags[0]}]}
        ),
        lambda: ivan.abort_multipart_upload(**target),
    ):
        expect(outcome(call), DENIED)
    hanna.complete_multipart_upload(
        **target, MultipartUpload={"Parts": [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, start=1)]}
    )
    assert body(target["Key"]) == data


@table.case
def an_upload_in_parts_that_is_aborted():
    target = {"Bucket": B, "Key": MINE + "aborted"}
    target["UploadId"] = hanna.create_multipart_upload(**target)["UploadId"]
    hanna.upload_part(**target, PartNumber=1, Body=DATA)
    hanna.abort_multipart_upload(**target)
    assert not at_store.list_multipart_uploads(Bucket=B).get("Uploads")
    assert target["Key"] not in stored()


@table.case
def the_transfer_manager():
    data = os.urandom(PART * 4)
    hanna.upload_fileobj(io.BytesIO(data), B, MINE + "transferred")
    assert body(MINE + "transferred") == data
    back = io.BytesIO()
    hanna.download_fileobj(B, MINE + "transferred", back)
    assert back.getvalue() == data


refused("parts of another's object", lambda: hanna.create_multipart_upload(Bucket=B, Key=THEIRS + "large"))


# --- copies. botocore encodes a source that is given as text, so the spellings are sent by hand.


def copied(source, target=MINE + "stolen"):
    return signed("hanna", "PUT", f"/{B}/{target}", b"", {"x-amz-copy-source": source}).brief()


@table.case
def a_copy_within_the_home():
    at_store.put_object(Bucket=B, Key=MINE + "source ü", Body=DATA)
    hanna.copy_object(Bucket=B, Key=MINE + "copy", CopySource={"Bucket": B, "Key": MINE + "source ü"})
    assert body(MINE + "copy") == DATA
    for spelled in (f"/{B}/{MINE}source%20%C3%BC", f"{B}/{MINE}source%20%c3%bc", f"{B}%2F{MINE}source%20%C3%BC"):
        expect(copied(spelled, MINE + "again"), 200)
        assert body(MINE + "again") == DATA
        at_store.delete_object(Bucket=B, Key=MINE + "again")
    target = {"Bucket": B, "Key": MINE + "of parts"}
    target["UploadId"] = hanna.create_multipart_upload(**target)["UploadId"]
    source = {"Bucket": B, "Key": MINE + "source ü"}
    etag = hanna.upload_part_copy(**target, PartNumber=1, CopySource=source)["CopyPartResult"]["ETag"]
    for stolen in (THEIRS + "diary", "shared.txt"):
        call = lambda: hanna.upload_part_copy(**target, PartNumber=2, CopySource={"Bucket": B, "Key": stolen})
        expect(outcome(call), DENIED)
    hanna.complete_multipart_upload(**target, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert body(target["Key"]) == DATA


for source in (
    f"{B}/{THEIRS}diary",
    f"/{B}/{THEIRS}diary",
    f"{B}/shared.txt",
    f"{B}%2F{THEIRS.replace('/', '%2f')}diary",
    f"/{B}/home/%69van/diary",
):
    table.row(f"a copy from {source}", DENIED, lambda: copied(source))
for source in (f"{B}/{MINE}../ivan/diary", f"{B}/{MINE}..%2Fivan/diary", f"{B}/{MINE}%2e%2e/ivan/diary"):
    table.row(f"a copy from {source}", (400, "InvalidURI"), lambda: copied(source))
refused(
    "a copy to another's home",
    lambda: hanna.copy_object(Bucket=B, Key=THEIRS + "diary", CopySource={"Bucket": B, "Key": MINE + "copy"}),
)
table.row("nothing was stolen", False, lambda: MINE + "stolen" in stored())


# --- many at once


def batch(keys, **more):
    for key in keys:
        if key.startswith(MINE):
            at_store.put_object(Bucket=B, Key=key, Body=b"")
    return hanna.delete_objects(Bucket=B, Delete={"Objects": [{"Key": key} for key in keys], **more})


@table.case
def a_batch_within_the_home():
    for more in ({}, {"Quiet": True}):
        keys = [MINE + "x", MINE + "y ü&<>", MINE + "never was"]
        answer = batch(keys, **more)
        assert not answer.get("Errors"), answer
        expect({entry["Key"] for entry in answer.get("Deleted", [])}, set() if more else set(keys))
        expect(stored() & set(keys), set())


@table.case
def a_batch_with_others_keys():
    mine, theirs = [MINE + "x", MINE + "y ü&<>"], [THEIRS + "diary", "shared.txt"]
    for more in ({}, {"Quiet": True}):
        if AUTH == "preserve":
            # The body is signed, so it cannot be sent on in part.
            expect(outcome(lambda: batch([*mine, *theirs], **more)), DENIED)
            assert {*mine, *theirs} <= stored()
            continue
        answer = batch([mine[0], theirs[0], mine[1], theirs[1]], **more)
        expect({entry["Key"] for entry in answer.get("Deleted", [])}, set() if more else set(mine))
        expect({(entry["Key"], entry["Code"]) for entry in answer["Errors"]}, {(key, "AccessDenied") for key in theirs})
        expect(stored() & {*mine, *theirs}, set(theirs))


@table.case
def a_batch_of_others_keys_alone():
    if AUTH == "preserve":
        expect(outcome(lambda: batch([THEIRS + "diary"])), DENIED)
    else:
        answer = batch([THEIRS + "diary"])
        expect(([e["Code"] for e in answer["Errors"]], answer.get("Deleted")), (["AccessDenied"], None))
    expect(body(THEIRS + "diary"), b"ivan's")


@table.case
def a_batch_with_each_kind_of_digest():
    key = MINE + "digested"
    document = f"<Delete><Object><Key>{key}</Key></Object></Delete>".encode()
    md5 = base64.b64encode(hashlib.md5(document).digest()).decode()
    sha256 = base64.b64encode(hashlib.sha256(document).digest()).decode()
    for headers, expected in [
        ({"content-md5": md5}, 200),
        ({"x-amz-checksum-sha256": sha256, "x-amz-sdk-checksum-algorithm": "SHA256"}, 200),
        ({"content-md5": base64.b64encode(bytes(16)).decode()}, (400, "BadDigest")),
        ({"x-amz-checksum-sha256": base64.b64encode(bytes(32)).decode()}, (400, "BadDigest")),
    ]:
        at_store.put_object(Bucket=B, Key=key, Body=b"")
        expect(signed("hanna", "POST", f"/{B}?delete", document, headers).brief(), expected)
        expect(key in stored(), expected != 200)
    for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
        at_store.put_object(Bucket=B, Key=key, Body=b"")
        hanna.delete_objects(Bucket=B, Delete={"Objects": [{"Key": key}]}, ChecksumAlgorithm=algorithm)
        assert key not in stored(), algorithm


# --- presigned


def presigned(operation, key):
    return hanna.generate_presigned_url(operation, Params={"Bucket": B, "Key": key}, ExpiresIn=60)


@table.case
def presigned_urls():
    url = presigned("put_object", MINE + "presigned +")
    expect(requests.put(url, data=DATA, timeout=60).status_code, 200)
    expect(requests.get(presigned("get_object", MINE + "presigned +"), timeout=60).content, DATA)
    # What she may not do she cannot give away.
    expect(requests.get(presigned("get_object", THEIRS + "diary"), timeout=60).status_code, 403)
    expect(requests.put(presigned("put_object", THEIRS + "diary"), data=DATA, timeout=60).status_code, 403)
    # Nor is a URL good for another key or another method.
    for method, changed in [
        ("GET", presigned("get_object", MINE + "presigned +").replace("hanna", "ivan")),
        ("PUT", presigned("get_object", MINE + "presigned +")),
    ]:
        answer = requests.request(method, changed, timeout=60)
        assert answer.status_code == 403 and "SignatureDoesNotMatch" in answer.text, (method, answer.text)
    expect(body(THEIRS + "diary"), b"ivan's")


# --- the aws CLI


@table.case
def the_aws_cli():
    folder = pathlib.Path(E2E["directory"], f"homes-{AUTH}")
    folder.mkdir()
    (folder / "up").mkdir()
    for name in ("one", "two words", "ünï"):
        (folder / "up" / name).write_bytes(DATA)
    home = f"s3://{B}/{MINE}cli"
    aws("hanna", "s3", "sync", "--only-show-errors", str(folder / "up"), home)
    aws("hanna", "s3", "cp", "--only-show-errors", "--recursive", home, str(folder / "down"))
    expect(
        {path.name: path.read_bytes() == DATA for path in (folder / "down").iterdir()},
        dict.fromkeys(("one", "two words", "ünï"), True),
    )
    aws("hanna", "s3", "mv", "--only-show-errors", f"{home}/one", f"{home}/moved")
    expect(stored(MINE + "cli"), {f"{MINE}cli/{name}" for name in ("moved", "two words", "ünï")})
    for arguments in (
        ["cp", str(folder / "up" / "one"), f"s3://{B}/{THEIRS}one"],
        ["cp", f"s3://{B}/{THEIRS}diary", f"{home}/stolen"],
        ["cp", f"s3://{B}/{THEIRS}diary", str(folder / "stolen")],
        ["ls", f"s3://{B}/{THEIRS}"],
        ["ls", f"s3://{B}"],
        ["rm", f"s3://{B}/{THEIRS}diary"],
        ["rm", "--recursive", f"s3://{B}/{THEIRS}"],
        ["mb", "s3://homes-of-hanna"],
        ["rb", f"s3://{B}"],
    ):
        denied = aws("hanna", "s3", *arguments, check=False)
        # The answer to a HEAD has no body, so all the CLI knows of it is its status.
        assert denied.returncode != 0 and ("AccessDenied" in denied.stderr or "403" in denied.stderr), (
            arguments,
            denied,
        )
    document = f"Objects=[{{Key={MINE}cli/moved}},{{Key={THEIRS}diary}}]"
    answer = aws("hanna", "s3api", "delete-objects", "--bucket", B, "--delete", document, check=False)
    if AUTH == "preserve":
        assert "AccessDenied" in answer.stderr, answer
    else:
        assert '"Deleted"' in answer.stdout and '"AccessDenied"' in answer.stdout, answer
    expect(MINE + "cli/moved" in stored(), AUTH == "preserve")
    aws("hanna", "s3", "rm", "--only-show-errors", "--recursive", home)
    expect((stored(MINE + "cli"), body(THEIRS + "diary")), (set(), b"ivan's"))


table.finish()
