"""Settings: the only module that reads the environment (and ``.env`` in the working folder).

Every setting stands once in :data:`TABLE` with its name, default, kind and one sentence; the README's table,
the parser and the tests read it. ``parse`` is pure: names and texts in, a frozen :class:`Settings` out.
A value that cannot be is refused with its name and itself in one sentence; a secret is never quoted.
An empty value counts as not set.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from drainlake import destinations, kafka_url, objectives, places, timing, values
from drainlake.errors import WrongUse
from drainlake.kafka_url import KafkaUrl
from drainlake.places import S3Place
from drainlake.values import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from zoneinfo import ZoneInfo

    from drainlake.destinations import Destination
    from queries.budgets.objectives import Objective
    from queries.delivery.cron import Cron
    from queries.delivery.quiet import QuietHours


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


@dataclass(frozen=True)
class Setting:
    """One row of the table: what the user reads of it, and how its text becomes the field's value.

    ``default`` is parsed like a given text, unless it stands in angle brackets and only describes.
    """

    name: str
    field: str
    default: str
    kind: str
    meaning: str
    parse: Callable[[str], Any]
    is_secret: bool = False
    remedy: str = ""  # what to try instead of a value that cannot be; without one, to unset it


def _log(text: str) -> Path | KafkaUrl | None:
    """A path, an address of Kafka, or None for ``embedded``."""
    if text == "embedded":
        return None
    if text.startswith("kafka") and "://" in text:
        return kafka_url.parse(text)
    if "://" in text:
        raise ValueError("must be a path on the local disk, or kafka://host:9092")
    return values.path(text)


TABLE: Final = (
    Setting(
        "DRAINLAKE_HOME",
        "home",
        "./drainlake-data",
        "folder",
        "Holds `log.db`, `lake/` and `lake.duckdb`.",
        values.path,
    ),
    Setting(
        "DRAINLAKE_LOG",
        "log",
        "<log.db in the home>",
        "file or URL",
        "The event log: a file; or `kafka://host:9092,…`, `kafka+ssl://user:password@host:9092?mechanism=SCRAM-SHA-512`."
        " `embedded` is the file in the home whatever `KAFKA_URL` says.",
        _log,
    ),
    Setting(
        "DRAINLAKE_LAKE",
        "lake",
        "<lake/ in the home>",
        "folder or S3",
        "The Parquet lake: a folder, or `s3://bucket/prefix` with the usual `AWS_…` names.",
        places.parse,
    ),
    Setting(
        "DRAINLAKE_DRAINS",
        "drains",
        "<none>",
        "app:secret,…",
        "Credentials beside those that `attach` keeps; an app may have several.",
        values.drains,
        is_secret=True,
    ),
    Setting(
        "DRAINLAKE_TLS_CERT",
        "tls_cert",
        "<none>",
        "file",
        "Certificate chain (PEM), to serve HTTPS itself; goes with the key.",
        values.path,
    ),
    Setting(
        "DRAINLAKE_TLS_KEY",
        "tls_key",
        "<none>",
        "file",
        "Private key (PEM) of that certificate.",
        values.path,
    ),
    Setting("PORT", "port", "8080", "port", "Port to listen on.", values.whole(1, 65535)),
    Setting(
        "DRAINLAKE_HOST",
        "host",
        "127.0.0.1",
        "address",
        "Address to listen on; `0.0.0.0` is every IPv4 address, `::` every address.",
        values.host,
    ),
    Setting(
        "DRAINLAKE_LAND_SECONDS",
        "land_seconds",
        "30",
        "seconds",
        "Time between two landings.",
        values.seconds,
    ),
    Setting(
        "DRAINLAKE_FILE_ROWS",
        "file_rows",
        "250000",
        "rows",
        "Rows at which a file of the lake is full; one of 60 MiB in memory is full earlier.",
        values.whole(1, 10_000_000),
    ),
    Setting(
        "DRAINLAKE_KEEP_DAYS",
        "keep_days",
        "all",
        "days",
        "Whole days of the lake older than this are removed.",
        values.days,
    ),
    Setting(
        "DRAINLAKE_ROUTES",
        "routes",
        "<routes.toml in the home, if there>",
        "file",
        'Patterns of routes to pin (`pins = ["/blog/{slug}"]`) and paths to keep (`keep = ["/blog/archive"]`).',
        values.path,
    ),
    Setting(
        "DRAINLAKE_OBJECTIVES",
        "objectives",
        "<none>",
        "objectives",
        "What apps promise of their requests: `shop: 99.9% available, 95% under 800ms; *: 99.5% available`;"
        " [error budgets](docs/error-budgets.md) are kept by it.",
        objectives.parse,
        remedy="DRAINLAKE_OBJECTIVES='shop: 99.9% available, 95% under 800ms'",
    ),
    Setting(
        "DRAINLAKE_BODY_MAX_BYTES",
        "body_max_bytes",
        "16MiB",
        "size",
        "Largest delivery taken, decompressed; a larger one is answered 413.",
        values.size_bytes,
    ),
    Setting(
        "DRAINLAKE_SPOOL_MAX_BYTES",
        "spool_max_bytes",
        "10GiB",
        "size",
        "Disk budget of the event log; past it deliveries are refused with 503.",
        values.size_bytes,
    ),
    Setting(
        "KAFKA_URL",
        "kafka_url",
        "<none>",
        "URL",
        "Kafka as Heroku's add-on names it; it counts where `DRAINLAKE_LOG` says nothing.",
        kafka_url.parse,
        is_secret=True,
    ),
    Setting("KAFKA_PREFIX", "kafka_prefix", "<none>", "text", "Stands before the names of topics and group.", str),
    Setting(
        "KAFKA_TRUSTED_CERT",
        "kafka_ca",
        "<none>",
        "PEM",
        "Authority that Kafka's certificates are checked against: the PEM text or its file.",
        values.pem,
    ),
    Setting(
        "KAFKA_CLIENT_CERT",
        "kafka_cert",
        "<none>",
        "PEM",
        "Certificate to show to Kafka: the PEM text or its file; goes with the key.",
        values.pem,
    ),
    Setting(
        "KAFKA_CLIENT_CERT_KEY",
        "kafka_key",
        "<none>",
        "PEM",
        "Private key of that certificate: the PEM text or its file.",
        lambda text: Secret(values.pem(text)),
        is_secret=True,
    ),
    Setting(
        "DRAINLAKE_NOTIFY",
        "notify",
        "<none>",
        "URLs",
        "Where reports and alarms go: `mailto://…`, `slack://…`, `https://…`, a folder; see docs/delivery.md.",
        destinations.parse,
        is_secret=True,
    ),
    Setting("DRAINLAKE_REPORT_AT", "report_at", "0 7 * * *", "cron", "When a report is due; or `off`.", timing.cron),
    Setting(
        "DRAINLAKE_CHECK_AT", "check_at", "*/5 * * * *", "cron", "When alarms are looked for; or `off`.", timing.cron
    ),
    Setting(
        "DRAINLAKE_TIMEZONE", "timezone", "UTC", "zone", "Zone of these times, such as `Europe/Berlin`.", timing.zone
    ),
    Setting(
        "DRAINLAKE_QUIET_HOURS",
        "quiet",
        "<none>",
        "times",
        "Such as `22:00-07:00`: alarms that are not CRITICAL wait until their end.",
        timing.quiet_hours,
    ),
    Setting(
        "DRAINLAKE_ALARM_BUDGET",
        "alarm_budget",
        "1",
        "number",
        "False alarms that are worth it, a week.",
        timing.alarm_budget,
    ),
)
_CREDENTIALS: Final = re.compile(r"//[^/@]*@")
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
    timing.set_zone(found)
    settings = Settings(**found)
    _refuse_contradictions(settings)
    return settings


def _value(setting: Setting, text: str) -> Any:
    text = text or ("" if setting.default.startswith("<") else setting.default)
    if not text:
        return None
    try:
        return setting.parse(text)
    except ValueError as error:
        said = setting.name if setting.is_secret else f"{setting.name}={_CREDENTIALS.sub('//…@', text)}"
        raise WrongUse(f"{said}: {error}.", setting.remedy or f"unset {setting.name}") from None


def _refuse_contradictions(settings: Settings) -> None:
    if settings.tls_cert is not None and settings.tls_key is None:
        raise WrongUse(f"DRAINLAKE_TLS_CERT={settings.tls_cert} needs DRAINLAKE_TLS_KEY.", "set both, or neither")
    if settings.tls_key is not None and settings.tls_cert is None:
        raise WrongUse(f"DRAINLAKE_TLS_KEY={settings.tls_key} needs DRAINLAKE_TLS_CERT.", "set both, or neither")
    if (settings.kafka_cert is None) != (settings.kafka_key is None):
        raise WrongUse("KAFKA_CLIENT_CERT and KAFKA_CLIENT_CERT_KEY go together.", "set both, or neither")
    if settings.body_max_bytes > settings.spool_max_bytes:
        raise WrongUse(
            f"DRAINLAKE_BODY_MAX_BYTES={settings.body_max_bytes} is more than"
            f" DRAINLAKE_SPOOL_MAX_BYTES={settings.spool_max_bytes}.",
            "a disk budget of many deliveries, such as DRAINLAKE_SPOOL_MAX_BYTES=10GiB",
        )


def hints(texts: Mapping[str, str]) -> list[str]:
    """What is not wrong but probably not meant: unknown names."""
    said = []
    for name in sorted(texts):
        if name.startswith("DRAINLAKE_") and name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.0)[0]
            said.append(f"{name} is no setting and does nothing; the nearest is {near}.")
    return said


def isolated_environment(**given: str) -> dict[str, str]:
    """The environment for a child that must not see the user's settings, only those given.

    A name set to nothing counts as not set, and wins over ``.env`` all the same.
    """
    return dict(os.environ) | dict.fromkeys(NAMES, "") | given


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
