"""What a million lines a second and a petabyte would take: docs/scale.md's table, from measured rates and list prices.

    python -m tests.benchmarks.scale [--write]

Rates come from ``recorded.json`` where a bench has recorded them under the name given here, else they are those of the
date beside them. ``--write`` renews the page; ``python -m tests.benchmarks --record`` does so, too.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from drainlake.documents.benchmarks import RECORDED

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE: Final = Path(__file__).parents[2] / "docs/scale.md"
BEGIN, END = "<!-- begin scale -->\n", "<!-- end scale -->"

LINES_A_SECOND: Final = 1_000_000
PETABYTE: Final = 1e15
HEADROOM: Final = 2  # half of each machine stays free: for peaks, and for when one of them is gone
REPLICAS: Final = 3
LOG_DAYS: Final = 7
FILE_ROWS: Final = 250_000
LAND_SECONDS: Final = 30
TABLES: Final = 8
FOOTER_BYTES: Final = 45_000
LISTED_AT_ONCE: Final = 1_000
DAY: Final = 86_400
MONTH_HOURS: Final = 730

MACHINE_CPUS, MACHINE_DOLLARS_AN_HOUR = 2, 0.0816  # m7g.large
BALANCER_DOLLARS_AN_HOUR, BALANCER_DOLLARS_A_GB = 0.0225, 0.006
DISK_DOLLARS_A_GB, DISK_BYTES_A_SECOND = 0.08, 131e6  # gp3, its 125 MiB/s included
STORE_DOLLARS_A_GB, PUT_DOLLARS, GET_DOLLARS = 0.023, 0.005e-3, 0.0004e-3


class Rate(NamedTuple):
    """A measured rate: the name a bench records it by, and its value and date where none has."""

    name: str
    unit: str
    value: float
    measured: str


RATES: Final = {
    "R": Rate("kafka, receiver, Kafka", "lines/CPU-s", 85_000, "2026-11-24"),
    "D": Rate("kafka, lander, Kafka", "lines/CPU-s", 180_000, "2026-11-24"),
    "S": Rate("questions, scan", "rows/CPU-s", 15_200_000, "2026-11-26"),
    "W": Rate("size, a line on the wire", "bytes/line", 286.1, "2026-11-26"),
    "E": Rate("size, a line in the event log", "bytes/line", 52.7, "2026-11-26"),
    "K": Rate("size, a line in the lake", "bytes/line", 23.3, "2026-11-26"),
}


class Step(NamedTuple):
    """A line of the calculation."""

    what: str
    formula: str
    figure: str


def measured(kept: Mapping[str, Any]) -> dict[str, Rate]:
    """The rates, recorded ones where there are any."""
    found = {
        measure["name"]: (median(measure["values"]), entry["date"])
        for entry in kept.get("full", {}).values()
        for measure in entry["measures"]
    }
    return {letter: rate._replace(**_newer(found.get(rate.name))) for letter, rate in RATES.items()}


def _newer(found: tuple[float, str] | None) -> dict[str, Any]:
    return {} if found is None else {"value": found[0], "measured": found[1]}


def arriving(rates: Mapping[str, float]) -> list[Step]:
    """From the wire to the landers, with their dollars a month."""
    wire, logged = LINES_A_SECOND * rates["W"], LINES_A_SECOND * rates["E"] * REPLICAS
    receivers, landers = (_machines(LINES_A_SECOND / rates[letter]) for letter in "RD")
    brokers = max(REPLICAS, math.ceil(logged * HEADROOM / DISK_BYTES_A_SECOND))
    kept_gb = logged * DAY * LOG_DAYS / 1e9
    balancer = MONTH_HOURS * (BALANCER_DOLLARS_AN_HOUR + wire * 3600 / 1e9 * BALANCER_DOLLARS_A_GB)
    return [
        Step("bodies arriving", "L x W", f"{wire / 1e6:,.0f} MB/s"),
        Step("load balancer", "hours x ($0.0225 + GB an hour x $0.006)", f"${balancer:,.0f} a month"),
        Step("CPUs of receivers", "2 x L / R", f"{_cpus(LINES_A_SECOND / rates['R'])}"),
        Step("machines of 2 CPUs for them", "x hours x $0.0816", _priced(receivers)),
        Step("written by Kafka", "L x E x 3 replicas", f"{logged / 1e6:,.0f} MB/s"),
        Step("brokers", "2 x written / 131 MB/s of a disk, at least 3", _priced(brokers)),
        Step(
            "their disks",
            "written x 7 days x $0.08",
            f"{kept_gb / 1e3:,.0f} TB, ${kept_gb * DISK_DOLLARS_A_GB:,.0f} a month",
        ),
        Step("CPUs of landers, so at least as many partitions", "2 x L / D", f"{_cpus(LINES_A_SECOND / rates['D'])}"),
        Step("machines of 2 CPUs for them", "x hours x $0.0816", _priced(landers)),
    ]


def keeping(rates: Mapping[str, float]) -> list[Step]:
    """The lake: what a day adds, how long a petabyte takes, what it costs."""
    a_day = LINES_A_SECOND * DAY * rates["K"]
    files = LINES_A_SECOND * DAY // FILE_ROWS
    tails = _cpus(LINES_A_SECOND / rates["D"]) * TABLES * DAY // LAND_SECONDS
    puts = (files + tails) * 30 * PUT_DOLLARS
    days = PETABYTE / a_day
    return [
        Step("the lake grows", "L x 86,400 x K", f"{a_day / 1e12:.1f} TB a day"),
        Step(
            "a petabyte is",
            "10^15 / that; 10^15 / K",
            f"{days:,.0f} days, {PETABYTE / rates['K'] / 1e12:,.0f} x 10^12 lines",
        ),
        Step("a petabyte on S3", "10^6 GB x $0.023", f"${PETABYTE / 1e9 * STORE_DOLLARS_A_GB:,.0f} a month"),
        Step("full files a day", "L x 86,400 / 250,000", f"{files:,}"),
        Step("tails written a day", "partitions x 8 tables x 2,880 landings", f"{tails:,}"),
        Step("PUTs", "30 x (files + tails) x $0.005 / 1,000", f"${puts:,.0f} a month"),
        Step("files of a petabyte", "files a day x days", f"{files * days / 1e6:,.0f} million"),
    ]


def asking(rates: Mapping[str, float]) -> list[Step]:
    """A question of one day over all apps, as the lake lies now."""
    files = LINES_A_SECOND * DAY // FILE_ROWS
    cpu_seconds = LINES_A_SECOND * DAY / rates["S"]
    gets = 2 * files * GET_DOLLARS
    return [
        Step("LIST requests, one after the other", "files a day / 1,000", f"{math.ceil(files / LISTED_AT_ONCE):,}"),
        Step("footers to read first", "files a day x 45 KB", f"{files * FOOTER_BYTES / 1e9:,.1f} GB"),
        Step("GETs, a footer and a piece of each file", "2 x files x $0.0004 / 1,000", f"${gets:.2f}"),
        Step("CPU time of the scan", "L x 86,400 / S", f"{cpu_seconds:,.0f} s"),
        Step("the same on 192 CPUs", "/ 192", f"{cpu_seconds / 192:,.0f} s"),
    ]


def _cpus(busy: float) -> int:
    return math.ceil(busy * HEADROOM)


def _machines(busy: float) -> int:
    return math.ceil(_cpus(busy) / MACHINE_CPUS)


def _priced(machines: int) -> str:
    return f"{machines}, ${machines * MACHINE_DOLLARS_AN_HOUR * MONTH_HOURS:,.0f} a month"


def table(kept: Mapping[str, Any]) -> str:
    """The page's block: the rates, then the calculation."""
    rates = measured(kept)
    values = {letter: rate.value for letter, rate in rates.items()}
    lines = ["| | measured rate | | on |", "|---|---|---:|---|"]
    for letter, rate in rates.items():
        figure = f"{rate.value:,.0f}" if rate.value >= 1000 else f"{rate.value:.1f}"
        lines.append(f"| {letter} | {rate.name} | {figure} {rate.unit} | {rate.measured} |")
    lines += ["", "| what | formula | figure |", "|---|---|---:|"]
    for step in (*arriving(values), *keeping(values), *asking(values)):
        lines.append(f"| {step.what} | {step.formula} | {step.figure} |")
    return "\n".join(lines) + "\n"


def renew(kept: Mapping[str, Any]) -> None:
    """Put the table into the page."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{table(kept)}{END}{rest.partition(END)[2]}", "utf-8")


def main() -> None:
    """Print the table, or write it into the page."""
    kept = json.loads(RECORDED.read_text("utf-8")) if RECORDED.exists() else {}
    if "--write" in sys.argv:
        renew(kept)
    else:
        sys.stdout.write(table(kept))


if __name__ == "__main__":
    main()
