"""Framed, digested and broken bodies of PUT ?policy: taken when sound, S3's error when not, and never stored then."""

import base64
import hashlib
import http.client
import json
import socket
import urllib.parse

from awscrt import checksums

from harness import ACME, ENDPOINT, Signer, Table, chunked, expect, harmless, make_bucket, signed, statement, user

table = Table()
B = make_bucket("bodies")
TARGET = f"/{B}?policy"
MALFORMED = (400, "MalformedPolicy")
SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER = (
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
)
KEPT = harmless(B, "Kept")


def put(body, **more):
    return signed("acme-root", "PUT", TARGET, body, **more)


def stored():
    return signed("acme-root", "GET", TARGET).body


def refused(claim, expected, call):
    """Refused as expected, and the policy from before still in force."""

    def run():
        put(KEPT.encode())
        answer = call().brief()
        assert stored() == KEPT.encode(), "a refused body was stored"
        return answer

    table.row(claim, expected, run)


def accepted(claim, body, call):
    def run():
        answer = call().brief()
        expect(stored(), body)
        return answer

    table.row(claim, 204, run)


def sized(length):
    """A policy of `length` bytes that normalising leaves as it is."""
    arn = f"arn:aws:s3:::{B}"
    plain = json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "", **statement(B)}]}, separators=(",", ":"))
    return plain.replace('"Sid":""', '"Sid":"%s"' % ("x" * (length - len(plain)))).encode()


def lines(head):
    return b"".join(f"{name}: {value}\r\n".encode() for name, value in head.items()) + b"\r\n"


def b64(number, size):
    return base64.b64encode(number.to_bytes(size, "big")).decode()


# --- digests

BODY = harmless(B, "Digest").encode()
DIGESTS = {
    "x-amz-checksum-crc32": b64(checksums.crc32(BODY), 4),
    "x-amz-checksum-crc32c": b64(checksums.crc32c(BODY), 4),
    "x-amz-checksum-crc64nvme": b64(checksums.crc64nvme(BODY), 8),
    "x-amz-checksum-sha1": base64.b64encode(hashlib.sha1(BODY).digest()).decode(),
    "x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(BODY).digest()).decode(),
    "content-md5": base64.b64encode(hashlib.md5(BODY).digest()).decode(),
}
for header, right in DIGESTS.items():
    wrong = base64.b64encode(bytes(255 - byte for byte in base64.b64decode(right))).decode()
    accepted(f"{header}: right", BODY, lambda: put(BODY, headers={header: right}))
    refused(f"{header}: wrong", (400, "BadDigest"), lambda: put(BODY, headers={header: wrong}))
    code = "InvalidDigest" if header == "content-md5" else "InvalidRequest"
    refused(f"{header}: no digest at all", (400, code), lambda: put(BODY, headers={header: "!"}))
refused("another hash than was signed", (400, "XAmzContentSHA256Mismatch"), lambda: put(BODY, payload_hash="0" * 64))

# --- aws-chunked

LONG = json.dumps(
    {
        "Version": "2012-10-17",
        "Id": "long" * 60,
        "Statement": [statement(B, principal=user(ACME, "alice"), Sid="Chunked")],
    }
).encode()
CRC32 = ("x-amz-checksum-crc32", b64(checksums.crc32(LONG), 4))
WRONG = ("x-amz-checksum-crc32", b64(checksums.crc32(LONG) ^ 1, 4))

accepted("signed chunks", LONG, lambda: chunked("acme-root", TARGET, LONG, SIGNED))
accepted("signed chunks and trailer", LONG, lambda: chunked("acme-root", TARGET, LONG, SIGNED_TRAILER, CRC32))
accepted("unsigned chunks and trailer", LONG, lambda: chunked("acme-root", TARGET, LONG, UNSIGNED_TRAILER, CRC32))
for algorithm in ("crc32c", "crc64nvme"):
    value = b64(getattr(checksums, algorithm)(LONG), 4 if algorithm == "crc32c" else 8)
    accepted(
        f"unsigned chunks and a {algorithm} trailer",
        LONG,
        lambda: chunked("acme-root", TARGET, LONG, UNSIGNED_TRAILER, (f"x-amz-checksum-{algorithm}", value)),
    )
refused("a wrong trailer", (400, "BadDigest"), lambda: chunked("acme-root", TARGET, LONG, UNSIGNED_TRAILER, WRONG))
refused(
    "a wrong trailer, signed", (400, "BadDigest"), lambda: chunked("acme-root", TARGET, LONG, SIGNED_TRAILER, WRONG)
)
refused(
    "a chunk changed on the way",
    (403, "SignatureDoesNotMatch"),
    lambda: chunked(
        "acme-root", TARGET, LONG, SIGNED, spoil=lambda framed: framed.replace(b"2012-10-17", b"2008-10-17")
    ),
)
refused(
    "the first chunk's signature changed",
    (403, "SignatureDoesNotMatch"),
    lambda: chunked("acme-root", TARGET, LONG, SIGNED, spoil=lambda framed: framed[:30] + b"0000" + framed[34:]),
)
refused(
    "a signed trailer changed on the way",
    (403, "SignatureDoesNotMatch"),
    lambda: chunked(
        "acme-root",
        TARGET,
        LONG,
        SIGNED_TRAILER,
        CRC32,
        spoil=lambda framed: framed.replace(CRC32[1].encode(), WRONG[1].encode()),
    ),
)
refused(
    "the last chunk is missing",
    (400, "IncompleteBody"),
    lambda: chunked("acme-root", TARGET, LONG, SIGNED, spoil=lambda framed: framed[: framed.rindex(b"0;chunk")]),
)
refused(
    "a chunk size that is no number",
    (400, "InvalidRequest"),
    lambda: chunked("acme-root", TARGET, LONG, UNSIGNED_TRAILER, CRC32, spoil=lambda framed: b"zz" + framed),
)
refused(
    "another decoded length than announced",
    (400, "IncompleteBody"),
    lambda: chunked(
        "acme-root", TARGET, LONG, UNSIGNED_TRAILER, CRC32, headers={"x-amz-decoded-content-length": str(len(LONG) + 1)}
    ),
)

# --- what is no policy

refused("no body", MALFORMED, lambda: put(b""))
refused("white space first", MALFORMED, lambda: put(b"\n" + BODY))
refused("a byte order mark first", MALFORMED, lambda: put(b"\xef\xbb\xbf" + BODY))
refused("cut in the middle", MALFORMED, lambda: put(BODY[: len(BODY) // 2]))
refused("not UTF-8", MALFORMED, lambda: put(BODY.replace(b"Digest", b"Dig\xffest")))
refused("a lone surrogate", MALFORMED, lambda: put(BODY.replace(b"Digest", b"\\ud800")))
refused("30,000 open brackets", MALFORMED, lambda: put(b'{"Statement":' + b"[" * 30_000))
refused("10,000 nested objects", MALFORMED, lambda: put(b'{"Statement":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001))
refused(
    "the same element twice",
    MALFORMED,
    lambda: put(BODY.replace(b'"Effect": "Allow"', b'"Effect": "Deny", "Effect": "Allow"')),
)
refused("two documents", MALFORMED, lambda: put(BODY + BODY))
refused("20,481 bytes", MALFORMED, lambda: put(sized(20_481)))
refused("64 KiB and one byte", MALFORMED, lambda: put(sized(65_537)))
refused("1 MiB", MALFORMED, lambda: put(sized(1 << 20)))
refused("1 MiB of white space", MALFORMED, lambda: put(BODY + b" " * (1 << 20)))
accepted("60 KiB of which most is white space", BODY + b" " * 60_000, lambda: put(BODY + b" " * 60_000))


accepted("20,480 bytes", sized(20_480), lambda: put(sized(20_480)))


# --- what the body must not be read for


@table.case
def a_denied_caller_who_expects_100_never_sends_the_body():
    address = urllib.parse.urlsplit(ENDPOINT)
    for who, status in [("bob", b"403"), ("dave", b"405")]:
        head = Signer(who).sign("PUT", TARGET, hashlib.sha256(BODY).hexdigest())
        head |= {"content-length": str(len(BODY)), "expect": "100-continue"}
        with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
            connection.sendall(f"PUT {TARGET} HTTP/1.1\r\n".encode() + lines(head))
            first = connection.recv(65536)
            assert first.split(b" ")[1] == status, first


@table.case
def a_permitted_caller_is_told_to_continue():
    address = urllib.parse.urlsplit(ENDPOINT)
    head = Signer("alice").sign("PUT", TARGET, hashlib.sha256(BODY).hexdigest())
    head |= {"content-length": str(len(BODY)), "expect": "100-continue"}
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(f"PUT {TARGET} HTTP/1.1\r\n".encode() + lines(head))
        first = connection.recv(65536)
        assert first.startswith(b"HTTP/1.1 100 "), first
        connection.sendall(BODY)
        second = connection.recv(65536)
        assert second.startswith(b"HTTP/1.1 204 "), second
    expect(stored(), BODY)


@table.case
def the_connection_is_kept_after_an_error():
    address = urllib.parse.urlsplit(ENDPOINT)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    for body, status in [(b"not json", 400), (BODY, 204), (b"[]", 400), (BODY, 204)]:
        connection.request("PUT", TARGET, body, Signer("alice").sign("PUT", TARGET, hashlib.sha256(body).hexdigest()))
        used = connection.sock
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status, (answer.status, status)
        assert connection.sock is used and used is not None, "the connection was closed"


table.finish()
