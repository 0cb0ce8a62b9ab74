"""Makes the buckets, or prints `bucket number` for the policy each has in force.

They are globex's, not the default account's: without the record of who created them, globex could not even ask.
"""

import json
import os

from harness import client, signed

for bucket in os.environ["BUCKETS"].split():
    if os.environ.get("CREATE"):
        client("globex-root").create_bucket(Bucket=bucket)
        continue
    answer = signed("globex-root", "GET", f"/{bucket}?policy")
    assert answer.status == 200, (bucket, answer.status, answer.body)
    print(bucket, json.loads(answer.body)["Statement"][0]["Sid"])
