#!/usr/bin/env python3
"""Does my store work behind Portcullis? Makes a bucket through the proxy, uses it, and takes it away again.

    pip install boto3
    python3 examples/try_store.py --endpoint http://127.0.0.1:9000 \
        --owner ACMEROOT change-me-acme-root --user BOB change-me-bob \
        --user-arn arn:aws:iam::111122223333:user/bob

`--owner` is the root user of the account that will own the bucket, `--user` somebody of that account who may not write
without a bucket policy. With `--preserve`, what only `upstream.auth = "resign"` promises is tried and told, and its failure
is none. `--existing NAME` uses a bucket that is there, and empty, and leaves it. Ends with 1 where something failed.
"""

import argparse
import json
import sys
import urllib.error
import urllib.request
import uuid

import boto3
from botocore.client import Config
from botocore.exceptions import ClientError


def client(endpoint, region, key):
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        config=config,
    )


def refusal(call, *arguments, **named):
    """The code that a call is refused with; none where it succeeds."""
    try:
        call(*arguments, **named)
    except ClientError as error:
        status, code = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        return f"{status} {code}"
    return None


def fetched(url):
    """Status and body of a plain GET."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class Trial:
    def __init__(self, endpoint, region, owner, user, user_arn, bucket):
        self.endpoint, self.bucket, self.user_arn = endpoint, bucket, user_arn
        self.owner, self.user = client(endpoint, region, owner), client(endpoint, region, user)

    def policy(self, *statements):
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        self.owner.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(document))
        return document

    def on_all_objects(self, principal, *actions):
        resource = f"arn:aws:s3:::{self.bucket}/*"
        return {"Effect": "Allow", "Principal": principal, "Action": list(actions), "Resource": resource}

    # Each check says what it shows; it fails by an assertion or by the store's error.

    def a_bucket_can_be_made(self):
        self.owner.create_bucket(Bucket=self.bucket)

    def a_bucket_that_is_not_there_is_told_of(self):
        found = refusal(self.owner.get_bucket_policy, Bucket=f"{self.bucket}-not-there")
        assert found == "404 NoSuchBucket", found

    def there_is_no_policy_at_first(self):
        found = refusal(self.owner.get_bucket_policy, Bucket=self.bucket)
        assert found == "404 NoSuchBucketPolicy", found

    def objects_come_back_as_they_went(self):
        for key in ["plain.txt", "with space+plus", "ümlaut/ключ", "percent%2Fsign", "colon:at@star*(1)!"]:
            self.owner.put_object(Bucket=self.bucket, Key=key, Body=key.encode())
            body = self.owner.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            assert body == key.encode(), (key, body)

    def a_range_is_a_range(self):
        body = self.owner.get_object(Bucket=self.bucket, Key="plain.txt", Range="bytes=2-4")["Body"].read()
        assert body == b"ain", body

    def a_listing_lists(self):
        found = self.owner.list_objects_v2(Bucket=self.bucket, Prefix="plain")
        assert [entry["Key"] for entry in found["Contents"]] == ["plain.txt"], found

    def a_large_object_goes_up_in_parts(self):
        size = 12 * 1024 * 1024
        upload = self.owner.create_multipart_upload(Bucket=self.bucket, Key="large")["UploadId"]
        parts = []
        for number, length in enumerate([6 * 1024 * 1024, size - 6 * 1024 * 1024], 1):
            answer = self.owner.upload_part(
                Bucket=self.bucket, Key="large", UploadId=upload, PartNumber=number, Body=bytes([number]) * length
            )
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        self.owner.complete_multipart_upload(
            Bucket=self.bucket, Key="large", UploadId=upload, MultipartUpload={"Parts": parts}
        )
        assert self.owner.head_object(Bucket=self.bucket, Key="large")["ContentLength"] == size

    def a_copy_copies(self):
        self.owner.copy_object(Bucket=self.bucket, Key="copy", CopySource={"Bucket": self.bucket, "Key": "plain.txt"})
        assert self.owner.get_object(Bucket=self.bucket, Key="copy")["Body"].read() == b"plain.txt"

    def a_presigned_url_opens(self):
        where = {"Bucket": self.bucket, "Key": "plain.txt"}
        found = fetched(self.owner.generate_presigned_url("get_object", Params=where, ExpiresIn=60))
        assert found == (200, b"plain.txt"), found

    def a_user_without_a_grant_may_not_write(self):
        found = refusal(self.user.put_object, Bucket=self.bucket, Key="by-user", Body=b"")
        assert found == "403 AccessDenied", found

    def a_broken_policy_is_refused(self):
        found = refusal(self.owner.put_bucket_policy, Bucket=self.bucket, Policy='{"Statement":[]}')
        assert found == "400 MalformedPolicy", found

    def a_policy_comes_back_as_it_went(self):
        document = self.policy(self.on_all_objects({"AWS": self.user_arn}, "s3:GetObject", "s3:PutObject"))
        found = self.owner.get_bucket_policy(Bucket=self.bucket)["Policy"]
        assert found == json.dumps(document), found

    def what_it_grants_is_granted(self):
        self.user.put_object(Bucket=self.bucket, Key="by-user", Body=b"by user")
        assert self.user.get_object(Bucket=self.bucket, Key="by-user")["Body"].read() == b"by user"

    def what_it_does_not_grant_is_not(self):
        found = refusal(self.user.delete_object, Bucket=self.bucket, Key="by-user")
        assert found == "403 AccessDenied", found

    def a_deny_binds_the_owner_too(self):
        deny = dict(self.on_all_objects("*", "s3:DeleteObject"), Effect="Deny")
        self.policy(deny)
        found = refusal(self.owner.delete_object, Bucket=self.bucket, Key="copy")
        self.owner.delete_bucket_policy(Bucket=self.bucket)
        assert found == "403 AccessDenied", found

    def anybody_may_read_what_is_public(self):
        self.policy(self.on_all_objects("*", "s3:GetObject"))
        found = fetched(f"{self.endpoint}/{self.bucket}/plain.txt")
        assert found == (200, b"plain.txt"), found

    def object_tags_decide(self):
        tags = {"TagSet": [{"Key": "class", "Value": "public"}]}
        self.owner.put_object_tagging(Bucket=self.bucket, Key="plain.txt", Tagging=tags)
        grant = self.on_all_objects({"AWS": self.user_arn}, "s3:PutObjectTagging")
        self.policy(dict(grant, Condition={"StringEquals": {"s3:ExistingObjectTag/class": "public"}}))
        self.user.put_object_tagging(Bucket=self.bucket, Key="plain.txt", Tagging=tags)
        found = refusal(self.user.put_object_tagging, Bucket=self.bucket, Key="copy", Tagging=tags)
        assert found == "403 AccessDenied", found

    def many_are_deleted_at_once(self):
        refusal(self.owner.delete_bucket_policy, Bucket=self.bucket)
        keys = [{"Key": entry["Key"]} for entry in self.owner.list_objects_v2(Bucket=self.bucket).get("Contents", [])]
        found = self.owner.delete_objects(Bucket=self.bucket, Delete={"Objects": keys}).get("Errors", [])
        assert not found, found

    def a_policy_goes_with_its_bucket(self):
        self.policy(self.on_all_objects("*", "s3:GetObject"))
        self.owner.delete_bucket(Bucket=self.bucket)
        self.owner.create_bucket(Bucket=self.bucket)
        found = refusal(self.owner.get_bucket_policy, Bucket=self.bucket)
        self.owner.delete_bucket(Bucket=self.bucket)
        assert found == "404 NoSuchBucketPolicy", found


# What the store may lack without Portcullis being of less use: tags; and with `preserve`, callers it knows nothing of.
OPTIONAL = {"object_tags_decide"}
OF_NEW_BUCKETS = {"a_bucket_can_be_made", "a_policy_goes_with_its_bucket"}
OF_RESIGN = {"anybody_may_read_what_is_public"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--owner", nargs=2, metavar=("KEY", "SECRET"), required=True)
    parser.add_argument("--user", nargs=2, metavar=("KEY", "SECRET"), required=True)
    parser.add_argument("--user-arn", required=True)
    parser.add_argument("--existing", metavar="BUCKET")
    parser.add_argument("--preserve", action="store_true")
    given = parser.parse_args()
    bucket = given.existing or f"try-{uuid.uuid4().hex[:12]}"
    trial = Trial(given.endpoint, given.region, given.owner, given.user, given.user_arn, bucket)
    optional = OPTIONAL | (OF_RESIGN if given.preserve else set())
    failed = 0
    left_out = {"policy", "on_all_objects"} | (OF_NEW_BUCKETS if given.existing else set())
    checks = [name for name in vars(Trial) if not name.startswith("_") and name not in left_out]
    for name in checks:
        try:
            getattr(trial, name)()
            said = "ok"
        except Exception as error:  # Whatever it is, it is what there is to tell.
            said = f"no: {error}" if name in optional else f"FAILED: {error}"
            failed += name not in optional
        print(f"{name.replace('_', ' '):45} {said}")
    print(f"{len(checks)} checks, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
