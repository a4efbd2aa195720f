"""Text from logs is written by attackers: what must happen to it before people see it.

``clean`` takes out what could move a cursor, hide or reorder text; ``escape_markdown`` and ``escape_slack`` keep a
text from being more than text there; ``escape_json`` carries it exactly and shows what ``clean`` would remove. In
HTML the template engine escapes; it gets clean text.
"""

from __future__ import annotations

import re
from typing import Final

# C0 but for tab, newline and return; DEL and C1; then everything without width or with power over direction:
# soft hyphen, joiners, marks, embeddings, isolates, separators, fillers, tags, lone surrogates.
_INVISIBLE: Final = (
    r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udfff"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_CONTROL: Final = re.compile(f"[{_INVISIBLE}]")
_BLANKS: Final = re.compile(r"[\t\n\r]+")
_MARKDOWN: Final = re.compile(r"[\\`*_\[\]<>|~&$]|:(?=//)|(?<=www)\.")
# What Slack's mrkdwn makes something of, beside its three entities. It knows no escape for these, so each becomes a
# character that looks like it. A `_` inside a word has no meaning there, and is frequent in paths.
_SLACK: Final = re.compile(r"[*~`]|(?<!\w)_|_(?!\w)|:(?=//)|(?<=www)\.|@(?=here|channel|everyone)", re.IGNORECASE)
_SLACK_LOOKALIKE: Final = {"*": "∗", "~": "∼", "`": "ˋ", "_": "ˍ", ":": "∶", ".": "․", "@": "＠"}  # noqa: RUF001
_SLACK_ENTITIES: Final = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}


def clean(text: str) -> str:
    """The text without control, zero-width and bidirectional characters; tab, newline and return stay."""
    return text if _is_plain(text) else _CONTROL.sub("", text)


def clean_line(text: str) -> str:
    """The text as one clean line: runs of tabs and newlines become one blank."""
    return text if _is_plain(text) else _BLANKS.sub(" ", clean(text))


def _is_plain(text: str) -> bool:
    """Whether there is nothing to take out, which is so of most text and much quicker to see."""
    return text.isascii() and text.isprintable()


def shorten(text: str, length_max: int) -> str:
    """The text, or its beginning and end with an ellipsis between: the end of a path tells as much as its start."""
    if len(text) <= length_max:
        return text
    tail = length_max // 3
    return f"{text[: length_max - tail - 1]}…{text[-tail:]}"


def escape_markdown(text: str) -> str:
    """The text as one clean line without any meaning in Markdown or HTML."""
    return _MARKDOWN.sub(r"\\\g<0>", clean_line(text)).replace("\\<", "&lt;").replace("\\&", "&amp;")


def escape_slack(text: str) -> str:
    """The text as one clean line without any meaning in Slack's mrkdwn: no mention, link, code or style.

    It must not begin a line of the message: a `>` there is a quote, escaped or not.
    """
    plain = _SLACK.sub(lambda match: _SLACK_LOOKALIKE[match[0]], clean_line(text))
    return plain.translate(_SLACK_ENTITIES)


def escape_json(text: str) -> str:
    """JSON text whose invisible characters are written as escapes; it stays the same JSON."""
    return _CONTROL.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
