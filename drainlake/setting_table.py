"""The table of settings: each stands here once with its name, default, kind and one sentence.

The README's table, the parser (:mod:`drainlake.settings`) and the tests read it. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from drainlake import destinations, kafka_url, objectives, places, timing, values
from drainlake.values import Secret
from ingest.http.body_memory import LARGE_MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from drainlake.kafka_url import KafkaUrl


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
    return values.file(text)


TABLE: Final = (
    Setting(
        "DRAINLAKE_HOME",
        "home",
        "./drainlake-data",
        "folder",
        "Holds `log.db`, `lake/` and `lake.duckdb`.",
        values.folder,
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
        "Address to listen on; `0.0.0.0` is every IPv4 address, `::` every address, and the default on a dyno.",
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
        f"Largest delivery taken, decompressed; a larger one is answered 413. At most {LARGE_MAX_BYTES >> 20}MiB.",
        values.size_bytes,
    ),
    Setting(
        "DRAINLAKE_SPOOL_MAX_BYTES",
        "spool_max_bytes",
        "10GiB",
        "size",
        "Disk budget of the event log; past it deliveries are refused with 503, then connections.",
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
    Setting(
        "DRAINLAKE_URL",
        "url",
        "<none>",
        "URL",
        "Where Heroku reaches the receiver, such as `https://logs.example.com`; `attach` and `drains` go by it.",
        values.receiver_url,
    ),
    Setting(
        "DRAINLAKE_CONNECTIONS_MAX",
        "connections_max",
        "1000",
        "number",
        "Connections held at a time; past it those that have not shown good credentials are closed first.",
        values.whole(10, 100_000),
    ),
    Setting(
        "DRAINLAKE_WORKERS",
        "workers",
        "1",
        "number",
        "Processes that receive; more than one pays where several drains keep one processor busy (docs/operations.md).",
        values.whole(1, 64),
    ),
    Setting(
        "DRAINLAKE_METRICS_TOKEN",
        "metrics_token",
        "<none>",
        "text",
        "When set, `/metrics` asks for it as a Bearer token; without it everyone may read them.",
        Secret,
        is_secret=True,
    ),
    Setting(
        "DRAINLAKE_METRICS_PORT",
        "metrics_port",
        "<none>",
        "port",
        "Where `land` and `schedule` show `/metrics` and `/healthz` of their own, on DRAINLAKE_HOST.",
        values.whole(1, 65535),
    ),
    Setting(
        "DRAINLAKE_LOG_FORMAT",
        "log_format",
        "text",
        "format",
        "How `serve`, `land`, `schedule` and `up` log on stderr: `text`, or `json`, one object a line.",
        values.one_of("text", "json"),
    ),
    Setting(
        "DRAINLAKE_ADDRESS_KEY",
        "address_key",
        "<none>",
        "text",
        "When set, client addresses are stored in the lake as hashes under this key; equal ones stay equal.",
        values.long_secret,
        is_secret=True,
    ),
    Setting(
        "DRAINLAKE_QUERY_STRINGS",
        "query_strings",
        "keep",
        "keep or drop",
        "`drop` leaves query strings of paths and referrers out of the lake.",
        values.one_of("keep", "drop"),
    ),
    Setting(
        "HEROKU_API_KEY",
        "heroku_api_key",
        "<none>",
        "text",
        "Token of Heroku's Platform API, for `attach --apply` and `drains`.",
        Secret,
        is_secret=True,
    ),
    Setting(
        "HEROKU_API_URL",
        "heroku_api_url",
        "https://api.heroku.com",
        "URL",
        "Where that API is.",
        values.http_url,
    ),
)
