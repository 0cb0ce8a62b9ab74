"""A bucket that is open to everybody, with its policy in force at this replica."""

from harness import E2E, STORE, client, garage, in_force, make_bucket, statement

if "rolling" not in garage("bucket", "list"):
    make_bucket("rolling")
    client("operator", STORE).put_object(Bucket="rolling", Key="open/constant", Body=b"constant")
in_force("rolling", statement("rolling", action=["s3:GetObject", "s3:PutObject"], resource="arn:aws:s3:::rolling/open/*"))
assert E2E["front"]
