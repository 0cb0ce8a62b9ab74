"""Before bob gets the permission."""

import os

from harness import E2E, Table, client, harmless, outcome

table = Table()
B = "reloaded"
if not os.path.exists(os.path.join(E2E["directory"], "objects", B)):
    client("acme-root").create_bucket(Bucket=B)


def put(who):
    return outcome(lambda: client(who).put_bucket_policy(Bucket=B, Policy=harmless(B)))


table.row("alice may", 204, lambda: put("alice"))
table.row("bob may not", (403, "AccessDenied"), lambda: put("bob"))
table.finish()
