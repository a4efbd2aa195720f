"""``drainlake drains``: what is attached, silent or elsewhere; changing secrets; taking drains off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from drainlake.errors import Failure
from drainlake.options import APP, MOMENT, load_settings, rows_out, with_settings

if TYPE_CHECKING:
    from datetime import datetime

    from drainlake.output import Output
    from drainlake.settings import Settings


WAIT_SECONDS: Final = 300.0


@click.group(
    "drains",
    invoke_without_command=True,
    epilog="Example: drainlake drains --format json; drainlake drains rotate shop",
)
@click.option("--app", "apps", type=APP, multiple=True, help="Only this app; may be repeated.")
@click.option("--all", "all_apps", is_flag=True, help="Also all other apps that the token sees.")
@click.option(
    "--silent-after",
    "silent_before",
    type=MOMENT,
    default="1h",
    show_default=True,
    help="How long a drain may deliver nothing.",
)
@rows_out
@click.pass_context
def command(ctx: click.Context, apps: tuple[str, ...], all_apps: bool, silent_before: datetime, output: Output) -> None:
    """List the drains of the apps that have credentials here; the exit code is 1 when not all is well.

    \b
    attached              delivers
    new                   just added, has not delivered yet
    silent                has delivered nothing for an hour (--silent-after)
    doubled               one of several that deliver here: each line is kept twice
    unknown credentials   points here and is answered 401: Heroku drops all it has
    missing               the app has credentials here and no drain that points here
    no app                Heroku does not know the app, or the token may not see it
    elsewhere             points to another host or path than DRAINLAKE_URL; that is fine

    It needs HEROKU_API_KEY. Whether a drain is silent can be seen where the log or the lake is.
    """
    if ctx.invoked_subcommand is not None:
        return
    from drainlake.drains.keeping import open_keeping  # noqa: PLC0415 - pyarrow is slow to import
    from drainlake.drains.listing import apps_of, as_table, list_drains, raise_if_troubled  # noqa: PLC0415
    from drainlake.drains.traffic import open_traffic  # noqa: PLC0415

    settings = load_settings(ctx)
    with open_keeping(settings) as keeping, open_traffic(settings) as traffic:
        if keeping.receiver is None:
            click.echo("Note: DRAINLAKE_URL is not set; drains are told by their credentials alone.", err=True)
        if traffic is None:
            click.echo("Note: neither log nor lake is here; which drain is silent is not known.", err=True)
        rows = list_drains(keeping, traffic, apps_of(keeping, apps, all_apps=all_apps), silent_before)
    output.write(as_table(rows).to_reader())
    raise_if_troubled(rows)


@command.command("rotate", epilog="Example: drainlake drains rotate shop")
@click.argument("app", type=APP)
@click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(1, 86_400),
    default=WAIT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a delivery.",
)
@with_settings
def rotate(settings: Settings, app: str, wait_seconds: float) -> None:
    """Change the secret of APP's drain without losing a line.

    Adds a drain with a new secret beside the old one, waits until it has delivered, removes the old drain, waits until
    nothing comes over it any more, and retires the old secret. It may be stopped or killed at any moment: called again,
    it goes on. Lines of the seconds in which both drains are there are kept twice. Run it where the receiver's home is;
    where DRAINLAKE_DRAINS names APP, put the new secret behind the old one there first.
    """
    from drainlake.drains.keeping import open_keeping, sole_changer  # noqa: PLC0415 - pyarrow is slow to import
    from drainlake.drains.rotation import Rotation  # noqa: PLC0415
    from drainlake.drains.traffic import Traffic  # noqa: PLC0415
    from drainlake.log import open_log  # noqa: PLC0415

    with open_keeping(settings) as keeping, sole_changer(settings), open_log(settings) as log:
        Rotation(keeping, Traffic(settings, log), app, wait_seconds).rotate()


@command.command("remove", epilog="Example: drainlake drains remove shop")
@click.argument("app", type=APP)
@click.argument("drain", required=False)
@with_settings
def remove(settings: Settings, app: str, drain: str | None) -> None:
    """Remove the drains of APP that point here, then forget its credentials.

    With DRAIN (its d.… name) only this one, and the credentials stay.
    """
    from drainlake.drains.keeping import open_keeping, sole_changer  # noqa: PLC0415 - pyarrow is slow to import
    from drainlake.drains.rotation import Rotation  # noqa: PLC0415
    from drainlake.drains.traffic import Traffic  # noqa: PLC0415
    from drainlake.log import open_log  # noqa: PLC0415

    with open_keeping(settings) as keeping, sole_changer(settings):
        if drain is None:
            with open_log(settings) as log:
                Rotation(keeping, Traffic(settings, log), app, WAIT_SECONDS).detach()
            return
        found = next((each for each in keeping.look(app) if each.drain.token == drain), None)
        if found is None:
            raise Failure(f"{app} has no drain {drain}.", f"drainlake drains --app {app}")
        if not found.is_ours:
            raise Failure(f"{drain} of {app} does not point here.", f"heroku drains:remove {drain} --app {app}")
        keeping.api.remove_drain(app, found.drain.id)
        click.echo(f"Removed drain {drain} from {app}.", err=True)
