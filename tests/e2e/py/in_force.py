"""Makes the buckets where they are missing, and prints `bucket number` for the policy each has in force."""

import json
import os

from harness import make_bucket, signed

for bucket in os.environ["BUCKETS"].split():
    if os.environ.get("CREATE"):
        make_bucket(bucket)
        continue
    answer = signed("acme-root", "GET", f"/{bucket}?policy")
    assert answer.status == 200, (bucket, answer.status, answer.body)
    print(bucket, json.loads(answer.body)["Statement"][0]["Sid"])
