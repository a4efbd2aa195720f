"""``drainlake import``: old logs into the event log and the lake, each file once however often it comes."""

from __future__ import annotations

import click

from drainlake.commands.import_heroku import command as heroku


@click.group("import", epilog="Example: drainlake import heroku saved.log --app shop")
def command() -> None:
    """Take in old logs; a file that was taken in before adds nothing."""


command.add_command(heroku)
