"""The tables of drainlake, enumerated once: columns, types, units, one sentence each.

The parsers fill these columns, the empty lake and its views are made from them, the docs and the tests
read them. Every table starts with ``timestamp`` and ``app``; times are UTC in microseconds; a field that is
absent or empty in the line is NULL.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import pyarrow as pa

ARROW_TYPES: Final = {
    "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "SMALLINT": pa.int16(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "SMALLINT[]": pa.list_(pa.int16()),
    "INTEGER[]": pa.list_(pa.int32()),
    "BIGINT[]": pa.list_(pa.int64()),
}


@dataclass(frozen=True)
class Column:
    """One column: its name, its type as DuckDB shows it, and what it means in one sentence."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """A named schema: what one row stands for, and its columns in order."""

    name: str
    one_row_per: str
    columns: tuple[Column, ...]

    @cached_property
    def arrow(self) -> pa.Schema:
        """The table's schema in Arrow types."""
        return pa.schema([(column.name, ARROW_TYPES[column.type]) for column in self.columns])


def _table(name: str, one_row_per: str, *columns: tuple[str, str, str]) -> Table:
    shared = (
        Column(
            "timestamp",
            "TIMESTAMPTZ",
            "The frame's own time, to the microsecond; in other imported logs the time of the line.",
        ),
        Column("app", "VARCHAR", "The app whose drain delivered the line."),
    )
    return Table(name, one_row_per, shared + tuple(Column(*column) for column in columns))


ROUTER: Final = _table(
    "router",
    "request at the Heroku router or an AWS load balancer",
    ("source", "VARCHAR", "Who wrote the line: 'heroku', 'elb' or 'alb'."),
    ("level", "VARCHAR", "The router's own level (its `at=`): info, warning or error."),
    ("code", "VARCHAR", "Heroku's H code of a failed request, such as H12."),
    ("description", "VARCHAR", "The router's words for the code."),
    ("method", "VARCHAR", "HTTP method."),
    ("host", "VARCHAR", "Host the client asked for (chosen by the client)."),
    ("path", "VARCHAR", "Path with query string, secret values redacted."),
    ("route", "VARCHAR", "Path with its variable parts named, query string off."),
    ("request_id", "VARCHAR", "Heroku's id of the request; a load balancer has none."),
    ("client_ip", "VARCHAR", "The router's peer: the right-most address of forwarded_for."),
    ("forwarded_for", "VARCHAR", "X-Forwarded-For as logged; all but the last entry can be forged."),
    (
        "dyno",
        "VARCHAR",
        "The dyno that served the request, such as web.1, or address of a load balancer's target; NULL if none was.",
    ),
    (
        "connect_ms",
        "INTEGER",
        "Milliseconds to connect to the dyno; a load balancer's until it had sent the request on.",
    ),
    (
        "service_ms",
        "INTEGER",
        "Milliseconds from dispatch to the end of the response; a load balancer's to its beginning.",
    ),
    ("status", "SMALLINT", "HTTP status sent to the client; 499 when the client went away."),
    (
        "bytes",
        "BIGINT",
        "Bytes sent; Router 2.0 and Classic load balancers count the body, the older router and 'alb' headers too.",
    ),
    (
        "protocol",
        "VARCHAR",
        "http, https (older router, load balancers), http1.1 or http2.0 (Router 2.0), h2, ws, wss … ('alb').",
    ),
    ("tls_version", "VARCHAR", "TLS version of the client's connection."),
    ("user_agent", "VARCHAR", "User agent, which Heroku logs for H31 only, load balancers always."),
    (
        "extra",
        "VARCHAR",
        "Keys of the line that have no column, as a JSON object of strings; a load balancer's fields under AWS' names.",
    ),
)

ACCESS: Final = _table(
    "access",
    "nginx or Apache access line",
    ("dyno", "VARCHAR", "The dyno whose web server wrote the line."),
    ("logged_at", "TIMESTAMPTZ", "The web server's own time of the line: nginx its end, Apache its start."),
    (
        "client_ip",
        "VARCHAR",
        "The server's peer, on Heroku a router; the real client where logged.",
    ),
    ("method", "VARCHAR", "HTTP method."),
    ("path", "VARCHAR", "Path with query string, secret values redacted."),
    ("route", "VARCHAR", "Path with its variable parts named, query string off."),
    ("protocol", "VARCHAR", "Protocol of the request line, such as HTTP/1.1."),
    ("status", "SMALLINT", "HTTP status."),
    ("bytes", "BIGINT", "Body bytes sent."),
    ("referrer", "VARCHAR", "Referrer, secret values redacted."),
    ("user_agent", "VARCHAR", "User agent."),
    ("request_id", "VARCHAR", "Heroku's request id (extended format)."),
    ("request_ms", "INTEGER", "Milliseconds nginx spent on the request (extended format)."),
    ("upstream_ms", "INTEGER", "Milliseconds PHP spent on it (extended format)."),
    ("content_type", "VARCHAR", "Content type of the response (extended format)."),
    (
        "content_encoding",
        "VARCHAR",
        "Content encoding of the response; NULL beside a request_ms means none (extended format).",
    ),
    ("accept_encoding", "VARCHAR", "What the client offered (extended format)."),
    ("gzip_ratio", "DOUBLE", "Original size by compressed size, when nginx compressed (extended format)."),
)

PHP: Final = _table(
    "php",
    "PHP, php-fpm or nginx error event, its continuation lines joined",
    ("dyno", "VARCHAR", "The dyno the event happened on."),
    ("component", "VARCHAR", "Who reports it: 'php', 'php-fpm' or 'nginx'."),
    ("level", "VARCHAR", "Level in the reporter's words: Fatal error, Warning, WARNING, error …"),
    ("message", "VARCHAR", "The first line of the event without time, level and place."),
    ("file", "VARCHAR", "PHP file the error names."),
    ("line", "INTEGER", "Line in that file."),
    ("memory_limit_bytes", "BIGINT", "PHP's memory_limit that was hit, in bytes."),
    ("memory_wanted_bytes", "BIGINT", "Bytes of the allocation that failed."),
    ("script", "VARCHAR", "Script php-fpm was running."),
    ("method", "VARCHAR", "HTTP method of the request in question."),
    ("path", "VARCHAR", "Path with query string, secret values redacted."),
    ("route", "VARCHAR", "Path with its variable parts named, query string off."),
    ("duration_seconds", "DOUBLE", "Seconds the request or worker had run."),
    ("upstream", "VARCHAR", "Upstream nginx spoke to."),
    ("client_ip", "VARCHAR", "Peer of nginx, on Heroku a router."),
    ("trace", "VARCHAR", "The continuation lines: stack trace, slow-log frames, rest of the message."),
)

PLATFORM: Final = _table(
    "platform",
    "event that Heroku reports of a dyno or of the log system",
    ("dyno", "VARCHAR", "The dyno in question; NULL for the log system."),
    ("event", "VARCHAR", "'error', 'state', 'start', 'stop', 'exit', 'memory', 'cycle', 'idle' or 'other'."),
    ("code", "VARCHAR", "Heroku's code: R14, L10 …"),
    ("description", "VARCHAR", "Heroku's words for the code."),
    ("from_state", "VARCHAR", "State the dyno left."),
    ("to_state", "VARCHAR", "State the dyno entered."),
    ("exit_status", "SMALLINT", "Exit status of the process."),
    ("memory_mb", "DOUBLE", "Memory in use, in MB of 1,048,576 bytes."),
    ("memory_percent", "DOUBLE", "Memory in use, in percent of the dyno's quota."),
    ("lines_dropped", "BIGINT", "Log lines that were lost on the way, by Heroku's own count."),
    ("message", "VARCHAR", "The line itself, credentials redacted."),
)

SAMPLES: Final = _table(
    "samples",
    "one measured value",
    ("source", "VARCHAR", "What was measured: 'web.1', 'DATABASE' …"),
    ("kind", "VARCHAR", "'dyno', 'postgres', 'redis', 'pgbouncer' or 'kafka'."),
    ("metric", "VARCHAR", "Name of the measure in lower case with underscores."),
    ("value", "DOUBLE", "The value, converted to the unit beside it."),
    ("unit", "VARCHAR", "bytes, ms, percent, count, pages, load …"),
)

RELEASES: Final = _table(
    "releases",
    "change to the app",
    ("event", "VARCHAR", "'deploy', 'release', 'rollback', 'scale', 'config', 'addon', 'build' or 'other'."),
    ("version", "INTEGER", "Release number."),
    ("actor", "VARCHAR", "Who did it."),
    ("message", "VARCHAR", "The line itself, credentials redacted."),
)

LINES: Final = _table(
    "lines",
    "any other line",
    ("process", "VARCHAR", "The process that wrote it: 'web.1', 'worker.2' …"),
    ("message", "VARCHAR", "The line without its final newline; for a defect the exact bytes."),
    (
        "defect",
        "VARCHAR",
        "Why this is no frame, no line of an imported log, or not read in full; NULL for ordinary lines.",
    ),
)

DELIVERIES: Final = _table(
    "deliveries",
    "delivery (one POST of the drain): the ledger that coverage is computed from",
    (
        "received_at",
        "TIMESTAMPTZ",
        "When drainlake took it in; `timestamp` is that of its last line.",
    ),
    ("frame_id", "VARCHAR", "Heroku's id of the delivery, the same on every try."),
    ("announced", "BIGINT", "Lines the sender announced (Logplex-Msg-Count)."),
    ("lines", "BIGINT", "Lines found in the body: frames and runs of bytes that are no frame."),
    ("parsed", "BIGINT", "Of these, new lines that a parser recognised (they are not in `lines`)."),
    ("defects", "BIGINT", "Of these, new lines that are no frame (they are in `lines` with a defect)."),
    ("repeated", "BIGINT", "Of these, lines that an earlier try had brought already (not stored again)."),
    ("octets", "BIGINT", "Bytes of the body, decompressed."),
    ("drain_token", "VARCHAR", "Heroku's name of the drain (d.…) that brought it; NULL in imports and before 0.5."),
)

# A histogram's bucket i counts the values in (LATENCY_BASE ** (i - 1), LATENCY_BASE ** i] ms, bucket -1 those of 0 ms.
# What stands for a bucket, 2 * LATENCY_BASE ** i / (LATENCY_BASE + 1), is within 1 % of each value in it. Counts of
# equal buckets add up: so minutes merge to hours, routes to apps.
LATENCY_BASE: Final = 1.02
# Percentiles do not add up, and merging histograms of 40 routes and 65 days takes 15 s: so those that the alarms look
# at every few minutes stand beside the counts.
STEP_MINUTES: Final = 5  # divides an hour
# What is read of weeks is added up: so the busiest routes are found in a fifth of the time. Of these names each comes
# after those of the minutes: so they lie together, and whoever reads them does not decode the minutes' histograms.
STEPS: Final = {per: f"sum_{per}" for per in ("route", "dyno", "code")}
APP_HOUR: Final = "sum_app"
# In the footer of a file of minutes stands how it was made; minutes are added up since these rules of making them.
MADE_KEY: Final = "drainlake.minutes"
ADDED_UP_SINCE: Final = 2
STEP_REQUESTS_MIN: Final = 20  # with fewer the 95th percentile would be the slowest request

MINUTES: Final = _table(
    "minutes",
    "minute and app, and in it per route, dyno and error code that appeared",
    (
        "per",
        "VARCHAR",
        (
            "What the row is of: 'app', 'route', 'dyno' or 'code'. Rows of 'sum_route', 'sum_dyno' and 'sum_code' add "
            f"up {STEP_MINUTES} minutes of the clock from `timestamp` on, if there was anything in them: `requests`, "
            "`failed`, `step_p95_ms`, memory. One of 'sum_app' has an app's histogram of the hour that begins then."
        ),
    ),
    ("key", "VARCHAR", "The route, the dyno, or the code (an H code, else the status from 500 on); NULL for 'app'."),
    (
        "is_covered",
        "BOOLEAN",
        "Whether the log was there in this minute: without traffic it still is; false where its lines are missing.",
    ),
    ("lines", "BIGINT", "Lines of the app in all tables, imports left out; NULL but for 'app'."),
    ("lines_lost", "BIGINT", "Lines that Heroku reports as lost in this minute (L10 and kin); NULL but for 'app'."),
    ("requests", "BIGINT", "Requests that ended in this minute at Heroku's router."),
    ("failed", "BIGINT", "Of these, status 500 and above or an H code, but for H27 and H28, which the client makes."),
    ("bytes", "BIGINT", "Bytes sent."),
    ("latency_buckets", "SMALLINT[]", "Buckets of the service times' histogram that are not empty, in order."),
    (
        "latency_counts",
        "INTEGER[]",
        "Requests in each of these buckets; WebSockets and unserved requests are left out.",
    ),
    (
        "step_p95_ms",
        "DOUBLE",
        (
            f"95 % of the requests timed in the {STEP_MINUTES} minutes of the clock around this one took at most so "
            f"many milliseconds, to 1 %; NULL under {STEP_REQUESTS_MIN}, in minutes without requests, and for 'code'."
        ),
    ),
    ("peak_in_flight", "INTEGER", "Most requests at once in this minute, exact; NULL for 'code'."),
    (
        "peak_at",
        "TIMESTAMPTZ",
        (
            "When the most requests of the hour were in flight: the start of the request that made them so many, of "
            "several the one that was logged first. NULL in the other minutes, and if they were there before the hour."
        ),
    ),
    ("peak_logged_at", "TIMESTAMPTZ", "When that request ended."),
    (
        "is_peak_timed_out",
        "BOOLEAN",
        "Whether a request that became an H12 was in flight at `peak_at`; false in other minutes, NULL for 'code'.",
    ),
    (
        "in_flight_from",
        "TIMESTAMPTZ",
        (
            "Since when any request was in flight in the hour, in the first minute with any; NULL in others, and for "
            "'code'. An hour of very many requests has several such minutes, each for its part of the hour."
        ),
    ),
    ("in_flight_until", "TIMESTAMPTZ", "When the last of them ended, or the hour did; NULL as `in_flight_from`."),
    ("level_us", "BIGINT[]", "Microseconds with exactly 1, 2, and so on up to the peak in flight; NULL likewise."),
    (
        "has_timeout",
        "BOOLEAN",
        "Whether a request that was in flight became an H12; false in other minutes, NULL for 'code'.",
    ),
    (
        "memory_mb",
        "DOUBLE",
        "Highest memory of the dyno, of any dyno for 'app', in MB of 1,048,576 bytes; NULL for others.",
    ),
    ("memory_percent", "DOUBLE", "The same in percent of the dyno's quota, where the quota is known."),
    ("connections", "DOUBLE", "Most connections to the app's Postgres at once; NULL but for 'app'."),
)

# In the footer of a file of sizes stand the files that it was made from, each with its stamp (see LocalLake.listing).
SIZES_KEY: Final = "drainlake.asset_sizes"
ASSET_SIZES: Final = _table(
    "asset_sizes",
    "hour, app, path and size of the files that gzip makes smaller, and per hour, app and source without a path",
    ("path", "VARCHAR", "The path as it was logged, query string off; NULL in the rows that count all of `router`."),
    ("bytes", "BIGINT", "The size of these responses as the router logged it; NULL without a path."),
    ("source", "VARCHAR", "Who wrote the lines: 'heroku', and without a path 'elb' or 'alb', too."),
    ("responses", "BIGINT", "Responses to GET with status 200; without a path all rows that `router` has."),
    ("with_headers", "BIGINT", "Of these, by the older router (protocol http or https), which counts headers as well."),
    ("first_at", "TIMESTAMPTZ", "The first of these."),
    ("last_at", "TIMESTAMPTZ", "The last of these."),
)

# Made from the tables above, in the lake alone: no entry of the event log is of these.
DERIVED: Final = {table.name: table for table in (MINUTES, ASSET_SIZES)}

TABLES: Final = {table.name: table for table in (ROUTER, ACCESS, PHP, PLATFORM, SAMPLES, RELEASES, LINES, DELIVERIES)}

# Columns of the event log's entries, behind the table's own. Landing needs them, the lake does not have them.
DIGEST_BYTES: Final = 16
PIECE: Final = "piece"  # digest of the part of a delivery that the row comes from; in `deliveries` of the try itself
PIECES: Final = "pieces"  # in `deliveries`: what each new part counts
CONTINUES: Final = "continues"  # in `php`: whether the row continues the event of a row before it
CONTINUES_FIELD: Final = pa.field(CONTINUES, pa.bool_())
PIECE_TYPE: Final = pa.binary(DIGEST_BYTES)
PIECES_TYPE: Final = pa.list_(
    pa.struct([("digest", PIECE_TYPE), ("lines", pa.int64()), ("parsed", pa.int64()), ("defects", pa.int64())])
)


def entry_schema(table: Table) -> pa.Schema:
    """The columns of an entry of a table."""
    more = {"php": [CONTINUES_FIELD], "deliveries": [pa.field(PIECES, PIECES_TYPE)]}
    return pa.schema([*table.arrow, *more.get(table.name, []), pa.field(PIECE, PIECE_TYPE)])
