"""The request to stop that a signal makes of a loop, and which signal it was."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


def stop_signals() -> tuple[signal.Signals, ...]:
    """The signals that ask a process to stop in good order.

    SIGHUP, of a terminal that closes, is one of them: by default it kills. Whoever started the process with SIGHUP
    ignored (`nohup`) wants it to outlive the terminal, so there it stays ignored.
    """
    hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    return (signal.SIGTERM, signal.SIGINT, *hangup)


class StopRequest:
    """``event`` is set by a signal; ``why`` is its name then. The handler logs nothing: it may interrupt a log."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.why = ""

    def listen(self) -> StopRequest:
        """From now on signals ask for the stop. Only in the main thread."""
        for number in stop_signals():
            signal.signal(number, self._on_signal)
        return self

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's signature
        self.why = self.why or signal.Signals(number).name
        self.event.set()
