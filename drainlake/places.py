"""Where a lake can be: a folder, or a prefix in a bucket of S3 with what it takes to get there."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from drainlake import values
from drainlake.errors import Failure, WrongUse
from drainlake.values import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from transforms.lake import Lake
    from transforms.objects import ObjectStore

_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f\\?#]|(^|/)(\.{1,2})?(/|$)")
_ENDPOINT: Final = re.compile(r"https?://[A-Za-z0-9.:_\[\]-]+/?")


@dataclass(frozen=True)
class S3Place:
    """A prefix in a bucket; ``str`` gives ``s3://bucket/prefix``.

    ``endpoint`` None is Amazon's. Without ``access_key`` and ``secret_key`` the usual chain of AWS finds credentials:
    ``profile`` and the shared files, the role of a container or an instance, a web identity.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: Secret | None = None
    session_token: Secret | None = None
    profile: str | None = None

    def __str__(self) -> str:
        return "s3://" + "/".join(part for part in (self.bucket, self.prefix) if part)

    def store(self) -> ObjectStore:
        """The objects there; it connects at the first request."""
        from transforms.objects import ObjectStore, S3Options  # noqa: PLC0415 - only a lake on S3 needs it

        return ObjectStore(
            S3Options(
                self.bucket,
                self.prefix,
                endpoint=self.endpoint,
                region=self.region,
                access_key=self.access_key,
                secret_key=self.secret_key.reveal() if self.secret_key else None,
                session_token=self.session_token.reveal() if self.session_token else None,
                profile=self.profile,
            )
        )


def parse(text: str) -> Path | S3Place:
    """A folder, or ``s3://bucket/prefix`` without access to it yet; raises ValueError with half a sentence."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return values.folder(text)
    if scheme != "s3":
        raise ValueError("must be a folder on the local disk or s3://bucket/prefix")
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.rstrip("/")
    if not _BUCKET.fullmatch(bucket) or (prefix and _UNFIT.search(prefix)):
        raise ValueError("must be s3://bucket/prefix, both of plain names")
    return S3Place(bucket, prefix)


def with_access(place: S3Place, texts: Mapping[str, str]) -> S3Place:
    """The place with what the AWS_* names say of the way there; raises :class:`WrongUse` for what cannot be."""
    given = {name: text.strip() for name, text in texts.items() if name.startswith("AWS_") and text.strip()}
    name = "AWS_ENDPOINT_URL_S3" if "AWS_ENDPOINT_URL_S3" in given else "AWS_ENDPOINT_URL"
    endpoint = given.get(name)
    if endpoint is not None and not _ENDPOINT.fullmatch(endpoint):
        shown = urlsplit(endpoint)._replace(netloc=urlsplit(endpoint).netloc.rpartition("@")[2]).geturl()
        raise WrongUse(f"{name}={shown}: must be http(s)://host:port and nothing more.", f"unset {name}")
    key, secret = given.get("AWS_ACCESS_KEY_ID"), given.get("AWS_SECRET_ACCESS_KEY")
    if (key is None) != (secret is None):
        there, missing = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY") if key else ("SECRET_ACCESS_KEY", "ACCESS_KEY_ID")
        raise WrongUse(f"AWS_{there} needs AWS_{missing}.", "set both, or neither")
    token = given.get("AWS_SESSION_TOKEN") if key else None
    return replace(
        place,
        endpoint=endpoint.rstrip("/") if endpoint else None,
        region=given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION"),
        access_key=key,
        secret_key=Secret(secret) if secret else None,
        session_token=Secret(token) if token else None,
        profile=given.get("AWS_PROFILE"),
    )


@contextmanager
def lake_errors(otherwise: str) -> Iterator[None]:
    """Turn what a lake refuses into :class:`Failure`; ``otherwise`` is to try where it names nothing."""
    from transforms.lake import LakeError  # noqa: PLC0415 - polars is slow to import

    try:
        yield
    except LakeError as error:
        raise Failure.told(error, otherwise) from None


def lake_at(place: Path | S3Place) -> Lake:
    """The lake there, as landing writes it; a bucket is asked at the first use."""
    if isinstance(place, S3Place):
        from transforms.s3lake import S3Lake  # noqa: PLC0415 - obstore is slow to import, and most lakes are local

        return S3Lake(place.store())
    from transforms.locallake import LocalLake  # noqa: PLC0415 - polars is slow to import

    return LocalLake(place)
