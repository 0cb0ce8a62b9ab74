"""Once bob has the permission: the change arrives without a restart, in bounded time."""

import time

from harness import Table, client, harmless, outcome

table = Table()
B = "reloaded"


@table.case
def bob_may_before_long():
    deadline = time.monotonic() + 20
    while (got := outcome(lambda: client("bob").put_bucket_policy(Bucket=B, Policy=harmless(B)))) != 204:
        assert time.monotonic() < deadline, got


table.finish()
