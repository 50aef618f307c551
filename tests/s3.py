"""A bucket to test with: of moto's server, or of the store at `FORMSTREAM_TEST_S3_URL`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

# What MinIO and its like want besides: keys in the address, and no checksums that only AWS knows.
_CONFIG = Config(
    retries={"max_attempts": 1}, s3={"addressing_style": "path"}, request_checksum_calculation="when_required"
)


@dataclass(frozen=True)
class Bucket:
    """A bucket that was empty, and how it is reached."""

    name: str
    endpoint: str
    region: str
    access_key: str
    secret_key: str

    def settings(self, prefix: str) -> dict[str, Any]:
        """Those of a platform that keeps its files below `prefix`."""
        return {
            "object_store_url": f"s3://{self.name}/{prefix}",
            "object_store_endpoint": self.endpoint,
            "object_store_region": self.region,
            "object_store_access_key": self.access_key,
            "object_store_secret_key": self.secret_key,
        }


@contextmanager
def fresh_bucket() -> Iterator[Bucket]:
    """A new bucket, removed in the end with all that is in it."""
    url = os.environ.get("FORMSTREAM_TEST_S3_URL")
    if url:
        keys = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        with _made(Bucket(_name(), url, os.environ.get("AWS_REGION", "us-east-1"), *keys)) as bucket:
            yield bucket
        return
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        with _made(Bucket(_name(), f"http://{host}:{port}", "us-east-1", "key", "secret")) as bucket:
            yield bucket
    finally:
        server.stop()


def client(bucket: Bucket) -> Any:
    """A client of the store that is not ours."""
    return boto3.client(
        "s3",
        endpoint_url=bucket.endpoint,
        region_name=bucket.region,
        aws_access_key_id=bucket.access_key,
        aws_secret_access_key=bucket.secret_key,
        config=_CONFIG,
    )


def _name() -> str:
    return f"formstream-test-{uuid4().hex[:12]}"


@contextmanager
def _made(bucket: Bucket) -> Iterator[Bucket]:
    s3, name = client(bucket), {"Bucket": bucket.name}
    elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": bucket.region}}
    s3.create_bucket(**name, **(elsewhere if bucket.region != "us-east-1" else {}))
    try:
        yield bucket
    finally:
        for page in s3.get_paginator("list_multipart_uploads").paginate(**name):
            for upload in page.get("Uploads", ()):
                s3.abort_multipart_upload(**name, Key=upload["Key"], UploadId=upload["UploadId"])
        for page in s3.get_paginator("list_objects_v2").paginate(**name):
            for found in page.get("Contents", ()):
                s3.delete_object(**name, Key=found["Key"])
        s3.delete_bucket(**name)
        s3.close()
