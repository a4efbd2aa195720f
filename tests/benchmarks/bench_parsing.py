"""Parsing: body bytes to tables, against the plain formulation with polars and regular expressions.

    python -m tests.benchmarks.bench_parsing [lines]

The baseline cuts frames in a loop and reads the router's fields with one expression each; it does less than the
parser (no other table, no redaction, no checks).
"""

from __future__ import annotations

import sys

import polars as pl

from ingest.parsing import Body, parse
from tests.benchmarks import measure, mix

ROUNDS = 5
FIELDS = {
    "level": r"^at=(\w+)", "code": r" code=(\w+)", "method": r" method=(\w+)", "path": r' path="([^"]*)"',
    "host": r" host=(\S+)", "request_id": r" request_id=(\S+)", "fwd": r' fwd="([^"]*)"', "dyno": r" dyno=(\S+)",
    "connect_ms": r" connect=(\d+)", "service_ms": r" service=(\d+)", "status": r" status=(\d+)",
    "bytes": r" bytes=(\d+)", "protocol": r" protocol=(\S+)",
}  # fmt: skip
HEADER = r"^<\d+>1 (\S+) \S+ (\S+) (\S+) - "


def baseline(bodies: list[bytes]) -> int:
    """Rows of the router table, by the plain formulation."""
    frames = []
    for body in bodies:
        place = 0
        while place < len(body):
            blank = body.index(b" ", place)
            end = blank + 1 + int(body[place:blank])
            frames.append(body[blank + 1 : end].decode())
            place = end
    lines = pl.DataFrame({"frame": frames})
    header = lines.with_columns(pl.col("frame").str.extract_groups(HEADER).alias("header")).unnest("header")
    router = header.filter((pl.col("2") == "heroku") & (pl.col("3") == "router"))
    message = pl.col("frame").str.replace(HEADER, "")
    table = router.select(
        pl.col("1").str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z"),
        *[message.str.extract(expression).alias(name) for name, expression in FIELDS.items()],
    ).with_columns(pl.col("connect_ms", "service_ms", "status", "bytes").cast(pl.Int64))
    return len(table)


def columnar(bodies: list[bytes]) -> int:
    """Rows of the router table, by the parser."""
    return int(parse([Body("shop", body) for body in bodies], 0).tables["router"].num_rows)


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
        ("polars regex, 1 MB", megabytes, baseline),
        ("drainlake, 1 MB", megabytes, columnar),
        ("drainlake, 40 x 25 KB", grouped, columnar),
        ("drainlake, 25 KB alone", [[body] for body in small], columnar),
    ):
        assert sum(work(batch) for batch in batches) == routed, name
        seconds = measure.best_of(ROUNDS, lambda b=batches, w=work: [w(batch) for batch in b] and None)
        results.append(measure.Result(name, lines, octets, seconds))
    measure.report(results, "polars regex, 1 MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40_000)
