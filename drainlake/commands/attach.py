"""``drainlake attach``: credentials for an app, and the command that attaches it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from drainlake import values
from drainlake.dynos import refuse_scratch
from drainlake.errors import WrongUse
from drainlake.options import APP, with_settings

if TYPE_CHECKING:
    from drainlake.settings import Settings


@click.command("attach", epilog="Example: drainlake attach shop --url https://logs.example.com")
@click.argument("app", type=APP)
@click.option("--url", default="https://YOUR-HOST", help="Where Heroku reaches drainlake; the path is /logs.")
@click.option("--retire-older", is_flag=True, help="Make all but APP's newest credentials invalid instead.")
@with_settings
def command(settings: Settings, app: str, url: str, retire_older: bool) -> None:
    """Make credentials for APP and print the command that attaches it.

    Only a hash of the secret is kept. An app may have several secrets at a time. To change one: attach again,
    add the new drain and remove the old one, then retire the older credentials.
    """
    from drainlake.log import log_errors  # noqa: PLC0415 - not for --help
    from ingest.credentials import CredentialStore  # noqa: PLC0415

    refuse_scratch(settings, credentials=True)
    place = split_url(url)
    settings.home.mkdir(parents=True, exist_ok=True)
    store = CredentialStore(settings.log)
    with log_errors(settings):
        if retire_older:
            # No new secret here: it would retire the one the drain uses, and Heroku drops what gets a 401.
            click.echo(f"Older credentials of {app} retired: {store.retire_older(app)}.", err=True)
        else:
            _print_drain(app, store.add(app), *place)


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
        raise WrongUse(f"--url {url} is no address of a receiver.", "--url https://logs.example.com") from None
    return parts.scheme, parts.netloc, parts.path
