"""What the scripts share: clients for everybody, raw requests signed by hand, and tables whose failures print the row.

The signing here is written from the documentation of Signature Version 4, apart from botocore's and from the proxy's,
because botocore cleans up paths and never sends what a broken client would.
"""

import contextlib
import datetime
import hashlib
import hmac
import http.client
import json
import os
import subprocess
import sys
import traceback
import urllib.parse
import xml.etree.ElementTree as ET

import boto3
import botocore.auth
import botocore.config
import botocore.crt.auth
import botocore.exceptions
import botocore.signers

E2E = json.loads(os.environ["PORTCULLIS_E2E"])
ENDPOINT, STORE, REGION, AUTH = E2E["endpoint"], E2E["store"], E2E["region"], E2E["auth"]
FRONT = E2E["front"]  # the proxy that the endpoint is, or None for Portcullis
KEYS = E2E["keys"]  # name: [access key id, secret, session token or None]
ACME, GLOBEX = E2E["acme"], E2E["globex"]
TIMEOUT = 60
EMPTY = hashlib.sha256(b"").hexdigest()


# --- clients


def client(who, endpoint=None, secret=None, **config):
    """A boto3 client that signs as `who`, a name, a (key, secret, token), or None for nobody. It never retries."""
    config.setdefault("s3", {"addressing_style": "path"})
    config.setdefault("signature_version", "s3v4" if who else botocore.UNSIGNED)
    key, known_secret, token = (KEYS[who] if isinstance(who, str) else who) if who else (None, None, None)
    return boto3.client(
        "s3",
        endpoint_url=endpoint or ENDPOINT,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret or known_secret,
        aws_session_token=token,
        config=botocore.config.Config(
            retries={"total_max_attempts": 1}, connect_timeout=TIMEOUT, read_timeout=TIMEOUT, **config
        ),
    )


def make_bucket(name):
    """A bucket of acme's that everybody's key may use at the store."""
    if E2E["backend"] == "garage":
        garage("bucket", "create", name)
        for key, *_ in KEYS.values():
            garage("bucket", "allow", "--read", "--write", "--owner", name, "--key", key)
    else:
        client("acme-root").create_bucket(Bucket=name)
    return name


def garage(*arguments):
    return subprocess.run([*E2E["garage"], *arguments], check=True, capture_output=True, text=True).stdout


def aws(who, *arguments, endpoint=None, check=True, **environment):
    """Runs the aws CLI as `who`."""
    key, secret, token = KEYS[who]
    result = subprocess.run(
        [E2E["aws"], "--endpoint-url", endpoint or ENDPOINT, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        env={
            **os.environ,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            **({"AWS_SESSION_TOKEN": token} if token else {}),
            "AWS_DEFAULT_REGION": REGION,
            "AWS_MAX_ATTEMPTS": "1",
            **environment,
        },
    )
    if check and result.returncode != 0:
        raise AssertionError(f"aws {' '.join(arguments)}: exit {result.returncode}: {result.stderr or result.stdout}")
    return result


# --- policies


def user(account, name):
    return f"arn:aws:iam::{account}:user/{name}"


def root(account):
    return f"arn:aws:iam::{account}:root"


def statement(bucket, effect="Allow", principal="*", action="s3:GetObject", resource=None, **more):
    arn = f"arn:aws:s3:::{bucket}"
    if resource is None:
        resource = arn if "Bucket" in action else f"{arn}/*"
    who = "*" if principal == "*" else {"AWS": principal}
    return {"Effect": effect, "Principal": who, "Action": action, "Resource": resource, **more}


def policy(*statements, **more):
    return json.dumps({"Version": "2012-10-17", **more, "Statement": list(statements)})


def harmless(bucket, marker="Harmless"):
    """A valid policy that grants nothing the tests care about, told apart by its marker."""
    return policy(statement(bucket, principal=root(ACME), Sid=marker))


def in_force(bucket, *statements, who="acme-root"):
    """Puts these statements in force, by the root of the account that owns the bucket."""
    answer = client(who).put_bucket_policy(Bucket=bucket, Policy=policy(*statements))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] in (200, 204), answer


# --- outcomes


class Table:
    """Rows of expectation and call. Every row runs; the ones that fail are printed, and the script ends with 1."""

    def __init__(self):
        self.failures, self.rows = [], 0

    def row(self, claim, expected, call):
        self.rows += 1
        try:
            got = call()
        except Exception:
            got = traceback.format_exc()
        if got != expected:
            self.failures.append(f"FAILED {claim}\n  expected {expected!r}\n  got      {got}")
        return got

    def case(self, function):
        """A case that speaks for itself by its name; it fails by raising."""

        def run():
            function()

        self.row(function.__name__.replace("_", " "), None, run)
        return function

    def finish(self):
        for failure in self.failures:
            print(failure)
        print(f"{self.rows - len(self.failures)} of {self.rows} rows hold")
        sys.exit(1 if self.failures or not self.rows else 0)


def expect(got, wanted):
    """An assertion that says what it got."""
    assert got == wanted, f"expected {wanted!r}, got {got!r}"


def outcome(call, ours=True):
    """The status of a boto3 call, or (status, code) of its refusal. Answers of ours have their headers checked."""
    code = None
    try:
        answer = call()
    except botocore.exceptions.ClientError as error:
        answer, code = error.response, error.response["Error"]["Code"]
    metadata = answer["ResponseMetadata"]
    if ours or code:
        check_headers(metadata["HTTPHeaders"])
    return (metadata["HTTPStatusCode"], code) if code else metadata["HTTPStatusCode"]


def check_headers(headers):
    """What every answer of the proxy's own carries."""
    missing = [name for name in ("x-amz-request-id", "x-amz-id-2", "date", "server") if not headers.get(name)]
    assert E2E["backend"] == "moto" or not missing, f"answer without {missing}: {headers}"
    assert E2E["backend"] == "moto" or FRONT or headers["server"] == "portcullis", headers


@contextlib.contextmanager
def at(moment):
    """Moves botocore's clock: that of both its signers, and the one by which forms expire."""

    def moved(remove_tzinfo=True):
        return moment.replace(tzinfo=None) if remove_tzinfo else moment

    modules = [botocore.auth, botocore.crt.auth, botocore.signers]
    before = [module.get_current_datetime for module in modules]
    for module in modules:
        module.get_current_datetime = moved
    try:
        yield
    finally:
        for module, clock in zip(modules, before):
            module.get_current_datetime = clock


def now(**delta):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**delta)


# --- raw requests


class Answer:
    def __init__(self, response):
        self.status, self.headers = response.status, dict((k.lower(), v) for k, v in response.getheaders())
        self.body = response.read()

    @property
    def code(self):
        """The code of an S3 error; every element one must have is there."""
        root = ET.fromstring(self.body)
        assert root.tag == "Error", self.body
        for name in ("Code", "Message", "Resource", "RequestId", "HostId"):
            assert root.findtext(name), f"error without {name}: {self.body!r}"
        return root.findtext("Code")

    @property
    def message(self):
        return ET.fromstring(self.body).findtext("Message")

    def brief(self):
        """The status; of an error with a body its code as well."""
        return self.status if self.status < 300 or not self.body else (self.status, self.code)


def send(method, target, body=b"", headers=None, endpoint=None, host=None, source="127.0.0.1"):
    """One request exactly as given: `target` goes on the wire untouched. `source` is the address it is sent from."""
    address = urllib.parse.urlsplit(endpoint or ENDPOINT)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=TIMEOUT, source_address=(source, 0))
    # Only here does http.client refuse odd targets; what is sent is our own affair.
    connection._validate_path = lambda path: None
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    headers = {"host": host or address.netloc, **(headers or {})}
    if "content-length" not in headers:
        headers["content-length"] = str(len(body))
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


class Signer:
    """Signature Version 4 for one request."""

    def __init__(self, who, moment=None, region=None):
        self.key, self.secret, self.token = KEYS[who] if isinstance(who, str) else who
        self.stamp = (moment or now()).strftime("%Y%m%dT%H%M%SZ")
        self.scope = f"{self.stamp[:8]}/{region or REGION}/s3/aws4_request"
        signing_key = f"AWS4{self.secret}".encode()
        for part in self.scope.split("/"):
            signing_key = self._mac(signing_key, part)
        self.signing_key = signing_key

    @staticmethod
    def _mac(key, text):
        return hmac.new(key, text.encode(), hashlib.sha256).digest()

    def sign(self, method, target, payload_hash, headers=None, host=None):
        """The headers to send, signature included. The path is signed decoded and encoded again, as S3 does."""
        path, _, query = target.partition("?")
        path = urllib.parse.quote(urllib.parse.unquote_to_bytes(path), safe="/~")
        pairs = sorted(tuple(part.partition("=")[::2]) for part in query.split("&")) if query else []
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        lower |= {
            "host": host or urllib.parse.urlsplit(ENDPOINT).netloc,
            "x-amz-date": self.stamp,
            "x-amz-content-sha256": payload_hash,
            **({"x-amz-security-token": self.token} if self.token else {}),
        }
        signed = sorted(lower)
        canonical = "\n".join(
            [
                method,
                path,
                "&".join(f"{name}={value}" for name, value in pairs),
                *(f"{name}:{' '.join(lower[name].split())}" for name in signed),
                "",
                ";".join(signed),
                payload_hash,
            ]
        )
        text = "\n".join(["AWS4-HMAC-SHA256", self.stamp, self.scope, hashlib.sha256(canonical.encode()).hexdigest()])
        self.seed = self._mac(self.signing_key, text).hex()
        lower["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.key}/{self.scope}, "
            f"SignedHeaders={';'.join(signed)}, Signature={self.seed}"
        )
        return lower

    def chunk_signature(self, previous, data):
        text = "\n".join(
            ["AWS4-HMAC-SHA256-PAYLOAD", self.stamp, self.scope, previous, EMPTY, hashlib.sha256(data).hexdigest()]
        )
        return self._mac(self.signing_key, text).hex()

    def trailer_signature(self, previous, trailer):
        text = "\n".join(
            ["AWS4-HMAC-SHA256-TRAILER", self.stamp, self.scope, previous, hashlib.sha256(trailer).hexdigest()]
        )
        return self._mac(self.signing_key, text).hex()


def signed(
    who,
    method,
    target,
    body=b"",
    headers=None,
    endpoint=None,
    host=None,
    payload_hash=None,
    moment=None,
    unsigned=None,
    source="127.0.0.1",
):
    """Signs and sends; `payload_hash` replaces the body's own, and `unsigned` are headers beside the signed ones."""
    address = urllib.parse.urlsplit(endpoint or ENDPOINT)
    host = host or address.netloc
    payload_hash = payload_hash or hashlib.sha256(body).hexdigest()
    headers = Signer(who, moment).sign(method, target, payload_hash, headers, host) | (unsigned or {})
    return send(method, target, body, headers, endpoint, host, source)


def chunked(who, target, body, mode, trailer=None, headers=None, endpoint=None, spoil=lambda framed: framed, size=64):
    """`PUT` with aws-chunked framing.

    `mode` is the value of x-amz-content-sha256; `trailer` a (name, value) pair; `spoil` changes the framed bytes.
    """
    host = urllib.parse.urlsplit(endpoint or ENDPOINT).netloc
    headers = {
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(body)),
        **(headers or {}),
        **({"x-amz-trailer": trailer[0]} if trailer else {}),
    }
    signer = Signer(who)
    headers = signer.sign("PUT", target, mode, headers, host)
    is_signed = mode.startswith("STREAMING-AWS4")
    previous, framed = signer.seed, b""
    for start in [*range(0, len(body), size), len(body)]:
        data = body[start : start + size]
        extension = ""
        if is_signed:
            previous = signer.chunk_signature(previous, data)
            extension = f";chunk-signature={previous}"
        framed += f"{len(data):x}{extension}\r\n".encode()
        framed += data + b"\r\n" if data else b""
    if trailer:
        line = f"{trailer[0]}:{trailer[1]}"
        framed += line.encode() + b"\r\n"
        if is_signed:
            signature = signer.trailer_signature(previous, line.encode() + b"\n")
            framed += f"x-amz-trailer-signature:{signature}\r\n".encode()
    return send("PUT", target, spoil(framed + b"\r\n"), headers, endpoint, host)
