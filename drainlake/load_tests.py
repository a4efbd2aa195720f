"""``--host``, ``--write`` and ``--ab`` of ``drainlake query``: what belongs to the load-test questions alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from drainlake.errors import Failure, WrongUse
from drainlake.options import Parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from queries.catalog import Question

PLAN: Final = "load_test_plan"
VERDICT: Final = "load_test_verdict"
MARKER: Final = ".drainlake-load-test"
AB_MAX_BYTES: Final = 1_048_576
_OF: Final = {"host": PLAN, "write": PLAN, "ab": VERDICT}


def _host(text: str) -> str:
    from queries.load_tests.plan import base  # noqa: PLC0415 - not for --help

    return base(text)


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The three options, given to the command as ``host``, ``write`` and ``ab``."""
    for option in (
        click.option(
            "--ab",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help=f"For {VERDICT}: a file with what ab printed.",
        ),
        click.option(
            "--write",
            type=click.Path(path_type=Path, file_okay=False),
            metavar="DIR",
            help=f"For {PLAN}: write scripts for ab, vegeta, oha, k6 and locust to this folder.",
        ),
        click.option(
            "--host", type=Parsed("host", _host), metavar="URL", help=f"For {PLAN}: the one host that is tested."
        ),
    ):
        function = option(function)
    return function


def as_parameters(question: Question, given: dict[str, Any]) -> dict[str, Any]:
    """What the options mean as parameters of the question; raises :class:`WrongUse` where they mean nothing."""
    for option, name in _OF.items():
        if given[option] is not None and question.name != name:
            raise WrongUse(f"--{option} is not for {question.name}.", f"drainlake query {name} --{option} …")
    if given["write"] is not None and given["host"] is None:
        raise WrongUse("--write needs the host to test.", "--host https://staging.example.com")
    found = {"target_url": given["host"], "ab_output": _printed(given["ab"])}
    return {name: value for name, value in found.items() if value is not None}


def _printed(path: Path | None) -> str | None:
    if path is None:
        return None
    with path.open("rb") as file:
        printed = file.read(AB_MAX_BYTES + 1)
    if len(printed) > AB_MAX_BYTES:
        raise WrongUse(f"{path} is over 1 MiB: that is not what ab prints.", "ab … > FILE")
    return printed.decode("utf-8", "replace")


def written(
    connection: DuckDBPyConnection, rows: pa.RecordBatchReader, bound: Mapping[str, Any], folder: Path | None
) -> pa.RecordBatchReader:
    """The same rows of the plan that was asked for with ``bound``; before them its files are in the folder, if any."""
    if folder is None:
        return rows
    from queries.load_tests import EXECUTABLE, files  # noqa: PLC0415
    from queries.load_tests.plan import PlanError, of_rows  # noqa: PLC0415

    table = rows.read_all()
    try:
        texts = files(of_rows(table.to_pylist(), _addresses(connection, bound), bound["target_url"]))
    except PlanError as error:
        raise Failure(str(error), "--app with the name of one app, or a longer window") from None
    publish_files(folder.absolute(), texts, EXECUTABLE)
    click.echo(f"{len(texts)} files are in {folder}; begin with load-test.md.", err=True)
    return table.to_reader()


def _addresses(connection: DuckDBPyConnection, bound: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    from queries.catalog import question  # noqa: PLC0415

    defaults = {parameter.name: parameter.default for parameter in question(PLAN).parameters}
    values = [
        *(bound.get(name) for name in ("since", "until", "app_name", "target_url")),
        bound.get("heavy_from_ms", int(defaults["heavy_from_ms"])),
    ]
    return connection.execute(
        "SELECT workload, url, requests FROM load_test_addresses(?, ?, ?, ?, ?) ORDER BY requests DESC, url", values
    ).fetchall()


def publish_files(folder: Path, texts: Mapping[str, str], executable: tuple[str, ...] = ()) -> None:
    """Put the files of a plan into a folder, and take away those of the plan before it.

    A file that is not as a plan wrote it stays, and nothing is written then: :class:`Failure`. The marker knows files
    by digest. It names the new ones too before the first of them appears, so that a plan which was cut short can be
    written again.
    """
    before = _marked(folder)
    foreign = sorted(name for name in texts if not _is_ours(folder / name, before.get(name, [])))
    if foreign:
        raise Failure(f"{folder / foreign[0]} is no file of an earlier plan, or was changed.", "another folder")
    now = {name: [_digest(text.encode())] for name, text in texts.items()}
    both = {name: [*before.get(name, []), *now.get(name, [])] for name in before | now}
    _publish(folder / MARKER, json.dumps(both, indent=1))
    for name, text in texts.items():
        _publish(folder / name, text, 0o755 if name in executable else 0o644)
    for name in before.keys() - now.keys():
        if _is_ours(folder / name, before[name]):
            (folder / name).unlink(missing_ok=True)
    _publish(folder / MARKER, json.dumps(now, indent=1))


def _publish(path: Path, text: str, mode: int = 0o644) -> None:
    from transforms.durable import publish  # noqa: PLC0415

    def write(temporary: Path) -> None:
        temporary.write_text(text, "utf-8")
        temporary.chmod(mode)

    publish(path, path.parent, write)


def _marked(folder: Path) -> dict[str, list[str]]:
    """Digests by name of the files that earlier plans wrote here; raises :class:`Failure` for another marker."""
    path = folder / MARKER
    if not path.exists():
        return {}
    try:
        if not path.is_file():
            raise ValueError
        marked = json.loads(path.read_text("utf-8"))
        # Names alone: a path in there must not lead out of the folder.
        return {Path(name).name: [str(digest) for digest in digests] for name, digests in marked.items()}
    except (ValueError, AttributeError, TypeError):
        raise Failure(f"{path} cannot be read.", "another folder") from None


def _is_ours(path: Path, digests: list[str]) -> bool:
    """Whether nothing lies there, or what a plan wrote."""
    if path.is_symlink():
        return False
    return not path.exists() or (path.is_file() and _digest(path.read_bytes()) in digests)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
