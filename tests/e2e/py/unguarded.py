"""`[policy] lockout_guard = false`: nobody is kept from locking themselves out."""

from harness import ACME, Table, client, harmless, make_bucket, outcome, policy, statement, user

table = Table()
B = make_bucket("unguarded")


def put(who, document):
    return outcome(lambda: client(who).put_bucket_policy(Bucket=B, Policy=document))


locks_out = policy(statement(B, "Deny", user(ACME, "alice"), "s3:PutBucketPolicy"))
table.row("alice locks herself out", 204, lambda: put("alice", locks_out))
table.row("and is out", (403, "AccessDenied"), lambda: put("alice", harmless(B)))
table.finish()
