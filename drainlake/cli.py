"""The command line's root: lazily loaded commands, exit codes, errors of one sentence.

``drainlake --help`` imports click and nothing heavy: the one-line helps stand here, the commands in
``drainlake/commands/`` are imported when they are called. Exit codes: 0 good, 1 failure, 2 wrong use, 130
when interrupted. Results go to stdout; errors, two lines on stderr, say what happened and one thing to try.
"""

from __future__ import annotations

import gc
import importlib
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from drainlake import __version__
from drainlake.errors import Failure, os_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: Final = {
    "up": "Receive, land and report in one command.",
    "serve": "Receive log drains over HTTP.",
    "land": "Land received lines in the Parquet lake.",
    "schedule": "Send reports and alarms when they are due.",
    "mute": "Keep a finding quiet until a date.",
    "attach": "Make credentials for an app and print how to attach it.",
    "drains": "List drains at Heroku, rotate secrets, remove them.",
    "demo": "See it work: a simulated day with known incidents.",
    "simulate": "Send deliveries as Heroku does, simulated or saved.",
    "import": "Take in old logs.",
    "query": "Ask a question, or list them.",
    "sql": "Run SQL on the lake, or open a prompt.",
    "report": "Report what was wrong, worst first, with evidence.",
    "erase": "Take a person's rows out of the lake.",
    "tail": "Follow the event log as JSON lines.",
    "status": "Show what is received, landed, behind, lost.",
    "backup": "Copy log and lake to start again from.",
}
_MODULES: Final = {"import": "import_logs"}


class ReaderLeft(Exception):  # noqa: N818 - no error: `| head` has seen enough
    """Who reads stdout has closed it."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order of the way of a line."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command itself; its module is imported here."""
        if cmd_name not in COMMANDS:
            return None
        from drainlake.settings import tune_libraries  # noqa: PLC0415 - `--help` needs none

        tune_libraries()  # first: a command loads libraries as it likes
        module = importlib.import_module(f"drainlake.commands.{_MODULES.get(cmd_name, cmd_name)}")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; two ends are caught here, before click answers them in its own way.

        It would exit with 1 when the reader of stdout has left, and print a newline for Ctrl-C into pipes.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise ReaderLeft from None
        except KeyboardInterrupt:
            raise click.exceptions.Exit(130) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of ``--help``, written without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    name="drainlake",
    no_args_is_help=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: drainlake demo",
)
@click.option("--home", metavar="DIR", help="Folder of the log and the lake; it overrides DRAINLAKE_HOME.")
@click.option("--supervised", is_flag=True, hidden=True, help="Started by another drainlake command.")
@click.version_option(__version__, prog_name="drainlake", message="%(prog)s %(version)s")
@click.pass_context
def root(ctx: click.Context, home: str | None, supervised: bool) -> None:
    """Turn the log drain of Heroku apps into answers.

    Heroku posts every log line of an app; drainlake keeps it, lands it as Parquet and answers with DuckDB.
    """
    ctx.obj = {"home": home, "supervised": supervised}
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; nothing expected leaves as a traceback."""
    try:
        code = root.main(args=arguments, prog_name="drainlake", standalone_mode=False)
        sys.stdout.flush()
    except Failure as failure:
        return _refuse(failure.sentence, failure.remedy, failure.exit_code)
    except click.UsageError as error:
        return _refuse(error.format_message(), _help_line(error.ctx), 2)
    except click.ClickException as error:
        return _refuse(error.format_message(), "drainlake --help", 1)
    except (KeyboardInterrupt, click.Abort):  # before or after the command itself
        return 130
    except (ReaderLeft, BrokenPipeError):
        return _leave_pipe()
    except OSError as error:
        refused = os_failure(error)
        return _refuse(refused.sentence, refused.remedy, refused.exit_code)
    return code if isinstance(code, int) else 0


def _refuse(sentence: str, remedy: str, code: int) -> int:
    from drainlake.hostile import clean_line  # noqa: PLC0415 - only where something went wrong

    click.echo(f"drainlake: {clean_line(sentence)}\nTry: {clean_line(remedy)}", err=True)
    return code


def _help_line(ctx: click.Context | None) -> str:
    return f"{ctx.command_path if ctx is not None else 'drainlake'} --help"


def _leave_pipe() -> int:
    # The reader has seen enough (`| head`). Point stdout elsewhere, or Python complains at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def main() -> NoReturn:
    """The installed command ``drainlake``."""
    # Python has None for a stream that the caller closed (`>&-`): what nobody reads is written to nowhere.
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open until the process ends
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a tick must not fail where the locale is ASCII
    code = run()
    gc.freeze()  # else Python looks through all that is there for cycles before it ends: 70 ms after a report
    sys.exit(code)
