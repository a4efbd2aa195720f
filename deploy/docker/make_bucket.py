"""Makes the bucket that DRAINLAKE_LAKE=s3://bucket/prefix names; one that is there already is good too.

The AWS_… names say where the store is and who asks, as for drainlake itself.
"""

from __future__ import annotations

import os
import sys
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError


def main() -> int:
    """Make it, or say why not."""
    bucket = urlsplit(os.environ.get("DRAINLAKE_LAKE", "")).netloc
    if not bucket:
        sys.stderr.write("DRAINLAKE_LAKE names no bucket. Try: DRAINLAKE_LAKE=s3://bucket/lake\n")
        return 2
    try:
        _make(boto3.client("s3"), bucket)
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"Bucket {bucket}: {error}\n")
        return 1
    sys.stderr.write(f"Bucket {bucket} is there.\n")
    return 0


def _make(store: Any, bucket: str) -> None:
    try:
        store.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        store.create_bucket(Bucket=bucket)


if __name__ == "__main__":
    sys.exit(main())
