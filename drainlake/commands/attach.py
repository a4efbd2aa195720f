"""``drainlake attach``: credentials for an app, and the command that attaches it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import click

from drainlake import values
from drainlake.dynos import refuse_scratch
from drainlake.errors import Failure, WrongUse
from drainlake.options import APP, with_settings
from drainlake.values import Secret

if TYPE_CHECKING:
    from drainlake.settings import Settings


@click.command("attach", epilog="Example: drainlake attach shop --url https://logs.example.com")
@click.argument("app", type=APP)
@click.option("--url", help="Where Heroku reaches drainlake, else DRAINLAKE_URL; the path is /logs.")
@click.option("--apply", "is_applied", is_flag=True, help="Add the drain through Heroku's API, with HEROKU_API_KEY.")
@click.option("--retire-older", is_flag=True, help="Make all but APP's newest credentials invalid instead.")
@with_settings
def command(settings: Settings, app: str, url: str | None, is_applied: bool, retire_older: bool) -> None:
    """Make credentials for APP and print the command that attaches it; or attach it, with --apply.

    Only a hash of the secret is kept, and with --apply nobody sees the secret. An app may have several secrets at a
    time. To change one: `drainlake drains rotate APP`; or by hand: attach again, add the new drain and remove the old
    one, then retire the older credentials.
    """
    from drainlake.log import log_errors  # noqa: PLC0415 - not for --help
    from ingest.credentials import CredentialStore  # noqa: PLC0415

    if is_applied and retire_older:
        raise WrongUse("--apply and --retire-older are two things.", f"drainlake drains rotate {app}")
    refuse_scratch(settings, credentials=True)
    if is_applied:
        _apply(settings, app, url or settings.url)
        return
    if retire_older:
        _retire_older(settings, app)
        return
    place = split_url(url or settings.url or "https://YOUR-HOST")
    settings.home.mkdir(parents=True, exist_ok=True)
    store = CredentialStore(settings.log)
    with log_errors(settings):
        _print_drain(app, store.add(app), *place)


def _retire_older(settings: Settings, app: str) -> None:
    """No new secret here: it would retire the one the drain uses, and Heroku drops what gets a 401."""
    from drainlake.log import log_errors  # noqa: PLC0415 - slow to import
    from ingest.credentials import CredentialStore  # noqa: PLC0415

    store = CredentialStore(settings.log)
    with log_errors(settings):
        if not settings.log.is_file() or not store.dated(app):
            raise Failure(f"{app} has no credentials in {settings.log}.", "the name that was attached, or --home DIR")
        click.echo(f"Older credentials of {app} retired: {store.retire_older(app)}.", err=True)


def _apply(settings: Settings, app: str, url: str | None) -> None:
    """Add a drain, if none works yet. Killed in here: called again, it finds the drain, or adds one."""
    from drainlake.drains.keeping import open_keeping, sole_changer  # noqa: PLC0415 - pyarrow is slow to import

    if url is None:
        raise WrongUse("Where does Heroku reach drainlake?", "--url https://logs.example.com, or DRAINLAKE_URL")
    place = urlunsplit((*split_url(url), "", ""))
    with open_keeping(settings, place) as keeping, sole_changer(settings):
        ours = [each for each in keeping.look(app) if each.is_ours]
        if works := next((each for each in ours if each.is_known), None):
            click.echo(f"{app} is attached already; its drain is {works.drain.token}.", err=True)
            return
        added = keeping.add_drain(app, app, Secret(place))
    click.echo(f"Added drain {added.token} to {app}; lines arrive within seconds of being logged.", err=True)
    for each in ours:
        click.echo(
            f"Its drain {each.drain.token} is refused here: drainlake drains remove {app} {each.drain.token}", err=True
        )


def _print_drain(app: str, secret: str, scheme: str, host: str, path: str) -> None:
    click.echo("Run this where the Heroku command line is logged in; the secret is not shown again:", err=True)
    click.echo(f'heroku drains:add "{scheme}://{app}:{secret}@{host}{path}" --app {app}')
    if scheme == "http":
        click.echo("Note: over plain http the secret and the logs travel readable.", err=True)


def split_url(url: str) -> tuple[str, str, str]:
    """Scheme, host with port, and path (``/logs`` if none) of a drain; raises :class:`WrongUse`."""
    try:
        parts = urlsplit(values.receiver_url(url))
    except ValueError:
        said = values.without_credentials(url)
        raise WrongUse(f"--url {said} is no address of a receiver.", "--url https://logs.example.com") from None
    return parts.scheme, parts.netloc, parts.path
