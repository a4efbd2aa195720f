"""Parsing: body bytes to tables, against the plain formulation with polars and regular expressions.

    python -m tests.benchmarks.bench_parsing [lines]

The baseline cuts frames in a loop and reads the fields of each table with one expression each, as one would at first.
It does less than the parser: no redaction, no units, no forged or odd lines, no defects, no check of any time.
"""

from __future__ import annotations

import sys
from unittest import mock

import polars as pl

from ingest import scanner
from ingest.parsing import Body, parse
from tests.benchmarks import measure, mix

ROUNDS = 5
BASELINE = "polars regex, 1 MB"
REACH = {  # lines per CPU-second, and how many times the baseline
    "drainlake, 1 MB": (400_000, 3.0),
    "drainlake, 25 KB alone": (200_000, None),
}
ROUTER = {
    "level": r"^at=(\w+)", "code": r" code=(\w+)", "description": r' desc="([^"]*)"', "method": r" method=(\w+)",
    "path": r' path="([^"]*)"', "host": r" host=(\S+)", "request_id": r" request_id=(\S+)", "fwd": r' fwd="([^"]*)"',
    "dyno": r" dyno=(\S+)", "connect_ms": r" connect=(\d+)", "service_ms": r" service=(\d+)",
    "status": r" status=(\d+)", "bytes": r" bytes=(\d+)", "protocol": r" protocol=(\S+)",
    "tls_version": r" tls_version=(\S+)",
}  # fmt: skip
ROUTER_INTEGERS = ["connect_ms", "service_ms", "status", "bytes"]
ACCESS_LINE = r"^\S+ \S+ \S+ \[\d\d/\w{3}/\d{4}:"
ACCESS = {
    "client_ip": r"^(\S+)", "logged_at": r"\[([^\]]+)\]", "method": r'"(\S+) ', "path": r'"\S+ (\S+) ',
    "protocol": r'"\S+ \S+ ([^"]+)"', "status": r'" (\d{3}) ', "bytes": r'" \d{3} (\d+)',
    "referrer": r'" \d{3} \S+ "([^"]*)"', "user_agent": r'" \d{3} \S+ "[^"]*" "([^"]*)',
}  # fmt: skip
PHP_LINE = r"^\[\d\d-\w{3}-\d{4} [^\]]+\] PHP "
PHP = {
    "level": r"\] PHP ([^:]+):", "message": r"\] PHP [^:]+:  (.*) in ", "file": r" in (\S+) on line",
    "line": r" on line (\d+)", "limit": r"memory size of (\d+)", "wanted": r"allocate (\d+) bytes",
}  # fmt: skip
SAMPLE = {"metric": r"sample#([^=]+)=", "value": r"=(-?[\d.]+)", "unit": r"=-?[\d.]+(\w+)"}
HEADER = r"^<\d+>1 (\S+) \S+ (\S+) (\S+) - "


def baseline(bodies: list[bytes]) -> int:
    """Rows of the router table, by the plain formulation; the other tables are made too."""
    frames = []
    for body in bodies:
        place = 0
        while place < len(body):
            blank = body.index(b" ", place)
            end = blank + 1 + int(body[place:blank])
            frames.append(body[blank + 1 : end].decode())
            place = end
    lines = pl.DataFrame({"frame": frames})
    header = pl.col("frame").str.extract_groups(HEADER).struct.rename_fields(["at", "source", "process"])
    lines = lines.with_columns(header.alias("header"), pl.col("frame").str.replace(HEADER, "").alias("m")).unnest(
        "header"
    )
    lines = lines.with_columns(pl.col("at").str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z"))
    of_router = (pl.col("source") == "heroku") & (pl.col("process") == "router")
    router = lines.filter(of_router).select("at", *_extract(ROUTER)).with_columns(_integers(ROUTER_INTEGERS))
    rest = lines.filter(~of_router)
    rest.filter(pl.col("m").str.contains(ACCESS_LINE)).select("at", *_extract(ACCESS)).with_columns(
        _integers(["status", "bytes"]), pl.col("logged_at").str.to_datetime("%d/%b/%Y:%H:%M:%S %z")
    )
    rest.filter(pl.col("m").str.contains(PHP_LINE)).select("at", *_extract(PHP))
    measures = rest.filter(pl.col("m").str.contains("sample#", literal=True))
    words = measures.select("at", pl.col("m").str.extract_all(r"sample#\S+")).explode("m", empty_as_null=False)
    words.select("at", *_extract(SAMPLE)).with_columns(pl.col("value").cast(pl.Float64))
    return len(router)


def _extract(fields: dict[str, str]) -> list[pl.Expr]:
    return [pl.col("m").str.extract(expression).alias(name) for name, expression in fields.items()]


def _integers(names: list[str]) -> pl.Expr:
    return pl.col(names).cast(pl.Int64, strict=False)


def parsed(bodies: list[bytes]) -> int:
    """Rows of the router table, by the parser."""
    return int(parse([Body("shop", body) for body in bodies], 0).tables["router"].num_rows)


def by_column(bodies: list[bytes]) -> int:
    """The same where nothing was compiled."""
    with mock.patch.object(scanner, "load", return_value=None):
        return parsed(bodies)


def main(lines: int) -> None:
    """Measure both on 1 MB batches, and the parser on batches of 25 KB deliveries and on single ones."""
    measure.like_the_receiver()
    framed = mix.frames(lines)
    octets = sum(map(len, framed))
    megabytes = [[body] for body in mix.deliveries(framed, 1_000_000)]
    small = mix.deliveries(framed, 25_000)
    grouped = [small[at : at + 40] for at in range(0, len(small), 40)]
    routed = sum(b" heroku router - " in frame for frame in framed)
    results = []
    for name, batches, work in (
        (BASELINE, megabytes, baseline),
        ("by column, 1 MB", megabytes, by_column),
        ("drainlake, 1 MB", megabytes, parsed),
        ("drainlake, 40 x 25 KB", grouped, parsed),
        ("drainlake, 25 KB alone", [[body] for body in small], parsed),
    ):
        assert sum(work(batch) for batch in batches) == routed, name
        seconds = measure.best_of(ROUNDS, lambda b=batches, w=work: [w(batch) for batch in b] and None)
        results.append(measure.Result(name, lines, octets, seconds))
    measure.report(results, BASELINE)
    base = results[0].lines_per_second
    for result in results[1:]:
        reach, reach_ratio = REACH.get(result.name, (None, None))
        measure.record(
            f"parsing, {result.name.removeprefix('drainlake, ')}", result.lines_per_second, "lines/CPU-s",
            baseline=base, reach=reach, reach_ratio=reach_ratio,
        )  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40_000)
