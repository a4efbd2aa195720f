"""What the command line may fail with: one sentence, and one thing to try.

Everything a user can run into is one of these; any other exception that reaches the top is a fault of ours
and keeps its traceback.
"""

from __future__ import annotations

from typing import ClassVar


class Failure(Exception):  # noqa: N818 - read by people, as are its children
    """The command could not do its work (exit code 1).

    ``sentence`` says what went wrong, ``remedy`` names one thing to try. Both go to stderr.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, sentence: str, remedy: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.remedy = remedy

    @classmethod
    def told(cls, text: object, otherwise: str) -> Failure:
        """What other packages tell as "what is wrong; what to try"; ``otherwise`` is to try where they name nothing."""
        sentence, _, remedy = str(text).partition("; ")
        return cls(f"{sentence[:1].upper()}{sentence[1:].rstrip('.')}.", remedy or otherwise)


class WrongUse(Failure):
    """The command was called in a way that cannot work: arguments or settings (exit code 2)."""

    exit_code: ClassVar[int] = 2


def os_failure(error: OSError) -> Failure:
    """What the system refused, in one sentence."""
    place = f"{error.filename}: " if error.filename else ""
    return Failure(f"{place}{error.strerror or error}.", "check the path, its permissions and the free disk space")
