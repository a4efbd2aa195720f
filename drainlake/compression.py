"""``--assets`` and ``--probe`` of ``drainlake query uncompressed_assets``: what settles its evidence.

The question is asked first with the names and sizes of the site's files; those that its paths match are compressed, and
of its paths the first are asked for at the site. What was found goes into the question as parameters, so that it
judges alike whoever asks, and from wherever.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from drainlake import site_files
from drainlake.errors import WrongUse
from drainlake.options import Parsed
from drainlake.progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drainlake.probing import Site

QUESTION: Final = "uncompressed_assets"
PATHS_MAX: Final = 50


def _site(text: str) -> Site:
    from drainlake.probing import Site  # noqa: PLC0415 - brings http and ssl, which no other question needs

    return Site.parse(text)


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The two options, for the command that asks questions."""
    assets = click.option(
        "--assets",
        metavar="DIR",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        help=f"{QUESTION}: compress the site's files in this folder for exact savings.",
    )
    probe = click.option(
        "--probe",
        metavar="URL",
        type=Parsed("site", _site),
        help=f"{QUESTION}: ask this site itself for the first {PATHS_MAX} paths, such as https://shop.example.com.",
    )
    return assets(probe(function))


def refuse_elsewhere(name: str | None, given: dict[str, Any]) -> None:
    """Raise :class:`WrongUse` when the options were given with another question than theirs."""
    for option in ("assets", "probe"):
        if given[option] is not None and name != QUESTION:
            raise WrongUse(f"--{option} belongs to the question {QUESTION}.", f"drainlake query {QUESTION}")


def parameters(
    ask: Callable[[dict[str, str]], Sequence[tuple[str, str, str | None]]],
    assets: Path | None,
    site: Site | None,
) -> dict[str, str]:
    """The question's parameters that hold what the site's files and the site itself tell.

    ``ask`` gives (app, path, file) of the question's rows in its order; it takes further parameters. Raises
    :class:`WrongUse` when a site is to be asked about the paths of several apps.
    """
    if assets is None and site is None:
        return {}
    files = _names(assets) if assets is not None else []
    rows = ask({"site_files": json.dumps(files)})
    found = {}
    if assets is not None:
        found["site_files"] = _measured(assets, files, {file for _, _, file in rows if file is not None})
    if site is not None:
        found["probed"] = _answers(site, rows)
    return found


def _names(folder: Path) -> list[dict[str, Any]]:
    files = list(itertools.islice(site_files.files(folder), site_files.FILES_MAX + 1))
    if len(files) > site_files.FILES_MAX:
        click.echo(f"Note: of {folder} the first {site_files.FILES_MAX:,} files were looked at.", err=True)
    return files[: site_files.FILES_MAX]


def _measured(folder: Path, files: list[dict[str, Any]], wanted: set[str]) -> str:
    matched = [file for file in files if file["path"] in wanted]
    measured = site_files.compressed(folder, matched)
    click.echo(f"Compressed {len(measured)} of {len(matched)} files that paths match, in {folder}.", err=True)
    return json.dumps(measured)


def _answers(site: Site, rows: Sequence[tuple[str, str, str | None]]) -> str:
    from drainlake.probing import ask_all  # noqa: PLC0415

    apps = sorted({app for app, _, _ in rows})
    if len(apps) > 1:
        raise WrongUse(f"The paths are of {len(apps)} apps, and a site is of one.", f"--app {apps[0]}")
    paths = [path for _, path, _ in rows if path.startswith("/")][:PATHS_MAX]
    with progress(f"paths of {site.host}", len(paths)) as show:
        answers = list(ask_all(site, paths, show))
    click.echo(f"Asked {site.scheme}://{site.host} for {len(answers)} of the {len(rows)} paths.", err=True)
    return json.dumps(answers)
