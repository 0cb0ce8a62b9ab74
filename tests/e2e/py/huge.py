"""Objects far larger than the memory the proxy may take: up in signed chunks and in unsigned ones, and down again.

`PORTCULLIS_CLIENTS=full` makes them of 5 GiB instead of 128 MiB.
"""

import hashlib
import os
import pathlib
import re
import socket
import subprocess
import time
import urllib.parse

from harness import E2E, ENDPOINT, KEYS, REGION, Signer, Table, client, make_bucket

MIB = 1 << 20
SIZE = (5 << 30) if os.environ.get("PORTCULLIS_CLIENTS") == "full" else 128 * MIB
# Beyond what is resident at first: a program that is not optimised is large by itself.
MOST = 64 * MIB
WHO = "acme-root"
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

table = Table()
B = make_bucket("huge")
# The same MiB again and again: the store keeps it once.
PIECE = os.urandom(MIB)
whole = hashlib.sha256()
for _ in range(SIZE // MIB):
    whole.update(PIECE)
WHOLE = whole.hexdigest()


def most_resident():
    """The most memory that the proxy ever had, in bytes."""
    status = pathlib.Path(f"/proc/{E2E['pid']}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10


AT_FIRST = most_resident()


def put_signed_chunks(key, size):
    """The object in chunks of this size, which divides a MiB or is a multiple of it."""
    address = urllib.parse.urlsplit(ENDPOINT)
    data = PIECE[:size] if size < MIB else PIECE * (size // MIB)
    signer, count = Signer(WHO), SIZE // size
    headers = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(SIZE)}
    headers = signer.sign("PUT", f"/{B}/{key}", SIGNED_CHUNKS, headers)
    line = len(f"{size:x};chunk-signature=") + 64 + 2
    headers["content-length"] = str(count * (line + size + 2) + len("0;chunk-signature=") + 64 + 4)
    previous = signer.seed
    with socket.create_connection((address.hostname, address.port), timeout=600) as connection:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.sendall(f"PUT /{B}/{key} HTTP/1.1\r\n{head}\r\n".encode())
        for number in range(count):
            # Of a small chunk each piece of the MiB in turn.
            start = number * size % MIB
            part = PIECE[start : start + size] if size < MIB else data
            previous = signer.chunk_signature(previous, part)
            connection.sendall(f"{size:x};chunk-signature={previous}\r\n".encode() + part + b"\r\n")
        last = signer.chunk_signature(previous, b"")
        connection.sendall(f"0;chunk-signature={last}\r\n\r\n".encode())
        answer = connection.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 200 OK"), answer


def put_stream(key):
    """By the SDK for JavaScript, which streams it with a checksum behind."""
    key_id, secret, _ = KEYS[WHO]
    file = pathlib.Path(os.environ["HOME"], "huge")
    with open(file, "wb") as target:
        for _ in range(SIZE // MIB):
            target.write(PIECE)
    subprocess.run(
        ["node", E2E["javascript"], "stream", ENDPOINT, REGION, B, key, file],
        check=True,
        env={
            **os.environ,
            "NODE_PATH": E2E["node_modules"],
            "AWS_ACCESS_KEY_ID": key_id,
            "AWS_SECRET_ACCESS_KEY": secret,
        },
    )
    file.unlink()


def round_trip(key, put, *arguments):
    start = time.monotonic()
    put(key, *arguments)
    sent = time.monotonic() - start
    start = time.monotonic()
    digest, length = hashlib.sha256(), 0
    body = client(WHO).get_object(Bucket=B, Key=key)["Body"]
    while data := body.read(MIB):
        digest.update(data)
        length += len(data)
    received = time.monotonic() - start
    assert (length, digest.hexdigest()) == (SIZE, WHOLE), "other bytes came back"
    most = most_resident()
    print(f"| {key} | {SIZE // MIB} MiB | {sent:.1f} s | {received:.1f} s | {AT_FIRST / MIB:.1f} MiB resident at first, {most / MIB:.1f} at most |")
    assert most < AT_FIRST + MOST, f"{most} bytes were resident, and {AT_FIRST} at first"


table.row("unsigned, a checksum behind", None, lambda: round_trip("unsigned-trailer", put_stream))
for size in (64 << 10, MIB, 4 * MIB):
    name = f"signed-{size >> 10}-kib"
    table.row(f"signed chunks of {size} bytes", None, lambda: round_trip(name, put_signed_chunks, size))
table.finish()
