"""The aws CLI, as people type it: policy commands, and the file commands byte for byte."""

import hashlib
import json
import os
import pathlib
import urllib.request

from harness import ENDPOINT, STORE, Table, aws, client, harmless, make_bucket

table = Table()
HOME = pathlib.Path(os.environ["HOME"], "files")
HOME.mkdir()
B = make_bucket("files-of-acme")


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def random_file(name, size):
    path = HOME / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(os.urandom(size))
    return path


@table.case
def put_get_and_delete_bucket_policy():
    document = HOME / "policy.json"
    document.write_text(harmless(B))
    arguments = ["--bucket", B, "--policy", f"file://{document}"]
    direct = aws("acme-root", "s3api", "put-bucket-policy", *arguments, endpoint=STORE, check=False)
    assert direct.returncode != 0 and "NotImplemented" in direct.stderr, direct.stderr
    aws("acme-root", "s3api", "put-bucket-policy", *arguments)
    got = json.loads(aws("acme-root", "s3api", "get-bucket-policy", "--bucket", B).stdout)
    assert got["Policy"] == document.read_text(), got
    refused = aws("bob", "s3api", "put-bucket-policy", *arguments, check=False)
    assert "AccessDenied" in refused.stderr, refused.stderr
    refused = aws("dave", "s3api", "put-bucket-policy", *arguments, check=False)
    assert "MethodNotAllowed" in refused.stderr, refused.stderr
    aws("acme-root", "s3api", "delete-bucket-policy", "--bucket", B)
    gone = aws("acme-root", "s3api", "get-bucket-policy", "--bucket", B, check=False)
    assert "NoSuchBucketPolicy" in gone.stderr, gone.stderr


@table.case
def cp_up_and_down():
    for name, size in [("empty", 0), ("small", 1), ("page", 4096), ("odd", 1_000_003)]:
        up = random_file(name, size)
        aws("alice", "s3", "cp", "--only-show-errors", str(up), f"s3://{B}/cp/{name}")
        for endpoint in (ENDPOINT, STORE):
            down = HOME / f"{name}.down"
            aws("alice", "s3", "cp", "--only-show-errors", f"s3://{B}/cp/{name}", str(down), endpoint=endpoint)
            assert sha256(up) == sha256(down), (name, endpoint)


@table.case
def a_multipart_upload_of_100_mib():
    up = random_file("large", 100 << 20)
    aws("acme-root", "s3", "cp", "--only-show-errors", str(up), f"s3://{B}/large")
    etag = client("acme-root", STORE).head_object(Bucket=B, Key="large")["ETag"]
    assert "-" in etag, f"{etag}: not sent in parts"
    for endpoint in (ENDPOINT, STORE):
        down = HOME / "large.down"
        aws("acme-root", "s3", "cp", "--only-show-errors", f"s3://{B}/large", str(down), endpoint=endpoint)
        assert sha256(up) == sha256(down), endpoint
        down.unlink()
    for wanted in ["bytes=0-0", "bytes=1048575-9437184", "bytes=-17", "bytes=104857599-"]:
        down = HOME / "range"
        answer = aws("acme-root", "s3api", "get-object", "--bucket", B, "--key", "large", "--range", wanted, str(down))
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        data = up.read_bytes()
        data = data[-int(last) :] if not first else data[int(first) : int(last) + 1 if last else None]
        assert down.read_bytes() == data, wanted
        assert json.loads(answer.stdout)["ContentLength"] == len(data), wanted
    url = aws("acme-root", "s3", "presign", f"s3://{B}/large").stdout.strip()
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert hashlib.sha256(answer.read()).hexdigest() == sha256(up)


@table.case
def sync_and_ls():
    names = ["a.txt", "b c.txt", "deep/er/d.bin", "ünï.txt", "plus+sign", "100%25"]
    # No empty one: botocore forgets to reset a connection on which `Expect: 100-continue` was answered without a 100, as
    # it is for an empty body, and waits for ever when it uses it again.
    for size, name in enumerate(names, start=1):
        random_file(f"tree/{name}", size * 100_000)
    aws("alice", "s3", "sync", "--only-show-errors", str(HOME / "tree"), f"s3://{B}/tree")
    (HOME / "tree" / "a.txt").write_text("changed")
    again = aws("alice", "s3", "sync", "--no-progress", str(HOME / "tree"), f"s3://{B}/tree").stdout
    assert "a.txt" in again and "d.bin" not in again, again
    aws("alice", "s3", "sync", "--only-show-errors", f"s3://{B}/tree", str(HOME / "back"))
    for name in names:
        assert sha256(HOME / "tree" / name) == sha256(HOME / "back" / name), name
    listings = [
        aws("alice", "s3", "ls", "--recursive", f"s3://{B}/tree/", endpoint=endpoint).stdout
        for endpoint in (ENDPOINT, STORE)
    ]
    assert listings[0] == listings[1]
    assert all(name in listings[0] for name in names), listings[0]
    assert B in aws("acme-root", "s3", "ls").stdout
    aws("alice", "s3", "rm", "--only-show-errors", "--recursive", f"s3://{B}/tree")
    assert aws("alice", "s3", "ls", "--recursive", f"s3://{B}/tree/", check=False).stdout == ""


table.finish()
