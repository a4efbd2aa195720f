"""Objects of one S3 bucket under one prefix: list, read, and write with a condition.

The client is obstore (the Rust ``object_store``, MIT): it alone of the clients we tried does conditional writes,
retries with bounds, ranges of the tail and every kind of credential in one small wheel, imports in 25 ms and lets
other threads run while it waits. boto3 would take 140 ms and 30 MB more, so it is imported only where its chain of
credentials is needed (profiles, container and instance roles, web identity); keys given as such do without it.

Two promises hold up the lake's protocol. Every write is conditional: :meth:`ObjectStore.put_new` creates,
:meth:`ObjectStore.put_over` replaces exactly one version, else :class:`ConditionError`. And a write whose answer was
lost is told from one that was refused: the client repeats it, the store then refuses what it has done already, so
before calling a write refused we read the object and compare. Every other failure is a :class:`StoreError` with one
sentence and, after "; ", one thing to try.

Nothing here imports polars, so that commands which only read start fast.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from obstore import GetOptions, ObjectMeta, PutMode
    from obstore.auth.boto3 import Boto3CredentialProvider

DEFAULT_REGION: Final = "us-east-1"
BACKOFF_SECONDS: Final = 0.2
_FAILURES: Final = (BaseError, OSError, ValueError)
_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_DENIED: Final = {"XAdminUserNotFound", "ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_OTHER_REGION: Final = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_NO_BUCKET: Final = {"NoSuchBucket", "InvalidBucketName"}


class StoreError(Exception):
    """The store did not do what it was asked; the message is one sentence and, after "; ", what to try."""


class ConditionError(StoreError):
    """The object is not, or no longer, the version that the request named; or it exists though it must not."""


class NoObjectError(StoreError):
    """There is no such object."""


class UnclearError(StoreError):
    """The store did not answer, or with an error of its own: whether it did the work is not known."""


class UnreachableError(UnclearError):
    """No connection, a broken one, or no answer in time."""


@dataclass(frozen=True)
class S3Options:
    """Where a lake on S3 is and how to get there; secrets never show in its ``repr``.

    ``endpoint`` None is Amazon's; a given one is addressed by path, over plain HTTP if it says ``http://``. Without
    ``access_key`` and ``secret_key`` the usual chain of AWS finds credentials, under ``profile`` if given.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None

    @property
    def place(self) -> str:
        """The address as people write it."""
        return "s3://" + "/".join(part for part in (self.bucket, self.prefix) if part)


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds, and how often to try. A read that hangs ends after some 13 s."""

    connect_seconds: float = 3.0
    read_seconds: float = 10.0  # without a byte coming in
    write_seconds: float = 60.0  # for a whole write: some 20 MB have to go up
    tries: int = 3
    retry_seconds: float = 10.0  # no try begins later than this


class Credentials(NamedTuple):
    """Keys as they are now; a role's keys expire."""

    access_key: str
    secret_key: str
    session_token: str | None


class Found(NamedTuple):
    """An object of a listing; ``key`` counts from the prefix."""

    key: str
    size_bytes: int
    version: str


class Piece(NamedTuple):
    """Bytes of an object from ``start`` on, the whole object's size, and its version."""

    data: bytes
    start: int
    size_bytes: int
    version: str


class ObjectStore:
    """The objects under a prefix; keys count from it. Connects at the first request; safe in many threads."""

    def __init__(self, options: S3Options, patience: Patience | None = None) -> None:
        self.options = options
        self.place = options.place
        self._patience = patience or Patience()

    def below(self, folder: str) -> list[Found]:
        """All objects below a folder, in order of keys; none if there is no such folder."""
        try:
            pages = obstore.list(self._reader, folder or None, chunk_size=1000)
            return sorted(_found(meta) for page in pages for meta in page)
        except _FAILURES as error:
            raise self._failure(folder, error) from error

    def children(self, folder: str) -> tuple[list[str], list[Found]]:
        """The folders and the objects right in a folder, as keys; a listing that does not go deeper."""
        try:
            result = obstore.list_with_delimiter(self._reader, folder or None)
        except _FAILURES as error:
            raise self._failure(folder, error) from error
        return sorted(result["common_prefixes"]), sorted(map(_found, result["objects"]))

    def get(self, key: str, version: str | None = None) -> Piece:
        """A whole object, exactly of ``version`` if given; raises :class:`NoObjectError` if it is not there."""
        return self._get(key, {}, version)

    def tail(self, key: str, size_bytes: int, version: str | None = None) -> Piece:
        """The last ``size_bytes`` of an object (all of a smaller one), with its size and version."""
        return self._get(key, {"range": {"suffix": size_bytes}}, version)

    def range(self, key: str, start: int, end: int) -> bytes:
        """Bytes [start, end) of an object as it is now; fewer if it ends before."""
        return self._get(key, {"range": (start, end)}, None).data

    def put_new(self, key: str, data: bytes) -> str:
        """Create an object and give its version; raises :class:`ConditionError` if another one is there."""
        return self._put(key, data, "create")

    def put_over(self, key: str, data: bytes, version: str) -> str:
        """Replace exactly this version and give the new one; raises :class:`ConditionError` if it is not there."""
        return self._put(key, data, {"e_tag": version})

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; those that are not there are no error."""
        try:
            if keys:
                obstore.delete(self._reader, keys)
        except _FAILURES as error:
            raise self._failure(keys[0], error) from error

    def credentials(self) -> Credentials:
        """The keys that requests are signed with now, for another client; raises :class:`StoreError` without any."""
        if self._provider is None:
            options = self.options
            return Credentials(options.access_key or "", options.secret_key or "", options.session_token)
        found = self._provider()
        return Credentials(found["access_key_id"], found["secret_access_key"], found.get("token"))

    @property
    def endpoint(self) -> str | None:
        """The address of the store; None is Amazon's."""
        return self.options.endpoint

    @property
    def region(self) -> str:
        """The region that requests are signed for."""
        found = self._provider.config.get("region") if self._provider and not self.options.region else None
        return self.options.region or found or DEFAULT_REGION

    def _get(self, key: str, options: GetOptions, version: str | None) -> Piece:
        if version is not None:
            options["if_match"] = version
        try:
            result = obstore.get(self._reader, key, options=options)
            meta, data = result.meta, bytes(result.bytes())
        except _FAILURES as error:
            raise self._failure(key, error) from error
        return Piece(data, result.range[0], meta["size"], meta["e_tag"] or "")

    def _put(self, key: str, data: bytes, mode: PutMode) -> str:
        """Write. A broken connection is tried again here: the client repeats only what changes nothing if repeated."""
        last_start = time.monotonic() + self._patience.retry_seconds
        for attempt in range(1, self._patience.tries + 1):
            try:
                return obstore.put(self._writer, key, data, mode=mode, use_multipart=False)["e_tag"] or ""
            except _FAILURES as error:
                failure = self._failure(key, error)
                if isinstance(failure, ConditionError | UnclearError) and (written := self._written(key, data)):
                    return written
                again = isinstance(failure, UnreachableError) and attempt < self._patience.tries
                if not again or time.monotonic() >= last_start:
                    raise failure from error
            time.sleep(BACKOFF_SECONDS)
        raise AssertionError("the last try ends in one way or the other")

    def _written(self, key: str, data: bytes) -> str | None:
        """The object's version if it holds ``data``: an earlier try of the same write got through after all."""
        try:
            held = self.get(key)
        except StoreError:
            return None
        return held.version if held.data == data else None

    @cached_property
    def _reader(self) -> S3Store:
        waits = {"read_timeout": timedelta(seconds=self._patience.read_seconds)}
        return self._open(waits | {"timeout": timedelta(seconds=self._patience.write_seconds)})

    @cached_property
    def _writer(self) -> S3Store:
        # The client counts the time of sending as time without an answer, so a read timeout would cut off writes.
        return self._open({"timeout": timedelta(seconds=self._patience.write_seconds)})

    @cached_property
    def _provider(self) -> Boto3CredentialProvider | None:
        """The chain of AWS; None where keys are given."""
        if self.options.access_key and self.options.secret_key:
            return None
        from boto3 import Session  # noqa: PLC0415 - slow to import
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
        from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415

        try:
            return Boto3CredentialProvider(Session(profile_name=self.options.profile))
        except (ValueError, BotoCoreError) as error:
            reason = "" if isinstance(error, ValueError) else f" ({error})"
            raise StoreError(
                f"there are no credentials for {self.place}{reason}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            ) from error

    def _open(self, waits: dict[str, timedelta]) -> S3Store:
        options, patience = self.options, self._patience
        return S3Store(
            options.bucket,
            prefix=options.prefix or None,
            region=self.region,
            virtual_hosted_style_request=options.endpoint is None and "." not in options.bucket,
            client_options={  # type: ignore[arg-type]
                "allow_http": (options.endpoint or "").startswith("http://"),
                "connect_timeout": timedelta(seconds=patience.connect_seconds),
                **waits,
            },
            retry_config={
                "max_retries": patience.tries - 1,
                "retry_timeout": timedelta(seconds=patience.retry_seconds),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=200),
                    "max_backoff": timedelta(seconds=2),
                    "base": 2,
                },
            },
            **self._access(),
        )

    def _access(self) -> dict[str, Any]:
        options = self.options
        access: dict[str, Any] = {"endpoint": options.endpoint} if options.endpoint else {}
        if self._provider is not None:
            return access | {"credential_provider": self._provider}
        access |= {"access_key_id": options.access_key, "secret_access_key": options.secret_key}
        return access | ({"session_token": options.session_token} if options.session_token else {})

    def _failure(self, key: str, error: Exception) -> StoreError:
        """The client's error as one of ours. Its text is the only place that has the status and S3's code."""
        if isinstance(error, StoreError):
            return error
        text = str(error)
        status = int(found[1]) if (found := _STATUS.search(text)) else 0
        code = found[1] if (found := _CODE.search(text)) else ""
        refused = self._refused(status, code)
        if refused is not None:
            return StoreError(refused)
        if isinstance(error, PreconditionError | AlreadyExistsError) or status in {409, 412}:
            return ConditionError(f"{self.place}/{key} was written by another process; start again.")
        if isinstance(error, FileNotFoundError):
            return NoObjectError(f"{self.place}/{key} is not there; start again.")
        if status >= 500:
            return UnclearError(f"the store of {self.place} answers with {status} again and again; try later.")
        if not status and "HTTP error" in text:
            return UnreachableError(
                f"the store of {self.place} cannot be reached or is too slow; check {self._endpoint}."
            )
        return StoreError(f"{self.place}/{key}: {text.splitlines()[0]}.")

    def _refused(self, status: int, code: str) -> str | None:
        """The sentence for what no repetition will change."""
        if code in _NO_BUCKET:
            return f"there is no bucket {self.options.bucket} at {self._endpoint}; make it, or choose another lake."
        if code in _OTHER_REGION or status == 301:
            return f"the bucket {self.options.bucket} is not in the region {self.region}; set AWS_REGION to its own."
        if code in _DENIED or status in {401, 403}:
            why = f" ({code})" if code else ""
            return f"access to {self.place} is denied{why}; check the AWS credentials and what they may do."
        return None

    @property
    def _endpoint(self) -> str:
        return self.options.endpoint or f"Amazon S3 in {self.region}"


def _found(meta: ObjectMeta) -> Found:
    return Found(meta["path"], meta["size"], meta["e_tag"] or "")
