"""Two hundred writers at once: afterwards exactly one of the sent policies is there."""

import concurrent.futures
import threading

from harness import Table, expect, harmless, make_bucket, signed

table = Table()
B = make_bucket("crowded")
COUNT = 200
SENT = [harmless(B, f"Writer {number} " + "x" * (number * 37 % 4000)).encode() for number in range(COUNT)]
TARGET = f"/{B}?policy"


@table.case
def two_hundred_at_once():
    together = threading.Barrier(COUNT)

    def write(body):
        together.wait()
        return signed("alice", "PUT", TARGET, body).status

    with concurrent.futures.ThreadPoolExecutor(COUNT) as pool:
        writes = [pool.submit(write, body) for body in SENT]
        while not all(write.done() for write in writes):
            answer = signed("alice", "GET", TARGET)
            assert answer.status == 404 or answer.body in SENT, f"a mix: {answer.body!r}"
    statuses = [write.result() for write in writes]
    assert statuses == [204] * COUNT, statuses
    last = {signed("alice", "GET", TARGET).body for _ in range(20)}
    assert len(last) == 1 and last < set(SENT), last


@table.case
def a_read_after_the_204_sees_the_write():
    def own(number):
        bucket = make_bucket(f"own-{number}")
        for turn in range(15):
            body = harmless(bucket, f"Turn {turn}").encode()
            expect(signed("alice", "PUT", f"/{bucket}?policy", body).status, 204)
            expect(signed("alice", "GET", f"/{bucket}?policy").body, body)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(own, range(8)))


table.finish()
