"""Targets of what people write as settings: a value, or ValueError with half a sentence, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from drainlake import kafka_url, objectives, values
from queries.delivery import cron

if TYPE_CHECKING:
    from collections.abc import Callable

NOW: Final = datetime(2026, 11, 23, 13, 15, tzinfo=UTC)
BERLIN: Final = ZoneInfo("Europe/Berlin")


def setting(data: bytes) -> None:
    """All readers of settings take any text; what they read again from their own words is the same."""
    text = data.decode("utf-8", "surrogateescape")
    for read in (values.size_bytes, values.seconds, values.days, values.number, values.host, values.app_name):
        _tried(read, text)
    _tried(values.whole(1, 100), text)
    moment = _tried(lambda given: values.moment(given, NOW), text)
    assert moment is None or moment.tzinfo is UTC
    for read in (values.http_url, values.receiver_url):
        url = _tried(read, text)
        assert url is None or read(url) == url
    drains = _tried(values.drains, text) or {}
    assert all(secret.reveal() for secrets in drains.values() for secret in secrets)
    _kafka(text)
    _cron(text)
    promised = _tried(objectives.parse, text) or ()
    assert objectives.parse("; ".join(map(str, promised))) == promised


def _tried(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except ValueError:
        return None


def _kafka(text: str) -> None:
    found = _tried(kafka_url.parse, text)
    if found is None:
        return
    assert all(server.rpartition(":")[2].isdigit() for server in found.servers)
    again = kafka_url.parse(str(found))
    assert (again.servers, again.is_tls) == (found.servers, found.is_tls)


def _cron(text: str) -> None:
    found = _tried(lambda given: cron.parse(given, BERLIN), text)
    if found is None:
        return
    due = found.next(NOW)
    assert due > NOW
    latest = found.latest(due, 2)
    assert latest[0] == due
    assert all(before <= NOW for before in latest[1:])
    assert all(NOW - timedelta(hours=1) < each <= NOW for each in found.between(NOW - timedelta(hours=1), NOW, 5))
