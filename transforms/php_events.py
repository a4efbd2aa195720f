"""Joins the continuation lines of PHP events onto their heads, and fills what only those lines say.

Stack traces and slow-log frames come as log lines of their own, often in a later delivery than their head.
The parser marks them (``continues``); here each joins the latest head of the same app and dyno that is not
younger than the line and at most 5 s older, in the order of timestamp, then arrival. Slow-log lines look
for the head of a slow-log block first, others for one that PHP wrote, so that an nginx line in between
takes nothing.

Nothing is lost: a line without a head becomes a row of its own, so rows out + lines joined = rows in. Pure.
"""

from __future__ import annotations

from typing import Final

import polars as pl

HEAD_MAX_AGE: Final = pl.duration(seconds=5)

_SLOW_LINE: Final = r"^(?:script_filename = |\[0x[0-9a-fA-F]+\] |\+\+\+ dump failed)"
_TRACE_LINE: Final = r"^(?:Stack trace:$|#\d+ |  thrown in )"
_SLOW_HEAD: Final = r"^\[pool [^\]]*\] pid \d+$"

_SCRIPT: Final = r"^script_filename = (.+)$"
_FRAME: Final = r"^\[0x[0-9a-fA-F]+\] \S+ (.+):(\d+)$"
_THROWN: Final = r"^  thrown in (.+) on line (\d+)"
_CLOSED_ON_LINE: Final = r"^.* in (.+?) on line (\d+)(?:\"|$)"
_CLOSED_COLON: Final = r"^[^#].* in (\S+):(\d+)$"
# nginx does not escape quotes here, so the end of `request` is the quote that its next label follows.
_WRAPPER: Final = r"\" while .*, client: "
_CLIENT: Final = r", client: ([^,]+)"
_REQUEST: Final = r", request: \"([^ \"]+) (.*?)(?: HTTP/[0-9.]+)?\"(?:, (?:upstream|host|referrer): \"|$)"
_UPSTREAM: Final = r", upstream: \"([^\"]*)\""

_PROCESS: Final = ("app", "dyno")


def join_continuations(rows: pl.DataFrame) -> pl.DataFrame:
    """Join continuation lines onto their heads.

    ``rows`` has the columns of the php table plus ``continues`` (BOOLEAN, NULL means false), in order of
    arrival. Gives the columns of the php table, the rows still in order of arrival.
    """
    numbered = rows.with_row_index("_row").with_columns(pl.col("continues").fill_null(value=False))
    if not numbered["continues"].any():
        return numbered.drop("_row", "continues")
    paired = _pair(numbered)
    joined = paired.filter(pl.col("_head").is_not_null())
    rest = numbered.join(joined, on="_row", how="anti", maintain_order="left").with_columns(
        component=pl.when("continues").then(pl.lit("php")).otherwise("component")
    )
    facts = _facts(joined)
    filled = _fill(rest.join(facts, left_on="_row", right_on="_head", how="left", maintain_order="left"))
    return filled.select(rows.drop("continues").columns)


def days_of_heads(rows: pl.DataFrame, day: pl.Series, entry: str) -> pl.Series:
    """The days that rows go to, from those of their timestamps: where midnight parts lines from their head, the head's.

    Only of heads of the same ``entry`` (a column): what is landed together hangs on chance, an entry stays whole, and
    a row must go to the same day whenever it is landed. Each such line finds that head or a later one there.
    """
    moment = pl.col("timestamp")
    near = (moment - HEAD_MAX_AGE).dt.date() != (moment + HEAD_MAX_AGE).dt.date()
    numbered = rows.with_columns(pl.col("continues").fill_null(value=False)).with_row_index("_row").filter(near)
    if not numbered["continues"].any():
        return day
    paired = _pair(numbered, (entry, *_PROCESS)).filter(pl.col("_head").is_not_null())
    return day.scatter(paired["_row"], day.gather(paired["_head"]))


def _pair(numbered: pl.DataFrame, process: tuple[str, ...] = _PROCESS) -> pl.DataFrame:
    """The continuation lines with `_head`, the row number of their head or NULL, in time order."""
    lines = numbered.filter("continues")["timestamp"]
    near = pl.col("timestamp").is_between(pl.lit(lines.min()) - HEAD_MAX_AGE, pl.lit(lines.max()))
    ordered = numbered.filter(near).sort(*process, "timestamp", "_row")
    slow_line = pl.col("message").str.contains(_SLOW_LINE)
    head = ~pl.col("continues") & ~_is_orphan()
    slow_head = head & (pl.col("component") == "php-fpm") & pl.col("message").str.contains(_SLOW_HEAD)
    php_head = head & (pl.col("component") == "php")
    own_kind = pl.when(slow_line).then(_latest(slow_head, process)).otherwise(_latest(php_head, process))
    found = pl.coalesce(own_kind, _latest(head, process))
    return ordered.with_columns(_head=found).filter("continues").sort("timestamp", "_row")


def _is_orphan() -> pl.Expr:
    # A line that found no head in an earlier landing is a row of the tail by now. It must not become a head
    # for the next line: then the outcome would hang on where one landing ended and the next began.
    shaped = pl.col("message").str.contains(f"{_SLOW_LINE}|{_TRACE_LINE}")
    return (pl.col("component") == "php") & pl.col("level").is_null() & shaped


def _latest(head: pl.Expr, process: tuple[str, ...]) -> pl.Expr:
    """The row number of the latest such head before each row of its process, if at most 5 s before."""
    row = pl.when(head).then("_row").forward_fill().over(process)
    since = pl.when(head).then("timestamp").forward_fill().over(process)
    return pl.when(pl.col("timestamp") - since <= HEAD_MAX_AGE).then(row)


def _facts(joined: pl.DataFrame) -> pl.DataFrame:
    """What the lines of each head say: their text, and the fields that can be read from them."""
    message = pl.col("message")
    wrapper = pl.when(message.str.contains(_WRAPPER)).then(message)
    lines = joined.select(
        "_head",
        "message",
        _script=message.str.extract(_SCRIPT, 1),
        _place=pl.coalesce(_place(_FRAME), _place(_THROWN), _place(_CLOSED_ON_LINE), _place(_CLOSED_COLON)),
        _thrown=_place(_THROWN),
        _method=wrapper.str.extract(_REQUEST, 1),
        _path=wrapper.str.extract(_REQUEST, 2),
        _upstream=wrapper.str.extract(_UPSTREAM, 1),
        _client_ip=wrapper.str.extract(_CLIENT, 1),
    )
    first = [pl.col(name).drop_nulls().first() for name in ("_script", "_place", "_thrown")]
    last = [pl.col(name).drop_nulls().last() for name in ("_method", "_path", "_upstream", "_client_ip")]
    text = message.str.join("\n").alias("_text")
    return lines.group_by("_head", maintain_order=True).agg(text, *first, *last)


def _place(pattern: str) -> pl.Expr:
    """(file, line) as one value, so that a file never meets the line of another place."""
    message = pl.col("message")
    found = pl.struct(
        file=message.str.extract(pattern, 1),
        line=message.str.extract(pattern, 2).cast(pl.Int32, strict=False),
    )
    return pl.when(message.str.contains(pattern)).then(found)


def _fill(heads: pl.DataFrame) -> pl.DataFrame:
    place = pl.coalesce("_thrown", "_place")
    missing = pl.col("file").is_null() & place.is_not_null()
    text = pl.concat_str("trace", "_text", separator="\n", ignore_nulls=True)
    return heads.with_columns(
        file=pl.when(missing).then(place.struct.field("file")).otherwise("file"),
        line=pl.when(missing).then(place.struct.field("line")).otherwise("line"),
        trace=pl.when(pl.col("_text").is_null()).then("trace").otherwise(text),
        **{name: pl.coalesce(name, f"_{name}") for name in ("script", "method", "path", "upstream", "client_ip")},
    )
