"""Every operation of botocore's S3 model, as a request, is classified as itself.

A request is bound as the model says: method, request URI, and the members with a place in query or header; once with what
is required, once with all of them. Nothing of it goes through botocore's serializer, which would hide what the model says.
"""

import json
import subprocess
import sys

import botocore.session

MODEL = botocore.session.get_session().get_service_model("s3")
DOMAIN = "s3.example.com"
VALUES = {"CopySource": "source/a%20key"}
BODIES = {"DeleteObjects": "<Delete><Object><Key>a</Key></Object></Delete>"}
# These are told by their hosts, which no bucket's are.
HOSTS = {"ListDirectoryBuckets": "s3express-control.us-east-1.amazonaws.com"}


def request(operation, style, whole):
    path, _, query = operation.http["requestUri"].partition("?")
    query = [part for part in query.split("&") if part]
    headers = {"authorization": "AWS4-HMAC-SHA256 Credential=a"}
    shape = operation.input_shape
    for name, member in shape.members.items() if shape else ():
        if not whole and name not in shape.required_members:
            continue
        place, wire = member.serialization.get("location"), member.serialization.get("name", name)
        value = VALUES.get(name, "2")
        if place == "querystring":
            query.append(f"{wire}={value}")
        elif place == "header":
            headers[wire] = value
        elif place == "headers":
            headers[wire + "x"] = value
    host = HOSTS.get(operation.name, DOMAIN)
    bucket = "photos" if "{Bucket}" in path else None
    key = "a/key" if "{Key+}" in path else None
    target = path.replace("{Bucket}", "photos").replace("{Key+}", "a/key")
    if bucket and style == "hosted":
        host, target = f"photos.{DOMAIN}", target.removeprefix("/photos") or "/"
    if "hostPrefix" in (operation.endpoint or {}) and style == "hosted":
        host = f"route.{host}"
    line = {
        "id": [operation.name, style, whole],
        "method": operation.http["method"],
        "target": target + ("?" + "&".join(query) if query else ""),
        "host": host,
        "headers": headers,
        "body": BODIES.get(operation.name, ""),
    }
    return line, bucket, key


def expected(operation):
    # Two names of one request: the older is deprecated, and only the newer can be told.
    newer = operation.name + "Configuration"
    return newer if operation.deprecated and newer in MODEL.operation_names else operation.name


def main(program):
    operations = [MODEL.operation_model(name) for name in MODEL.operation_names]
    cases = [(op, *request(op, style, whole)) for op in operations for style in ("path", "hosted") for whole in (False, True)]
    lines = "".join(json.dumps(line) + "\n" for _, line, _, _ in cases)
    command = [program, "debug", "classify", "--requests", "-", "--domain", DOMAIN]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    answers = [json.loads(answer) for answer in done.stdout.splitlines()]
    problems = [done.stderr] if done.returncode or len(answers) != len(cases) else []
    for (operation, line, bucket, key), answer in zip(cases, answers):
        wanted = (line["id"], expected(operation), bucket, key)
        found = (answer["id"], answer["operation"], answer.get("bucket"), answer.get("key"))
        if operation.name == "WriteGetObjectResponse":
            wanted, found = wanted[:2], found[:2]
        if found != wanted or not answer.get("actions"):
            problems.append(f"{line}\n  {answer}")
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(operations)} operations")
    return len(operations)


if __name__ == "__main__":
    assert main(sys.argv[1]) > 110
