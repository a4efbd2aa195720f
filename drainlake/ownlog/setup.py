"""The own log of the long-running commands: one line per event on stderr, as DRAINLAKE_LOG_FORMAT says.

All that is logged in the process comes here: drainlake's events (``ingest.oplog.tell``), warnings and errors of the
libraries, uncaught exceptions of any thread. Each is one line, without secrets, and none floods the disk: equal ones
are counted (:mod:`drainlake.ownlog.limits`). A line has no time in text form: a terminal needs none, and journald,
Docker and Heroku put theirs in front.

Native code that dies (a signal, a panic) writes to stderr by itself, and so does Python before the settings are read.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from drainlake import __version__
from drainlake.errors import Failure, os_failure
from drainlake.ownlog.limits import WINDOW_SECONDS, Limiter
from drainlake.ownlog.lines import Event, json_line, text_line
from drainlake.ownlog.scrubbing import scrubber
from drainlake.setting_table import TABLE
from ingest.oplog import LOGGER, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drainlake.ownlog.limits import Shown
    from drainlake.settings import Settings

LIBRARY_SECONDS: Final = 300.0  # a client whose server is away says the same for as long as that lasts


class OwnLog(logging.Handler):
    """Writes records to what is stderr at that moment. Never raises, and never writes half a line."""

    def __init__(self, settings: Settings, part: str) -> None:
        super().__init__()
        self._line = json_line if settings.log_format == "json" else text_line
        self._scrub = scrubber(settings)
        self._part = part
        self._limiter = Limiter()
        self._timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Show the record, or count it. The caller holds the handler's lock."""
        try:
            event = event_of(record, self._part)
            is_ours = record.name == LOGGER.name
            key = (event.part, event.name, getattr(record, "about", "") if is_ours else str(record.msg)[:200])
            seconds = WINDOW_SECONDS if is_ours else LIBRARY_SECONDS
            self._write(self._limiter.admit(key, event, time.monotonic(), seconds))
            self._wait_for_due()
        except Exception:  # noqa: BLE001 - a log that cannot be written must not stop the work
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Do nothing: there is no place left to complain at."""

    def finish(self) -> None:
        """Show what was counted and not shown yet."""
        assert self.lock is not None
        with self.lock:
            if self._timer is not None:
                self._timer.cancel()
            self._write(self._limiter.due(time.monotonic(), at_end=True))

    def _write(self, shown: list[Shown]) -> None:
        lines = [self._line(each.event, each.left_out, self._scrub) for each in shown]
        if lines and (dropped := self._limiter.take_dropped()):
            sentence = f"{dropped} events were left out: too many at once."
            lost = Event(time.time(), "warning", self._part, "events_left_out", sentence, os.getpid())
            lines.append(self._line(lost, 0, self._scrub))
        for line in lines:
            sys.stderr.write(line)
        if lines:
            sys.stderr.flush()

    def _wait_for_due(self) -> None:
        """At most one timer runs, and none while nothing is left out."""
        seconds = self._limiter.wait_seconds(time.monotonic())
        if seconds is None or (self._timer is not None and self._timer.is_alive()):
            return
        self._timer = threading.Timer(seconds + 0.01, self._show_due)
        self._timer.daemon = True
        self._timer.start()

    def _show_due(self) -> None:
        assert self.lock is not None
        with self.lock:
            self._write(self._limiter.due(time.monotonic()))
            self._timer = None
            self._wait_for_due()


def event_of(record: logging.LogRecord, part: str) -> Event:
    """A record as an event; those of libraries are told as theirs, with the name of the logger."""
    level, trace = record.levelname.lower(), _traceback_of(record)
    message = record.getMessage()
    if record.name == LOGGER.name and hasattr(record, "event"):
        fields: dict[str, Any] = getattr(record, "fields", {})
        own_part, name = str(getattr(record, "part", part)), str(record.event)
        return Event(record.created, level, own_part, name, message, os.getpid(), fields, trace)
    if trace and record.exc_info and record.exc_info[0] is not None:
        message = f"{message.rstrip()}: {record.exc_info[0].__name__}"
    fields = {"logger": record.name}
    name = "library_error" if record.levelno >= logging.ERROR else "library_warning"
    return Event(record.created, level, part, name, f"{part}: {record.name}: {message}", os.getpid(), fields, trace)


def _traceback_of(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    return "".join(traceback.format_exception(record.exc_info[1]))


def crashed(part: str, where: str, error: BaseException) -> None:
    """Tell of an exception that nobody expected, as one event with its traceback."""
    told = f"{part}: {where} failed with {type(error).__name__}; this is a fault of drainlake."
    extra = {"part": part, "event": "crashed", "about": where, "fields": {"where": where}}
    LOGGER.error(told, exc_info=error, extra=extra)


@contextmanager
def own_log(settings: Settings, part: str) -> Iterator[OwnLog]:
    """All that this process logs goes to the own log, until the block ends; then everything is as it was."""
    handler, root = OwnLog(settings, part), logging.getLogger()
    before = (root.handlers[:], root.level, LOGGER.handlers[:], LOGGER.level)
    hooks = (threading.excepthook, sys.unraisablehook)
    root.handlers[:], LOGGER.handlers[:] = [handler], []
    root.setLevel(logging.WARNING)  # of libraries
    LOGGER.setLevel(logging.INFO)
    logging.captureWarnings(True)
    threading.excepthook = lambda lost: _lost(part, f"thread {lost.thread.name if lost.thread else ''}", lost.exc_value)
    sys.unraisablehook = lambda lost: _lost(part, lost.err_msg or "a destructor", lost.exc_value)
    try:
        yield handler
    finally:
        handler.finish()
        logging.captureWarnings(False)
        root.handlers[:], LOGGER.handlers[:] = before[0], before[2]
        root.setLevel(before[1])
        LOGGER.setLevel(before[3])
        threading.excepthook, sys.unraisablehook = hooks


def _lost(part: str, where: str, error: BaseException | None) -> None:
    if error is not None and not isinstance(error, SystemExit):
        crashed(part, where, error)


def keeps_own_log(part: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For a command whose first argument is the settings: it runs with the own log, also when it fails.

    In text form a failure is told in two lines as by every command; as JSON it is the event ``failed``.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(settings: Settings, *args: Any, **kwargs: Any) -> Any:
            with own_log(settings, part) as log:
                if kwargs.get("once"):  # a sentence and the exit code say how it went; a client's retries are noise
                    log.addFilter(lambda record: not record.name.startswith("kafka"))
                for hint in click.get_current_context().meta.get("drainlake.hints", ()):
                    tell(part, "setting_unknown", f"Note: {hint}", level=logging.WARNING, about=hint)
                return _run(settings, part, lambda: function(settings, *args, **kwargs))

        return wrapper

    return decorate


def _run(settings: Settings, part: str, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except (Failure, OSError) as error:
        if settings.log_format != "json":
            raise
        failure = os_failure(error) if isinstance(error, OSError) else error
        tell(part, "failed", failure.sentence, level=logging.ERROR, remedy=failure.remedy, code=failure.exit_code)
        raise click.exceptions.Exit(failure.exit_code) from None
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:  # noqa: BLE001 - a traceback of many lines is what nobody's log can read
        crashed(part, "the process", error)
        raise click.exceptions.Exit(1) from None


def started(settings: Settings, part: str) -> None:
    """Tell that a part begins: its version, and the settings that are no secrets."""
    told = {each.name: _shown(settings, each.field) for each in TABLE if not each.is_secret}
    given = {name: value for name, value in told.items() if value is not None}
    log = settings.kafka or settings.log
    sentence = f"{part}: drainlake {__version__} begins, with the log {log} and the lake {settings.lake}."
    tell(part, "started", sentence, version=__version__, settings=given, dyno=settings.dyno)


def _shown(settings: Settings, name: str) -> str | int | float | None:
    if name == "log":
        return str(settings.kafka or settings.log)
    value = getattr(settings, name, None)
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or None
    if value is None or isinstance(value, int | float):
        return value
    return "given" if str(value).startswith("-----BEGIN") else str(value)
