"""A known handful of requests, for the tests that read the logs."""

from harness import client, harmless, make_bucket, outcome

B = make_bucket("logged")
assert outcome(lambda: client("alice").put_bucket_policy(Bucket=B, Policy=harmless(B))) == 204
assert outcome(lambda: client("alice").get_bucket_policy(Bucket=B)) == 200
assert outcome(lambda: client("bob").put_bucket_policy(Bucket=B, Policy=harmless(B))) == (403, "AccessDenied")
assert outcome(lambda: client("acme-root").delete_bucket_policy(Bucket=B)) == 204
client("acme-root").put_object(Bucket=B, Key="an object", Body=b"data")
