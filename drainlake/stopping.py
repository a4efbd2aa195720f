"""The request to stop that SIGTERM or SIGINT makes of a loop, and which of them it was."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


class StopRequest:
    """``event`` is set by a signal; ``why`` is its name then. The handler logs nothing: it may interrupt a log."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.why = ""

    def listen(self) -> StopRequest:
        """From now on signals ask for the stop. Only in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        return self

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's signature
        self.why = self.why or signal.Signals(number).name
        self.event.set()
