"""The SQL prompt: history, completion, colours, several lines until ``;``; Ctrl-C stops a query."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Final

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, Completion
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.lexers import PygmentsLexer

from drainlake.errors import Failure
from drainlake.session import Session, Vocabulary, is_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding.key_processor import KeyPressEvent

_WORD: Final = re.compile(r"\w*$")
_RELATION_BEFORE: Final = re.compile(r"\b(?:FROM|JOIN|DESCRIBE|SUMMARIZE)\s+\w*$|^\s*\.schema\s+\w*$", re.IGNORECASE)
_COMMANDS: Final = (".tables", ".schema", ".help")


class Words(Completer):
    """Completes tables and questions after FROM, else columns, parameters and keywords too."""

    def __init__(self, words: Vocabulary) -> None:
        self._words = words

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """What can stand at the cursor, by its first letters."""
        before = document.text_before_cursor
        if before.startswith(".") and " " not in before:
            yield from _matching(_COMMANDS, before, "command")
            return
        match = _WORD.search(before)
        word = match[0] if match else ""
        yield from _matching(self._words.tables, word, "table")
        yield from _matching([f"{name}(" for name in self._words.questions], word, "question")
        if word and not _RELATION_BEFORE.search(before):
            yield from self._inside(before, word)

    def _inside(self, before: str, word: str) -> Iterator[Completion]:
        columns = {column for names in self._words.tables.values() for column in names}
        yield from _matching(sorted(columns), word, "column")
        asked = [ps for name, ps in self._words.questions.items() if f"{name}(" in before]
        yield from _matching([f"{parameter} := " for ps in asked for parameter in ps], word, "parameter")
        yield from _matching(self._words.keywords, word, "keyword")


def _matching(names: Iterable[str], word: str, kind: str) -> Iterator[Completion]:
    for name in names:
        if name.lower().startswith(word.lower()):
            yield Completion(name, start_position=-len(word), display_meta=kind)


def interact(session: Session, words: Vocabulary, history_path: Path) -> None:
    """Read and run statements until Ctrl-D; an error is shown and the prompt stays."""
    prompt: PromptSession[str] = PromptSession(
        message="drainlake> ",
        multiline=True,
        prompt_continuation="       ... ",
        completer=Words(words),
        complete_while_typing=True,
        lexer=PygmentsLexer.from_filename("prompt.sql"),
        history=_history(history_path),
        key_bindings=_enter_runs_whole_statements(),
    )
    while True:
        try:
            _run(session, prompt.prompt())
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


def _run(session: Session, text: str) -> None:
    try:
        if text.strip():
            session.run(text)
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
    except Failure as failure:
        sys.stderr.write(f"{failure.sentence}\n")


def _enter_runs_whole_statements() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter")
    def enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_whole(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    return bindings


def _history(path: Path) -> History:
    """The history file, readable by its owner only; statements can hold what nobody else should read."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_APPEND, 0o600))
        path.chmod(0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)
