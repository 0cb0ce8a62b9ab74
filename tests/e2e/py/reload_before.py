"""Before bob gets the permission."""

from harness import client, harmless, outcome, Table, E2E

import os

table = Table()
B = "reloaded"
if not os.path.exists(os.path.join(E2E["directory"], "objects", B)):
    client("acme-root").create_bucket(Bucket=B)
put = lambda who: outcome(lambda: client(who).put_bucket_policy(Bucket=B, Policy=harmless(B)))
table.row("alice may", 204, lambda: put("alice"))
table.row("bob may not", (403, "AccessDenied"), lambda: put("bob"))
table.finish()
