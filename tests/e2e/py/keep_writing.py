"""Writes policies, one writer a bucket, until the proxy is killed; prints `bucket number` once each is acknowledged."""

import concurrent.futures
import http.client
import os
import sys

from harness import harmless, signed

FIRST = int(os.environ["FIRST"])
BUCKETS = os.environ["BUCKETS"].split()


def keep_writing(bucket):
    number = FIRST
    while True:
        try:
            status = signed("globex-root", "PUT", f"/{bucket}?policy", harmless(bucket, str(number)).encode()).status
        except (OSError, http.client.HTTPException):
            return
        if status != 204:
            sys.stdout.write(f"{bucket} refused with {status}\n")
            return
        sys.stdout.write(f"{bucket} {number}\n")
        number += 1


with concurrent.futures.ThreadPoolExecutor(len(BUCKETS)) as pool:
    list(pool.map(keep_writing, BUCKETS))
