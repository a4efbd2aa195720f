"""Settings: the only module that reads the environment (and ``.env`` in the working folder).

The settings themselves stand in :mod:`drainlake.setting_table`. ``parse`` is pure: names and texts in, a frozen
:class:`Settings` out.
A value that cannot be is refused with its name and itself in one sentence; a secret is never quoted.
An empty value counts as not set.
"""

from __future__ import annotations

import difflib
import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from drainlake import dynos, places, timing, values
from drainlake.errors import WrongUse
from drainlake.kafka_url import KafkaUrl
from drainlake.places import S3Place
from drainlake.setting_table import TABLE
from ingest.http.body_memory import LARGE_MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from drainlake.destinations import Destination
    from drainlake.setting_table import Setting
    from drainlake.values import Secret
    from queries.budgets.objectives import Objective
    from queries.delivery.cron import Cron
    from queries.delivery.quiet import QuietHours

_OF_LIBRARIES: Final = {
    # For matrices, which nothing here has, NumPy starts a thread for each core. They spin for a tenth of a second, in
    # every process, beside its first query.
    "OPENBLAS_NUM_THREADS": "1",
    # The allocator of polars keeps what was freed in four parts a core. In one part a backlog lands in 15 MB less,
    # and the minutes of a month of 100 million requests are made in 60 MB less, in the same time.
    "_RJEM_MALLOC_CONF": "narenas:1",
}


@dataclass(frozen=True)
class Settings:
    """All settings, parsed: paths absolute, sizes in bytes, times in seconds."""

    home: Path
    log: Path
    lake: Path | S3Place
    host: str
    port: int
    land_seconds: float
    file_rows: int
    body_max_bytes: int
    spool_max_bytes: int
    keep_days: int | None = None
    routes: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    drains: Mapping[str, tuple[Secret, ...]] = field(default_factory=dict)
    objectives: tuple[Objective, ...] = ()
    notify: tuple[Destination, ...] = ()
    report_at: Cron | None = None
    check_at: Cron | None = None
    timezone: ZoneInfo = timing.UTC_ZONE
    quiet: QuietHours | None = None
    alarm_budget: float = 1.0
    url: str | None = None
    connections_max: int = 1000
    workers: int = 1
    metrics_token: Secret | None = None
    metrics_port: int | None = None
    log_format: str = "text"
    address_key: Secret | None = None
    query_strings: str = "keep"
    heroku_api_key: Secret | None = None
    heroku_api_url: str = ""
    dyno: str | None = None
    kafka: KafkaUrl | None = None
    kafka_prefix: str = ""
    kafka_ca: str | None = None
    kafka_cert: str | None = None
    kafka_key: Secret | None = None
    kafka_is_heroku: bool = False

    @property
    def catalog(self) -> Path:
        """``lake.duckdb``, the views and questions for any DuckDB client."""
        return self.home / "lake.duckdb"

    @property
    def metrics_folder(self) -> Path:
        """Where the processes of this home leave their figures for the receiver's ``/metrics``."""
        return self.home / "metrics"


NAMES: Final = tuple(setting.name for setting in TABLE)


def parse(texts: Mapping[str, str]) -> Settings:
    """Settings from names and texts; raises :class:`WrongUse` naming the first setting that cannot be."""
    found = {setting.field: _value(setting, texts.get(setting.name, "").strip()) for setting in TABLE}
    heroku = found.pop("kafka_url")
    chosen = found["log"] if texts.get("DRAINLAKE_LOG", "").strip() else heroku
    found["kafka"] = chosen if isinstance(chosen, KafkaUrl) else None
    found["kafka_is_heroku"] = found["kafka"] is not None and chosen is heroku
    found["kafka_prefix"] = found["kafka_prefix"] or ""
    found["log"] = found["log"] if isinstance(found["log"], Path) else found["home"] / "log.db"
    found["lake"] = found["lake"] or found["home"] / "lake"
    if isinstance(found["lake"], S3Place):
        found["lake"] = places.with_access(found["lake"], texts)
    found["drains"] = found["drains"] or {}
    found["objectives"] = found["objectives"] or ()
    found["notify"] = found["notify"] or ()
    found["dyno"] = texts.get("DYNO", "").strip() or None  # Heroku's name of this dyno; `heroku local` sets none
    if found["dyno"] and not texts.get("DRAINLAKE_HOST", "").strip():
        found["host"] = dynos.every_address(found["dyno"])  # else Heroku ends it with R10: it cannot be reached
    timing.set_zone(found)
    settings = Settings(**found)
    _refuse_contradictions(settings)
    return settings


def with_workers(settings: Settings, workers: int | None) -> Settings:
    """The settings with what ``--workers`` says, if it was given. Raises :class:`WrongUse`."""
    if workers is not None:
        settings = replace(settings, workers=workers)
        _refuse_contradictions(settings)
    return settings


def _value(setting: Setting, text: str) -> Any:
    text = text or ("" if setting.default.startswith("<") else setting.default)
    if not text:
        return None
    try:
        return setting.parse(text)
    except ValueError as error:
        said = setting.name if setting.is_secret else f"{setting.name}={values.without_credentials(text)}"
        raise WrongUse(f"{said}: {error}.", setting.remedy or f"unset {setting.name}") from None


def _refuse_contradictions(settings: Settings) -> None:
    if settings.tls_cert is not None and settings.tls_key is None:
        raise WrongUse(f"DRAINLAKE_TLS_CERT={settings.tls_cert} needs DRAINLAKE_TLS_KEY.", "set both, or neither")
    if settings.tls_key is not None and settings.tls_cert is None:
        raise WrongUse(f"DRAINLAKE_TLS_KEY={settings.tls_key} needs DRAINLAKE_TLS_CERT.", "set both, or neither")
    if (settings.kafka_cert is None) != (settings.kafka_key is None):
        raise WrongUse("KAFKA_CLIENT_CERT and KAFKA_CLIENT_CERT_KEY go together.", "set both, or neither")
    if settings.connections_max < 10 * settings.workers:
        raise WrongUse(
            f"DRAINLAKE_CONNECTIONS_MAX={settings.connections_max} is too few for"
            f" DRAINLAKE_WORKERS={settings.workers}, which divide them.",
            f"DRAINLAKE_CONNECTIONS_MAX={10 * settings.workers} or more",
        )
    if settings.body_max_bytes > LARGE_MAX_BYTES:
        raise WrongUse(
            f"DRAINLAKE_BODY_MAX_BYTES={settings.body_max_bytes} is more than the receiver has room for"
            f" ({LARGE_MAX_BYTES}): it would answer such a delivery with 503 for ever.",
            f"DRAINLAKE_BODY_MAX_BYTES={LARGE_MAX_BYTES >> 20}MiB or less",
        )
    if settings.body_max_bytes > settings.spool_max_bytes:
        raise WrongUse(
            f"DRAINLAKE_BODY_MAX_BYTES={settings.body_max_bytes} is more than"
            f" DRAINLAKE_SPOOL_MAX_BYTES={settings.spool_max_bytes}.",
            "a disk budget of many deliveries, such as DRAINLAKE_SPOOL_MAX_BYTES=10GiB",
        )


def hints(texts: Mapping[str, str]) -> list[str]:
    """What is not wrong but probably not meant: unknown names, secrets that Heroku cannot send."""
    said = [
        f"DRAINLAKE_DRAINS: the secret of entry {number} has a colon, and Heroku delivers nothing with such a one."
        for number, part in enumerate(texts.get("DRAINLAKE_DRAINS", "").split(","), 1)
        if part.count(":") > 1
    ]
    for name in sorted(texts):
        if name.startswith("DRAINLAKE_") and name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.0)[0]
            said.append(f"{name} is no setting and does nothing; the nearest is {near}.")
    return said


def tune_libraries() -> None:
    """Set what libraries read from the environment when they are loaded; what the user has set stays."""
    for name, value in _OF_LIBRARIES.items():
        os.environ.setdefault(name, value)


def isolated_environment(**given: str) -> dict[str, str]:
    """The environment for a child that must not see the user's settings, nor that it is on a dyno, only what is given.

    A name set to nothing counts as not set, and wins over ``.env`` all the same.
    """
    return dict(os.environ) | dict.fromkeys((*NAMES, "DYNO"), "") | given


def has_desktop() -> bool:
    """Whether a page can be shown to whoever started this."""
    return sys.platform in {"darwin", "win32"} or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def read_texts(folder: Path | None = None) -> dict[str, str]:
    """The environment, and under it what ``.env`` in ``folder`` (the working folder) says."""
    from dotenv import dotenv_values  # noqa: PLC0415 - `--help` does not need it

    dotenv = (folder or Path.cwd()) / ".env"
    try:
        found = dotenv_values(dotenv, interpolate=False) if dotenv.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{dotenv} cannot be read: {error}.", "mend or move that file") from None
    return {name: text for name, text in found.items() if text is not None} | dict(os.environ)
