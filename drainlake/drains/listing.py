"""The list of drains: which apps are looked at, and what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click
import pyarrow as pa

from drainlake.drains.platform_api import APPS_MAX, AppUnknown
from drainlake.drains.states import ATTACHED, DOUBLED, MISSING, NO_APP, SILENT, TROUBLES, UNKNOWN, Row, judge
from drainlake.errors import Failure
from drainlake.progress import progress

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from drainlake.drains.keeping import Keeping
    from drainlake.drains.states import Attached
    from drainlake.drains.traffic import Traffic

SCHEMA: Final = pa.schema(
    [
        ("app", pa.string()),
        ("drain", pa.string()),
        ("host", pa.string()),
        ("state", pa.string()),
        ("since", pa.timestamp("us", "UTC")),
        ("last_delivery", pa.timestamp("us", "UTC")),
    ]
)
_REMEDIES: Final = {
    UNKNOWN: "drainlake drains remove {app} {drain}, then drainlake attach {app} --apply",
    MISSING: "drainlake attach {app} --apply, or drainlake drains remove {app} if it shall not be attached",
    NO_APP: "HEROKU_API_KEY of someone who sees {app}, or drainlake drains remove {app} if it is gone",
    DOUBLED: "drainlake drains rotate {app}, which leaves one drain",
    SILENT: "drainlake status on the receiver's host, and heroku logs --app {app}: does the app log anything?",
}


def apps_of(keeping: Keeping, named: Collection[str], *, all_apps: bool) -> list[str]:
    """The apps to look at: those named, else those with credentials here; with ``all_apps`` all that the token sees."""
    apps = set(named)
    if all_apps or not named:
        apps |= set(keeping.known())
    if all_apps:
        found, is_all = keeping.api.apps()
        apps |= set(found)
        if not is_all:
            click.echo(f"Note: the token sees more than {APPS_MAX} apps; the rest was not looked at.", err=True)
    return sorted(apps)


def list_drains(keeping: Keeping, traffic: Traffic | None, apps: Iterable[str], silent_before: datetime) -> list[Row]:
    """The rows of all apps."""
    known = keeping.known()

    def last(each: Attached, is_only: bool) -> datetime | None:
        assert traffic is not None
        # Before 0.5 the ledger did not say which drain it was; with one drain only it can have been no other.
        found = traffic.last_of(each.drain.token)
        return found or (traffic.last_untold(each.target.user) if is_only else None)

    rows: list[Row] = []
    names: set[str] = set()  # that working drains go by, whatever Heroku calls their apps
    wanted = list(apps)
    with progress("Asking Heroku", len(wanted)) as show:
        for number, app in enumerate(wanted, 1):
            try:
                attached = keeping.look(app)
            except AppUnknown:
                rows.append(Row(app, None, None, NO_APP))
            else:
                names |= {each.target.user for each in attached if each.is_ours and each.is_known}
                rows += judge(
                    app,
                    attached,
                    last if traffic is not None else None,
                    is_expected=app in known,
                    silent_before=silent_before,
                )
            show(number)
    return [row for row in rows if row.state != NO_APP or row.app not in names]


def as_table(rows: list[Row]) -> pa.Table:
    """The rows as columns."""
    return pa.Table.from_pylist([{name: getattr(row, name) for name in SCHEMA.names} for row in rows], schema=SCHEMA)


def raise_if_troubled(rows: list[Row]) -> None:
    """Raise :class:`Failure` for the worst trouble, naming all apps that have any."""
    troubled = [row for row in rows if row.state in TROUBLES]
    if not troubled:
        good = sum(row.state == ATTACHED for row in rows)
        click.echo(f"All is well: {good} attached.", err=True)
        return
    said = dict.fromkeys(f"{row.app} ({row.state})" for row in troubled)
    worst = min(troubled, key=lambda row: TROUBLES.index(row.state))
    remedy = _REMEDIES[worst.state].format(app=worst.app, drain=worst.drain)
    raise Failure(f"Not all is well: {', '.join(said)}.", remedy)
