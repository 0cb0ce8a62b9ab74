"""A bucket that is open to everybody."""

from harness import STORE, client, in_force, make_bucket, statement

make_bucket("rolling")
client("operator", STORE).put_object(Bucket="rolling", Key="open/constant", Body=b"constant")
in_force("rolling", statement("rolling", action=["s3:GetObject", "s3:PutObject"], resource="arn:aws:s3:::rolling/open/*"))
