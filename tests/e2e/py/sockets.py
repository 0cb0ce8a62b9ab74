"""Broken and stalled requests over raw sockets. The proxy runs with time limits of two seconds."""

import hashlib
import http.client
import io
import socket
import time
import urllib.parse

from harness import ENDPOINT, Answer, Signer, Table, expect, harmless, make_bucket, send, signed

table = Table()
ADDRESS = urllib.parse.urlsplit(ENDPOINT)
B = make_bucket("sockets")
TARGET = f"/{B}?policy"
BODY = harmless(B, "Stopped midway").encode()
# Two seconds of patience, and a machine that may be compiling at the same time.
SOON = 20


def connect():
    return socket.create_connection((ADDRESS.hostname, ADDRESS.port), timeout=SOON)


def head(length, who="acme-root", **more):
    fields = Signer(who).sign("PUT", TARGET, hashlib.sha256(BODY).hexdigest())
    fields |= {"content-length": str(length), **more}
    return (
        f"PUT {TARGET} HTTP/1.1\r\n".encode() + b"".join(f"{k}: {v}\r\n".encode() for k, v in fields.items()) + b"\r\n"
    )


def until_closed(connection):
    """All that comes until the proxy closes; a socket timeout here is a hang."""
    answer, start = b"", time.monotonic()
    while data := connection.recv(65536):
        answer += data
        assert time.monotonic() - start < SOON, "still answering"
    return answer


def parse(answer):
    class Fake:
        def makefile(self, *_):
            return io.BytesIO(answer)

    response = http.client.HTTPResponse(Fake())
    response.begin()
    return Answer(response).brief()


def nothing_was_stored():
    expect(signed("acme-root", "GET", TARGET).brief(), (404, "NoSuchBucketPolicy"))


def no_policy_from(claim, expected, converse):
    """`converse` ends in one of the expected answers, or, where None is among them, in a closed connection."""

    def run():
        with connect() as connection:
            answer = converse(connection)
        nothing_was_stored()
        got = parse(answer) if answer else None
        assert got in expected, f"{got}, not one of {expected}"

    table.row(claim, None, run)


def stalls(connection):
    connection.sendall(head(len(BODY)) + BODY[:50])
    return until_closed(connection)


def half_closes(connection):
    connection.sendall(head(len(BODY)) + BODY[:50])
    connection.shutdown(socket.SHUT_WR)
    return until_closed(connection)


def closes(connection):
    connection.sendall(head(len(BODY)) + BODY[:50])
    connection.close()
    return b""


def chunks_stop(connection):
    fields = head(0).replace(b"content-length: 0", b"transfer-encoding: chunked")
    connection.sendall(fields + b"40\r\n" + BODY[:30])
    connection.shutdown(socket.SHUT_WR)
    return until_closed(connection)


def chunks_are_garbage(connection):
    fields = head(0).replace(b"content-length: 0", b"transfer-encoding: chunked")
    connection.sendall(fields + b"xyz\r\n" + BODY)
    connection.shutdown(socket.SHUT_WR)
    return until_closed(connection)


no_policy_from("a body that stalls", [(400, "RequestTimeout")], stalls)
no_policy_from("a body that ends early", [(400, "IncompleteBody"), None], half_closes)
no_policy_from("a client that goes away", [None], closes)
no_policy_from("an unfinished chunk", [(400, "IncompleteBody"), None], chunks_stop)


@table.case
def chunks_that_are_none():
    with connect() as connection:
        answer = chunks_are_garbage(connection)
    nothing_was_stored()
    assert not answer or answer.split(b" ")[1].startswith(b"4"), answer


@table.case
def a_head_that_never_ends_is_cut_off():
    with connect() as connection:
        connection.sendall(f"PUT {TARGET} HTTP/1.1\r\nHost: x\r\nX-Slow: ".encode())
        answer = until_closed(connection)
    assert not answer or answer.split(b" ")[1] in (b"400", b"408"), answer


for claim, data in [
    ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(80) + b"\r\n\r\n"),
    ("an unknown version", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n"),
    ("a header without name", b"GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n"),
    (
        "two lengths that differ",
        f"PUT {TARGET} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".encode(),
    ),
    ("a length that is no number", f"PUT {TARGET} HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".encode()),
    (
        "1 MiB of headers",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(1000)) + b"\r\n",
    ),
]:

    def broken():
        with connect() as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                answer = until_closed(connection)
            except OSError:
                # Closed under our hands: refused all the same.
                answer = b""
        assert not answer or answer.split(b" ")[1].startswith(b"4"), answer[:200]

    table.row(claim, None, broken)

for claim, target, expected in [
    ("a bucket name that is none", "/..?policy", [(400, "InvalidBucketName"), (404, "NoSuchBucket")]),
    ("a bucket name in capitals", "/UPPER_case!?policy", [(400, "InvalidBucketName"), (404, "NoSuchBucket")]),
    ("a bad percent escape", "/%zz?policy", [(400, "InvalidURI"), (400, "InvalidBucketName")]),
    ("no UTF-8 in the bucket", "/%ff%fe?policy", [(400, "InvalidURI"), (400, "InvalidBucketName")]),
]:

    def refused():
        got = send("PUT", target, BODY).brief()
        assert got in expected, got

    table.row(claim, None, refused)


@table.case
def an_object_upload_that_stalls_is_cut_off():
    target = f"/{B}/stalled"
    fields = Signer("acme-root").sign("PUT", target, hashlib.sha256(b"x" * 100_000).hexdigest())
    fields |= {"content-length": "100000"}
    with connect() as connection:
        connection.sendall(
            f"PUT {target} HTTP/1.1\r\n".encode()
            + b"".join(f"{k}: {v}\r\n".encode() for k, v in fields.items())
            + b"\r\n"
            + b"x" * 50_000
        )
        until_closed(connection)
    expect(signed("acme-root", "GET", target).status, 404)


@table.case
def the_proxy_still_serves():
    expect(signed("acme-root", "PUT", TARGET, BODY).status, 204)
    expect(signed("acme-root", "GET", TARGET).body, BODY)


table.finish()
