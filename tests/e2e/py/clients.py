"""One client against the proxy: what it sends arrives byte for byte, in the payload mode it is known for, and comes back.

`PORTCULLIS_CLIENT` names the client, a class below; `PORTCULLIS_CLIENTS=full` adds an object of 1 GiB.
"""

import hashlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse

import boto3.s3.transfer

from harness import E2E, ENDPOINT, KEYS, REGION, STORE, Table, client, make_bucket

MIB = 1 << 20
HOME = pathlib.Path(os.environ["HOME"], "files")
HOME.mkdir()
WHO = "acme-root"
KEY, SECRET, _ = KEYS[WHO]
ENVIRONMENT = {
    **os.environ,
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_MAX_ATTEMPTS": "1",
}
HASH, UNSIGNED = "a hash", "UNSIGNED-PAYLOAD"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


def run(*command, **environment):
    finished = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env={**ENVIRONMENT, **environment}
    )
    assert finished.returncode == 0, f"{command}: exit {finished.returncode}\n{finished.stdout}{finished.stderr}"


# --- the clients: how each puts a file there and gets it back. `modes` is how its payloads are signed over plain HTTP.


class AwsCli:
    modes = {HASH}

    def up(self, endpoint, file, bucket, key):
        self._cp(endpoint, file, f"s3://{bucket}/{key}")

    def down(self, endpoint, bucket, key, file):
        self._cp(endpoint, f"s3://{bucket}/{key}", file)

    def _cp(self, endpoint, source, target):
        run(E2E["aws"], "--endpoint-url", endpoint, "s3", "cp", "--only-show-errors", source, target)


class Boto3:
    modes = {HASH}
    config, extra = {}, {}

    def up(self, endpoint, file, bucket, key):
        if file.stat().st_size > 64 * MIB:
            client(WHO, endpoint, **self.config).upload_file(str(file), bucket, key, ExtraArgs=self.extra)
        else:
            with open(file, "rb") as body:
                client(WHO, endpoint, **self.config).put_object(Bucket=bucket, Key=key, Body=body, **self.extra)

    def down(self, endpoint, bucket, key, file):
        client(WHO, endpoint, **self.config).download_file(bucket, key, str(file))


class Boto3Signed(Boto3):
    modes = {HASH}
    config = {"s3": {"addressing_style": "path", "payload_signing_enabled": True}}


class Boto3Checksums(Boto3):
    """Each checksum there is, in turn."""

    algorithms = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]

    def up(self, endpoint, file, bucket, key):
        self.extra = {"ChecksumAlgorithm": self.algorithms[0]}
        self.algorithms = [*self.algorithms[1:], self.algorithms[0]]
        super().up(endpoint, file, bucket, key)


class Rclone:
    modes = {UNSIGNED}

    def up(self, endpoint, file, bucket, key):
        self._copy(endpoint, file, f"s3:{bucket}/{key}")

    def down(self, endpoint, bucket, key, file):
        self._copy(endpoint, f"s3:{bucket}/{key}", file)

    def _copy(self, endpoint, source, target):
        run(
            pathlib.Path(E2E["clients"]) / "rclone",
            *("copyto", "--config", "", "--retries", "1", "--low-level-retries", "1", "--s3-no-check-bucket"),
            *(source, target),
            RCLONE_CONFIG_S3_TYPE="s3",
            RCLONE_CONFIG_S3_PROVIDER="Other",
            RCLONE_CONFIG_S3_ENDPOINT=endpoint,
            RCLONE_CONFIG_S3_REGION=REGION,
            RCLONE_CONFIG_S3_ACCESS_KEY_ID=KEY,
            RCLONE_CONFIG_S3_SECRET_ACCESS_KEY=SECRET,
        )


class S3cmd:
    modes = {HASH}

    def up(self, endpoint, file, bucket, key):
        self._run(endpoint, "put", file, f"s3://{bucket}/{key}")

    def down(self, endpoint, bucket, key, file):
        self._run(endpoint, "get", "--force", f"s3://{bucket}/{key}", file)

    def _run(self, endpoint, *arguments):
        address = urllib.parse.urlsplit(endpoint).netloc
        run(
            pathlib.Path(E2E["clients"]) / "s3cmd",
            *("--config", os.devnull, "--no-ssl", "--no-progress", "--max-retries", "1"),
            *("--host", address, "--host-bucket", address, "--region", REGION),
            *("--access_key", KEY, "--secret_key", SECRET),
            *arguments,
        )


class JavaScript:
    """The AWS SDK for JavaScript: from memory, as a stream, in parts."""

    modes = {HASH}
    how = "buffer"

    def up(self, endpoint, file, bucket, key):
        how = "parts" if file.stat().st_size > 64 * MIB else self.how
        self._transfer(how, endpoint, bucket, key, file)

    def down(self, endpoint, bucket, key, file):
        self._transfer("down", endpoint, bucket, key, file)

    def _transfer(self, how, endpoint, bucket, key, file):
        run("node", E2E["javascript"], how, endpoint, REGION, bucket, key, file, NODE_PATH=E2E["node_modules"])


class JavaScriptStream(JavaScript):
    modes = {UNSIGNED_TRAILER}
    how = "stream"


class PyArrow:
    """The AWS SDK for C++."""

    modes = {UNSIGNED_TRAILER}

    def up(self, endpoint, file, bucket, key):
        with open(file, "rb") as source, self._system(endpoint).open_output_stream(f"{bucket}/{key}") as target:
            shutil.copyfileobj(source, target, MIB)

    def down(self, endpoint, bucket, key, file):
        with self._system(endpoint).open_input_stream(f"{bucket}/{key}") as source, open(file, "wb") as target:
            shutil.copyfileobj(source, target, MIB)

    def _system(self, endpoint):
        from pyarrow import fs

        address = urllib.parse.urlsplit(endpoint).netloc
        return fs.S3FileSystem(
            access_key=KEY,
            secret_key=SECRET,
            region=REGION,
            scheme="http",
            endpoint_override=address,
            # Else an empty file is an upload of one empty part, which Garage refuses.
            allow_delayed_open=True,
        )


class Minio:
    """MinIO's client for Python, which signs whole bodies."""

    modes = {HASH}

    def up(self, endpoint, file, bucket, key):
        self._client(endpoint).fput_object(bucket, key, str(file))

    def down(self, endpoint, bucket, key, file):
        self._client(endpoint).fget_object(bucket, key, str(file))

    def _client(self, endpoint):
        import minio

        address = urllib.parse.urlsplit(endpoint).netloc
        return minio.Minio(address, access_key=KEY, secret_key=SECRET, region=REGION, secure=False)


class Restic:
    """A backup for each object. Its S3 client is MinIO's for Go, which signs chunks."""

    modes = {SIGNED_CHUNKS}
    at_the_store = False

    def up(self, endpoint, file, bucket, key):
        repository = f"s3:{endpoint}/{bucket}/{key}"
        self._run(repository, "init")
        self._run(repository, "backup", file)

    def down(self, endpoint, bucket, key, file):
        with open(file, "wb") as body:
            self._run(f"s3:{endpoint}/{bucket}/{key}", "dump", "latest", HOME / key, stdout=body)

    def _run(self, repository, *arguments, stdout=subprocess.DEVNULL):
        environment = {**ENVIRONMENT, "RESTIC_PASSWORD": "of a backup for a test"}
        options = ["--no-cache", "--option", "s3.bucket-lookup=path", "--repo", repository]
        subprocess.run([E2E["restic"], *options, *arguments], check=True, env=environment, stdout=stdout)


CLIENTS = {
    "aws": AwsCli,
    "boto3": Boto3,
    "boto3-signed": Boto3Signed,
    "boto3-checksums": Boto3Checksums,
    "rclone": Rclone,
    "s3cmd": S3cmd,
    "javascript": JavaScript,
    "javascript-stream": JavaScriptStream,
    "pyarrow": PyArrow,
    "minio": Minio,
    "restic": Restic,
}


class Tap:
    """A relay in front of the proxy that notes how the payloads passing it are signed."""

    def __enter__(self):
        self.modes = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        return self

    def __exit__(self, *_):
        # Wakes the thread that waits in `accept`; closing alone does not.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        address = urllib.parse.urlsplit(ENDPOINT)
        while True:
            try:
                downstream, _ = self.listener.accept()
            except OSError:
                return
            upstream = socket.create_connection((address.hostname, address.port))
            threading.Thread(target=self._pass, args=(downstream, upstream, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(upstream, downstream, False), daemon=True).start()

    def _pass(self, source, target, look):
        before = b""
        try:
            while data := source.recv(1 << 16):
                if look:
                    # A head may come in several pieces.
                    seen = before + data
                    for head in re.findall(rb"PUT /[^ ]* HTTP/1\.1\r\n(.*?)\r\n\r\n", seen, re.DOTALL):
                        self._note(head)
                    before = b"" if b"\r\n\r\n" in seen else seen
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            # One side went away: so must the other.
            source.close()
            target.close()

    def _note(self, head):
        value = re.search(rb"(?i)\nx-amz-content-sha256: *([^\r]*)", b"\n" + head)
        empty = re.search(rb"(?i)\ncontent-length: *0\r", b"\n" + head + b"\r")
        if value and not empty:
            mode = value[1].decode()
            self.modes.add(HASH if re.fullmatch("[0-9a-f]{64}", mode) else mode)


def digest(stream):
    return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(file):
    with open(file, "rb") as stream:
        return digest(stream)


table = Table()
NAME = os.environ["PORTCULLIS_CLIENT"]
CLIENT = CLIENTS[NAME]()
B = make_bucket(f"from-{NAME}")
SIZES = {"empty": 0, "one": 1, "five-mib": 5 * MIB, "sixty-four-mib": 64 * MIB}
if os.environ.get("PORTCULLIS_CLIENTS") == "full":
    SIZES["one-gib"] = 1024 * MIB


def timed(call, *arguments):
    start = time.monotonic()
    call(*arguments)
    return time.monotonic() - start


def round_trip(name, size):
    up, down = HOME / name, HOME / f"{name}.down"
    with open(up, "wb") as file:
        for start in range(0, size, 64 * MIB):
            file.write(os.urandom(min(64 * MIB, size - start)))
    wanted = digest_of(up)
    sent = timed(CLIENT.up, ENDPOINT, up, B, name)
    up.unlink()
    if getattr(CLIENT, "at_the_store", True):
        stored = client(WHO, STORE).get_object(Bucket=B, Key=name)
        assert stored["ContentLength"] == size, stored
        assert digest(stored["Body"]._raw_stream) == wanted, "other bytes at the store"
        assert size <= 64 * MIB or "-" in stored["ETag"], f"{stored['ETag']}: not sent in parts"
    received = timed(CLIENT.down, ENDPOINT, B, name, down)
    assert digest_of(down) == wanted, "other bytes came back"
    down.unlink()
    print(f"| {NAME} | {name} | {sent:.1f} s | {received:.1f} s |")


for name, size in SIZES.items():
    table.row(f"{NAME}: {name}, up and down", None, lambda: round_trip(name, size))


def modes():
    file = HOME / "mode"
    file.write_bytes(os.urandom(2 * MIB))
    with Tap() as tap:
        CLIENT.up(tap.endpoint, file, B, "mode")
    return tap.modes


table.row(f"{NAME}: how its payloads are signed", CLIENT.modes, modes)
table.finish()
