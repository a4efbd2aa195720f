"""``drainlake mute``: a finding that is known need not be told every day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from drainlake.errors import Failure, WrongUse
from drainlake.options import with_settings
from drainlake.timing import mute_end

if TYPE_CHECKING:
    from drainlake.settings import Settings


@click.command("mute", epilog="Example: drainlake mute 3f2a90c1de --until 7d --why 'fix is on its way'")
@click.argument("finding_id", required=False, metavar="[FINDING_ID]")
@click.option("--until", "until_text", metavar="DATE|7d", help="The first day on which it is told again, or a span.")
@click.option("--why", default="", help="For those who read the list.")
@click.option("--off", is_flag=True, help="Tell it again.")
@with_settings
def command(settings: Settings, finding_id: str | None, until_text: str | None, why: str, off: bool) -> None:
    """Keep a finding quiet until a date; without FINDING_ID, list what is muted.

    The id stands in the report and in each alarm. A muted finding does not ring and is not counted in the verdict.
    A date begins at midnight in DRAINLAKE_TIMEZONE.
    """
    if finding_id is None:
        if until_text or off or why:
            raise WrongUse("Which finding?", "drainlake mute FINDING_ID --until 7d")
        _list(settings)
    elif off:
        _unmute(settings, finding_id)
    elif until_text is None:
        raise WrongUse("Until when?", f"drainlake mute {finding_id} --until 7d")
    else:
        _mute(settings, finding_id, until_text, why)


def _list(settings: Settings) -> None:
    from drainlake.hostile import clean_line  # noqa: PLC0415
    from drainlake.notes import lake_notes  # noqa: PLC0415 - polars is slow to import
    from queries.delivery.mutes import muted  # noqa: PLC0415

    with lake_notes(settings) as notes:
        found = muted(notes, datetime.now(UTC))
    for each in sorted(found.values(), key=lambda mute: mute.until):
        until = each.until.astimezone(settings.timezone)
        click.echo(f"{each.finding_id} until {until:%Y-%m-%d %H:%M %Z} {clean_line(each.why)}".rstrip())
    if not found:
        click.echo("Nothing is muted.", err=True)


def _mute(settings: Settings, finding_id: str, until_text: str, why: str) -> None:
    from drainlake.notes import lake_notes  # noqa: PLC0415 - polars is slow to import
    from queries.delivery.mutes import ID, Mute, mute  # noqa: PLC0415

    if not ID.fullmatch(finding_id):
        raise WrongUse(
            f"{finding_id!r} is no id of a finding.", "the ten digits and letters that stand beside a finding"
        )
    now = datetime.now(UTC)
    try:
        until = mute_end(until_text, now, settings.timezone)
    except ValueError as error:
        raise WrongUse(f"--until {until_text!r}: {error}.", "--until 7d, or --until 2026-12-24") from None
    with lake_notes(settings) as notes:
        mute(notes, Mute(finding_id, until, now, why))
    click.echo(f"{finding_id} is muted until {until.astimezone(settings.timezone):%Y-%m-%d %H:%M %Z}.", err=True)


def _unmute(settings: Settings, finding_id: str) -> None:
    from drainlake.notes import lake_notes  # noqa: PLC0415 - polars is slow to import
    from queries.delivery.mutes import unmute  # noqa: PLC0415

    with lake_notes(settings) as notes:
        if not unmute(notes, finding_id):
            raise Failure(f"{finding_id} was not muted.", "drainlake mute, for the list")
    click.echo(f"{finding_id} is told again.", err=True)
