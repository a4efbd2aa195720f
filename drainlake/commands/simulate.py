"""``drainlake simulate``: the stand-in for Logplex."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drainlake.errors import Failure, WrongUse
from drainlake.options import DAY_LINES, SEED, Parsed, rows_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drainlake.output import Output
    from ingest.simulator.framing import Delivery
    from ingest.simulator.ledger import Ledger
    from ingest.simulator.logplex import Drain

_EXISTING = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(
    "simulate",
    epilog="Example: drainlake simulate --to http://shop:SECRET@127.0.0.1:8080/logs --lines 100000",
)
@click.option("--to", required=True, metavar="URL|FILE", help="Drain URL with credentials, or a file to write.")
@click.option(
    "--from",
    "source",
    type=_EXISTING,
    help="Saved `heroku logs` output, or deliveries as --to FILE writes them (also .gz), instead of the day.",
)
@click.option("--lines", type=DAY_LINES, default=1_000_000, show_default=True, help="Lines of the simulated day.")
@click.option("--seed", type=SEED, default=1, show_default=True, help="The same seed gives the same day.")
@click.option("--day", type=Parsed("date", date.fromisoformat), help="Date of the day, in UTC; else yesterday.")
@click.option("--repeat-share", default=0.0, help="Share of deliveries sent twice, an L10 in front (0 to 1).")
@click.option("--drop-share", default=0.0, help="Share of deliveries that lose lines, told by an L10 (0 to 1).")
@click.option("--ca-file", type=_EXISTING, help="Check the server's certificate against this authority.")
@rows_out
def command(to: str, source: Path | None, output: Output, **given: Any) -> None:
    """Send deliveries as Heroku does: a simulated day of a PHP shop, or saved ones.

    One delivery is in flight at a time, of about 100 KB, with Logplex's headers, three tries and its losses.
    Prints the account of what was sent and what became of it.
    """
    if source is not None and "://" not in to and Path(to).exists() and source.samefile(to):
        raise WrongUse(f"--to {to} would write over what --from reads.", "another file for --to")
    deliveries = saved(source) if source is not None else _day(given)
    drain = _drain(to, given)
    started = datetime.now(UTC)
    ledger = send(drain, deliveries, None if source is not None else given["lines"])
    seconds = (datetime.now(UTC) - started).total_seconds()
    output.write(_account(ledger, seconds).to_reader())
    refuse_losses(ledger)


def send(drain: Drain, deliveries: Iterator[Delivery], lines: int | None) -> Ledger:
    """Send all, with progress on a terminal; raises :class:`Failure` when that cannot be done."""
    from drainlake.progress import progress  # noqa: PLC0415
    from ingest.saved_logs import SavedLogError  # noqa: PLC0415
    from ingest.simulator.logplex import UnreachableError  # noqa: PLC0415

    try:
        with progress("lines sent", lines) as show:
            return drain.replay(deliveries, lambda ledger: show(ledger.messages))
    except UnreachableError as error:
        raise Failure(f"The target cannot be reached: {error}.", "drainlake up, then the same again") from None
    except SavedLogError as error:
        raise Failure(f"{error}.", "another file") from None
    finally:
        drain.close()


def saved(path: Path) -> Iterator[Delivery]:
    """A saved log as deliveries, or saved deliveries; the same file gives the same Frame-Ids."""
    from ingest.saved_logs import bodies  # noqa: PLC0415
    from ingest.simulator.delivery_file import deliveries, holds_deliveries  # noqa: PLC0415
    from ingest.simulator.framing import Delivery, frame_ids  # noqa: PLC0415

    if holds_deliveries(path):
        yield from deliveries(path)
        return
    for frame_id, body in zip(frame_ids(path.name), bodies(path), strict=False):
        if body.body:
            yield Delivery(frame_id, body.lines, body.body)


def _day(given: dict[str, Any]) -> Iterator[Delivery]:
    from ingest.simulator.shop import ShopDay  # noqa: PLC0415 - numpy is slow to import

    day = given["day"] or (datetime.now(UTC) - timedelta(days=1)).date()
    return ShopDay(given["seed"], day, given["lines"]).deliveries()


def _drain(to: str, given: dict[str, Any]) -> Drain:
    from ingest.simulator.logplex import Drain, Faults  # noqa: PLC0415
    from ingest.simulator.targets import target  # noqa: PLC0415

    ca_file = given["ca_file"]
    try:
        faults = Faults(given["seed"], given["repeat_share"], drop_share=given["drop_share"])
        return Drain(target(to, verify=ca_file is not None, ca_file=ca_file), faults)
    except ValueError as error:
        raise WrongUse(f"{error}.", "drainlake simulate --help") from None


def _account(ledger: Ledger, seconds: float) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    times = ledger.reply_times
    row = {
        "deliveries": ledger.deliveries,
        "lines": ledger.messages,
        "acknowledged": ledger.messages_acknowledged,
        "dropped": ledger.messages_dropped,
        "overflowed": ledger.overflowed,
        "repeated": ledger.messages_repeated,
        "octets": ledger.bytes_acknowledged,
        "seconds": seconds,
        "reply_p50_ms": times.p50_ms,
        "reply_p99_ms": times.p99_ms,
        "reply_max_ms": times.max_ms,
    }
    return pa.table({name: [value] for name, value in row.items()})


def refuse_losses(ledger: Ledger) -> None:
    """Raise :class:`Failure` when the receiver did not take everything."""
    if ledger.messages_dropped:
        reasons = ", ".join(f"{count} lines: {outcome}" for outcome, count in ledger.dropped.most_common())
        remedy = "drainlake attach APP for credentials" if "401" in ledger.dropped else "drainlake status"
        raise Failure(f"The receiver did not take {ledger.messages_dropped} lines ({reasons}).", remedy)
