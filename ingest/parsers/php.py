r"""Error lines of PHP, php-fpm and nginx.

PHP writes ``[date zone] PHP LEVEL:  message in FILE on line N``; php-fpm ``[date] LEVEL: …`` and slow-log
blocks; nginx its own lines, which may wrap PHP messages (``FastCGI sent in stderr: "PHP message: …"``), as
Apache's do. Wrapped messages are unwrapped: the row is PHP's, with the request nginx knew.

One event can span several lines that nothing ties together but their order. Lines that can only be a
continuation are marked ``continues`` here and joined to their head at landing, since a delivery can end
between them. A line of no known shape is a continuation only between a head that broke off and the line that
completes it, within one batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from ingest.records import rows
from ingest.schema import PHP

if TYPE_CHECKING:
    from ingest.records import Records
    from ingest.text import Mask

_LEVELS: Final = (
    "Fatal error|Parse error|Recoverable fatal error|Core error|Core warning|Compile error|Compile warning"
    "|User error|User warning|User notice|User deprecated|Warning|Notice|Deprecated|Strict Standards"
)
_DATE: Final = r"\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d"
_DATED: Final = rf"^\[{_DATE} [^\]]+\] "
_FPM: Final = (
    rf"^(?:\[{_DATE}\] (?:WARNING|ERROR|NOTICE|ALERT|DEBUG): |(?:WARNING|ERROR|NOTICE|ALERT): \[pool |"
)
_FPM_HEAD: Final = _FPM + r"ERROR: unable to bind listening socket)"
_SLOW_LOG: Final = rf"^\[{_DATE}\]  \[pool "
_NGINX: Final = r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[[a-z]+\] \d+#\d+: "
_WRAPPED: Final = r'FastCGI sent in stderr: "PHP message: '
_APACHE: Final = r"^\[[^\]]+\] (?:\[[^\]]*\] ?)*.{0,64}AH01071: Got error 'PHP message: "
_BARE: Final = rf"^(?:PHP (?:{_LEVELS}):\s|PHP message: |FastCGI sent in stderr: )"
_CONTINUES: Final = (
    r"^(?:Stack trace:$|#\d+ (?:/|\{main\}|\[internal function\]|phar:|[A-Za-z]:[\\/])|  thrown in .+ on line \d+"
    r"|script_filename = |\[0x[0-9a-f]{16}\] |\+\+\+ dump failed$)"
)
_HEAD: Final = "|".join((_DATED, _FPM_HEAD, _SLOW_LOG, _NGINX, _APACHE, _BARE))

# What a line of this table can begin with; a cheap sieve before the expressions above.
_BEGINNINGS: Final = (
    b"[", b"PHP ", b"FastCGI ", b"Stack ", b"#", b"  thrown ", b"script_", b"+++ ", b"WARNING: [", b"ERROR: ",
    b"NOTICE: [", b"ALERT: [", b"20", b"19",
)  # fmt: skip

_PLACE: Final = r"(?s)^(?P<message>.*) in (?P<file>\S.*?)(?: on line |:)(?P<line>\d{1,9})$"
_NGINX_CONTEXT: Final = (
    r'(?s)^(?P<text>.*?)(?:, client: (?P<client>[^,\s]+), server: [^,"]*(?:, request: "(?P<request>.*?)")?'
    r'(?:, (?:sub)?upstream: "(?P<upstream>[^"]*)")?(?:, host: "[^"]*")?(?:, referrer: ".*")?)?$'
)
_STDERR: Final = r"""(?s)(?:FastCGI sent in stderr: "|AH01071: Got error ')(?P<inner>PHP message: .*)$"""
_STDERR_END: Final = r"""(?s)(?:["'](?: while reading [^"]*)?|', referer: .*)$"""
_MEMORY: Final = (
    r"Allowed memory size of (\d{1,18}) bytes exhausted(?: at \S+)? \(tried to allocate (\d{1,18}) bytes\)"
)
_DURATION: Final = r"(?:\(| after )(\d{1,9}\.\d{1,9}) sec(?:\)|onds from start)"
_REQUEST: Final = r"(?s)^(?P<method>[A-Z]+) (?P<path>.+?)(?: HTTP/[\d.]+)?$"
# Gravest first: of several messages that nginx wrapped together, the first that is present leads.
_GRAVITY: Final = (r"fatal error|Fatal error|Core error|Compile error|User error|Parse error", "arning", "")


def recognise(records: Records) -> tuple[Mask, Mask]:
    """Which messages of dynos belong to the php table, and which of these continue an event."""
    possible = np.zeros(len(records), dtype=np.bool_)
    for beginning in _BEGINNINGS:
        possible |= records.text.starts_with(records.message.start, beginning)
    continues = np.zeros(len(records), dtype=np.bool_)
    candidates = np.flatnonzero(possible & (records.message.length > 0))
    messages = records.take(candidates).messages()
    continues[candidates] = messages.str.contains(_CONTINUES).to_numpy()
    head = np.zeros(len(records), dtype=np.bool_)
    head[candidates] = messages.str.contains(_HEAD).to_numpy()
    broken = candidates[_breaks_off(messages).to_numpy() & head[candidates]]
    if len(broken):
        continues |= _between(records, head, continues, broken)
    return head | continues, continues


def _breaks_off(messages: pl.Series) -> pl.Series:
    """PHP heads and wrappers without the place that ends every whole message of PHP."""
    php = messages.str.contains(rf"PHP (?:{_LEVELS}):\s")
    return php & ~messages.str.contains(r" on line \d+|:\d+(?:[\"']|$)|\"while reading ")


def _between(
    records: Records, head: Mask, continues: Mask, broken: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> Mask:
    """Lines of unknown shape between a head that broke off and the line of the same dyno that completes it."""
    kind = pl.Series(np.where(head | continues, "other", "unknown")).scatter(broken, "broken")
    closes = records.messages().str.contains(r" in \S.*(?: on line |:)\d+$")
    frame = pl.DataFrame({
        "app": records.app, "process": records.processes(), "kind": kind,
        "closes": closes & (kind == "unknown"),
    }).with_columns(
        event=pl.when(pl.col("kind") != "unknown").then(pl.col("kind")).when(pl.col("closes")).then(pl.lit("close"))
    )  # fmt: skip
    dyno = ["app", "process"]
    joined = frame.select(
        (pl.col("kind") == "unknown")
        & (pl.col("event").shift(1).forward_fill().over(dyno) == "broken")
        & (pl.col("event").backward_fill().over(dyno) == "close")
    )
    return joined.to_series().fill_null(value=False).to_numpy()


def parse(records: Records, continues: Mask) -> pl.DataFrame:
    """Rows of the php table with ``continues`` behind them, one per record, in order; ``route`` is NULL."""
    messages = pl.DataFrame({"m": records.messages()})
    parts = messages.select(_reporter()).unnest("context").with_columns(_inner()).with_columns(_gravest())
    named = parts.select(_columns()).unnest("place", "memory", "asked")
    named = named.with_columns(message=pl.coalesce("message", "whole"))
    blank = pl.when(pl.lit(pl.Series(~continues)))
    keep = named.select(blank.then(pl.col(name)).alias(name) for name in named.columns if name != "whole")
    columns = keep.with_columns(
        message=pl.when(pl.Series(continues)).then(messages["m"]).otherwise(pl.col("message")),
        component=named["component"],
        dyno=records.processes(),
    )
    return rows(PHP, records, columns.to_dict()).with_columns(continues=pl.Series(continues))


def _reporter() -> list[pl.Expr]:
    """Who wrote the line, its level, its text, and the context nginx adds."""
    m = pl.col("m")
    nginx = m.str.contains(_NGINX)
    text = m.str.replace(rf"(?s)^(?:\[[^\]]+\] +|{_NGINX[1:]}(?:\*\d+ )?)", "")
    context = pl.when(nginx | m.str.starts_with("FastCGI")).then(text)
    fpm = (
        m.str.contains(_FPM_HEAD)
        | m.str.contains(_SLOW_LOG)
        | m.str.contains(r"^(?:script_filename|\[0x|\+\+\+)")
    )
    return [
        m,
        pl.when(fpm).then(pl.lit("php-fpm")).when(nginx).then(pl.lit("nginx")).otherwise(pl.lit("php")).alias("reporter"),
        pl.when(nginx)
        .then(m.str.extract(r"^\S+ \S+ \[([a-z]+)\]"))
        .when(fpm)
        .then(m.str.extract(r"^(?:\[[^\]]+\] )?([A-Z]+): "))
        .alias("reporter_level"),
        text.alias("plain"),
        context.str.extract_groups(_NGINX_CONTEXT).alias("context"),
    ]  # fmt: skip


def _inner() -> list[pl.Expr]:
    """The PHP messages inside a wrapper, and the text of any other line."""
    text = pl.coalesce("text", "plain")
    wrapped = text.str.extract(_STDERR).str.replace(_STDERR_END, "")
    bare = pl.when(pl.col("plain").str.starts_with("PHP message: ")).then(pl.col("plain"))
    fpm = pl.when(pl.col("reporter") == "php-fpm").then(pl.col("plain").str.replace(r"^[A-Z]+: ", ""))
    return [text.alias("text"), pl.coalesce(wrapped, bare).alias("inner"), fpm.alias("fpm")]


def _gravest() -> list[pl.Expr]:
    """Of several messages in one wrapper, the gravest; ``joined`` keeps them all."""
    several = pl.col("inner").str.contains("; PHP message: ", literal=True)
    each = pl.col("inner").str.replace("PHP message: ", "", literal=True).str.split("; PHP message: ")
    leading = pl.coalesce(
        each.list.eval(
            pl.element().filter(pl.element().str.contains(rf"^PHP [A-Za-z ]*(?:{level})"))
        ).list.first()
        for level in _GRAVITY
    )
    inner = pl.when(several).then(pl.coalesce(leading, each.list.first())).otherwise(each.list.first())
    php = pl.when(pl.col("reporter") == "php").then(pl.col("text"))
    return [
        pl.coalesce(inner, "fpm", php, "text").alias("whole"),
        pl.when(several).then(each.list.join("; PHP message: ")).alias("trace"),
        pl.when(pl.col("inner").is_not_null())
        .then(pl.lit("php"))
        .otherwise(pl.col("reporter"))
        .alias("component"),
    ]


def _columns() -> list[pl.Expr]:
    """The columns of the table, still in groups."""
    whole, m = pl.col("whole"), pl.col("m")
    is_php = pl.col("component") == "php"
    prefix = rf"(?s)^PHP (?P<level>{_LEVELS}):\s+"
    message = whole.str.replace(prefix, "")
    level = pl.when(is_php).then(whole.str.extract(rf"^PHP ({_LEVELS}):\s")).otherwise("reporter_level")
    placed = pl.when(level.is_not_null() & is_php).then(message)
    request = pl.coalesce(
        "request", pl.when(pl.col("reporter") == "php-fpm").then(m.str.extract(r'\(request: "(.*)"\)'))
    )
    return [
        "component", "trace", "upstream", pl.col("client").alias("client_ip"),
        pl.when(is_php).then(message).otherwise(whole).alias("whole"),
        level.alias("level"),
        placed.str.extract_groups(_PLACE).alias("place"),
        whole.str.extract_groups(_MEMORY).struct.rename_fields(["memory_limit_bytes", "memory_wanted_bytes"]).alias("memory"),
        request.str.extract_groups(_REQUEST).alias("asked"),
        pl.when(pl.col("reporter") == "php-fpm").then(m.str.extract(r"script '([^']*)'")).alias("script"),
        pl.when(pl.col("reporter") == "php-fpm").then(m.str.extract(_DURATION)).alias("duration_seconds"),
    ]  # fmt: skip
