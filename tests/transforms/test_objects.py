"""Objects on a real S3 server: conditions, answers that were lost, and every failure as one sentence."""

from __future__ import annotations

import dataclasses
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.s3.fixtures import options_for
from transforms.objects import (
    ConditionError,
    Credentials,
    NoObjectError,
    ObjectStore,
    Patience,
    S3Options,
    StoreError,
    UnclearError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.s3.faults import FaultProxy
    from tests.s3.fixtures import S3Server

PATIENCE = Patience(connect_seconds=1, read_seconds=1, write_seconds=2, retry_seconds=5)
CHAIN = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION")


@pytest.fixture
def options(s3: S3Server, bucket: str) -> S3Options:
    """A prefix with two folders in a fresh bucket."""
    return options_for(s3, bucket, "pre fix/lake=1")


@pytest.fixture
def store(options: S3Options) -> ObjectStore:
    """The store, without a proxy."""
    return ObjectStore(options, PATIENCE)


@pytest.fixture
def shaky(options: S3Options, proxy: FaultProxy) -> ObjectStore:
    """The same objects through the proxy."""
    return ObjectStore(dataclasses.replace(options, endpoint=proxy.endpoint), PATIENCE)


def test_objects_are_listed_and_read(store: ObjectStore) -> None:
    """Keys count from the prefix; a listing goes deep or shows one level; ranges and tails are cut to the object."""
    versions = {key: store.put_new(key, key.encode()) for key in ("t/date=1/b.x", "t/date=1/a.x", "t/c.x", "u/d.x")}
    assert [found.key for found in store.below("t")] == ["t/c.x", "t/date=1/a.x", "t/date=1/b.x"]
    assert [found.key for found in store.below("")] == ["t/c.x", "t/date=1/a.x", "t/date=1/b.x", "u/d.x"]
    folders, found = store.children("t")
    assert folders == ["t/date=1"]
    assert [(each.key, each.size_bytes, each.version) for each in found] == [("t/c.x", 5, versions["t/c.x"])]
    assert store.get("t/c.x") == (b"t/c.x", 0, 5, versions["t/c.x"])
    assert store.tail("t/c.x", 2) == (b".x", 3, 5, versions["t/c.x"])
    assert store.tail("t/c.x", 99).data == b"t/c.x"
    assert store.range("t/c.x", 1, 3) == b"/c"
    assert store.range("t/c.x", 3, 99) == b".x"
    store.delete(["t/c.x", "t/none"])
    assert [found.key for found in store.below("t")] == ["t/date=1/a.x", "t/date=1/b.x"]
    assert store.below("none") == []
    assert store.children("none") == ([], [])
    with pytest.raises(NoObjectError, match=r"t/c\.x is not there"):
        store.get("t/c.x")


def test_more_objects_than_a_page_are_listed(store: ObjectStore, s3: S3Server) -> None:
    """A listing of more than 1,000 objects is whole."""
    folder = s3.folder / store.options.bucket / store.options.prefix / "many"
    folder.mkdir(parents=True)
    for number in range(1100):
        (folder / f"{number:04d}").write_bytes(b"")
    assert [found.key for found in store.below("many")] == [f"many/{number:04d}" for number in range(1100)]
    assert len(store.children("many")[1]) == 1100


def test_conditions(store: ObjectStore) -> None:
    """Creating what exists, and reading or replacing another version or nothing, are refused."""
    first = store.put_new("a", b"1")
    second = store.put_over("a", b"2", first)
    for refused in (
        lambda: store.put_new("a", b"3"),
        lambda: store.put_over("a", b"3", first),
        lambda: store.put_over("none", b"3", first),
        lambda: store.get("a", first),
        lambda: store.tail("a", 1, first),
    ):
        with pytest.raises(ConditionError, match="written by another process"):
            refused()
    assert store.get("a", second).data == b"2"


@pytest.mark.parametrize("fault", [500, 503, "reset"])
def test_a_write_whose_answer_was_lost_is_no_refusal(
    fault: int | str, shaky: ObjectStore, store: ObjectStore, proxy: FaultProxy
) -> None:
    """The store writes, the answer goes wrong, the client repeats and is refused: the write counts as done."""

    def break_next() -> None:
        if isinstance(fault, int):
            proxy.answer(fault, method="PUT", passes_on=True)
        else:
            proxy.reset(method="PUT", passes_on=True)

    break_next()
    first = shaky.put_new("a", b"1")
    break_next()
    second = shaky.put_over("a", b"2", first)
    assert store.get("a", second).data == b"2"


def test_a_write_that_was_repeated_and_really_refused(
    shaky: ObjectStore, store: ObjectStore, proxy: FaultProxy
) -> None:
    """Another process was faster while the first try failed: the repeated write is refused."""
    first = store.put_new("a", b"1")
    proxy.answer(500, method="PUT")
    proxy.before_answer = lambda method, _: store.put_over("a", b"2", first) if method == "PUT" and turn() else None
    turns = iter([True])

    def turn() -> bool:
        return next(turns, False)

    with pytest.raises(ConditionError):
        shaky.put_over("a", b"3", first)
    assert store.get("a").data == b"2"


@pytest.mark.parametrize("fault", [500, 503, "reset"])
def test_short_trouble_is_not_noticed(fault: int | str, shaky: ObjectStore, proxy: FaultProxy) -> None:
    """Two wrong answers in a row are tried again, whatever is asked."""
    shaky.put_new("a", b"1")
    for ask in (lambda: shaky.get("a"), lambda: shaky.below(""), lambda: shaky.put_new("b", b"1")):
        if isinstance(fault, int):
            proxy.answer(fault, times=2)
        else:
            proxy.reset(times=2)
        ask()
    assert shaky.get("b").data == b"1"


def test_a_late_answer_is_waited_for(shaky: ObjectStore, proxy: FaultProxy) -> None:
    """Slow is not broken."""
    proxy.delay(0.5, times=3)
    shaky.put_new("a", b"1")
    assert [found.key for found in shaky.below("")] == ["a"]
    assert shaky.get("a").data == b"1"


def failures(store: ObjectStore) -> Iterator[StoreError]:
    """What each kind of request says."""
    for ask in (
        lambda: store.put_new("a", b"1"),
        lambda: store.put_over("a", b"1", '"x"'),
        lambda: store.below(""),
        lambda: store.children("t"),
        lambda: store.get("a"),
        lambda: store.tail("a", 10),
        lambda: store.range("a", 0, 10),
        lambda: store.delete(["a"]),
    ):
        started = time.monotonic()
        with pytest.raises(StoreError) as caught:
            ask()
        assert time.monotonic() - started < 15
        assert "\n" not in str(caught.value)
        assert "s3cr3t" not in str(caught.value)
        yield caught.value


def only(errors: Iterator[StoreError]) -> str:
    """The sentence that all of them say."""
    sentences = {str(error) for error in errors}
    assert len(sentences) == 1, sentences
    return sentences.pop()


def test_a_missing_bucket(options: S3Options) -> None:
    """The bucket and the store are named."""
    missing = dataclasses.replace(options, bucket="no-such-bucket")
    want = f"there is no bucket no-such-bucket at {options.endpoint}; make it, or choose another lake."
    assert only(failures(ObjectStore(missing, PATIENCE))) == want


@pytest.mark.parametrize("change", [{"secret_key": "s3cr3t"}, {"access_key": "nobody"}])
def test_denied_access(change: dict[str, str], options: S3Options) -> None:
    """A wrong secret or an unknown key is denied access; no secret is quoted."""
    denied = dataclasses.replace(options, **change)
    want = f"access to {options.place} is denied"
    assert all(str(error).startswith(want) for error in failures(ObjectStore(denied, PATIENCE)))


def test_a_wrong_region(options: S3Options) -> None:
    """The wrong region is named, and the setting to change."""
    wrong = dataclasses.replace(options, region="eu-west-9")
    want = f"the bucket {options.bucket} is not in the region eu-west-9; set AWS_REGION to its own."
    assert only(failures(ObjectStore(wrong, PATIENCE))) == want


def test_a_store_that_is_away(options: S3Options) -> None:
    """Nobody listens there."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        away = dataclasses.replace(options, endpoint=endpoint)
        said = only(failures(ObjectStore(away, PATIENCE)))
    assert said == f"the store of {options.place} cannot be reached or is too slow; check {endpoint}."


@pytest.mark.parametrize("status", [500, 503])
def test_a_store_in_lasting_trouble(status: int, shaky: ObjectStore, proxy: FaultProxy) -> None:
    """After three tries the status is told."""
    proxy.answer(status, times=1000)
    errors = list(failures(shaky))
    assert all(isinstance(error, UnclearError) for error in errors)
    want = f"the store of {shaky.place} answers with {status} again and again; try later."
    assert only(iter(errors)) == want


def test_a_store_that_hangs(shaky: ObjectStore, proxy: FaultProxy) -> None:
    """An answer that does not come is given up."""
    proxy.delay(30, times=1000)
    for ask in (lambda: shaky.get("a"), lambda: shaky.below(""), lambda: shaky.put_new("a", b"1")):
        started = time.monotonic()
        with pytest.raises(UnclearError, match="cannot be reached or is too slow"):
            ask()
        assert time.monotonic() - started < 15


def test_without_credentials(options: S3Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the chain of AWS finds nothing, what to set is said."""
    no_chain(monkeypatch, tmp_path)
    bare = dataclasses.replace(options, access_key=None, secret_key=None)
    want = f"there are no credentials for {options.place}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    assert only(failures(ObjectStore(bare, PATIENCE))) == want
    unknown = dataclasses.replace(bare, profile="nobody")
    assert "there are no credentials" in only(failures(ObjectStore(unknown, PATIENCE)))


def test_credentials_of_a_profile(
    options: S3Options, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys and region of a profile in the shared files are found through the chain of AWS."""
    no_chain(monkeypatch, tmp_path)
    (tmp_path / "credentials").write_text(
        f"[lake]\naws_access_key_id = {s3.access_key}\naws_secret_access_key = {s3.secret_key}\n"
    )
    (tmp_path / "config").write_text(f"[profile lake]\nregion = {s3.region}\n")
    store = ObjectStore(dataclasses.replace(options, access_key=None, secret_key=None, region=None, profile="lake"))
    store.put_new("a", b"1")
    assert store.get("a").data == b"1"
    assert store.credentials() == Credentials(s3.access_key, s3.secret_key, None)


def no_chain(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Hide the developer's own credentials from the chain of AWS."""
    for name in CHAIN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_secrets_do_not_show(options: S3Options) -> None:
    """Neither the secret nor a token is in what the options print."""
    secretive = dataclasses.replace(options, secret_key="s3cr3t", session_token="s3cr3t")
    assert "s3cr3t" not in f"{secretive!r} {secretive}"
    assert secretive.place == f"s3://{options.bucket}/pre fix/lake=1"
