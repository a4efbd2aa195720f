"""One event is one line, whatever is in it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from drainlake.ownlog.lines import LINE_MAX_BYTES, Event, json_line, text_line
from drainlake.ownlog.scrubbing import scrubber
from drainlake.values import Secret

TEXTS = st.text(max_size=300) | st.sampled_from(
    ["\n", "\r\n{}", "\u2028", "\x85", "\x1b[2J", "\ud800", '"}', "a" * 9000]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    TEXTS | st.integers() | st.floats() | st.none() | st.booleans() | st.binary(max_size=9) | st.builds(object),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=15,
)


@given(TEXTS, st.dictionaries(TEXTS | st.sampled_from(["ts", "message"]), VALUES, max_size=6), TEXTS, st.integers(0, 9))
def test_an_event_is_one_line_in_both_forms(message: str, fields: dict[str, Any], trace: str, left_out: int) -> None:
    """No text breaks the line or the JSON, and none makes it longer than a pipe takes in one piece."""
    event = Event(1795701600.0125, "error", "serve", "crashed", message, 7, fields, trace)
    for line in (text_line(event, left_out, str), json_line(event, left_out, str)):
        assert line.endswith("\n")
        assert len(line.splitlines()) <= 1 or line == "\n"
        assert len(line.encode("utf-8", "backslashreplace")) <= LINE_MAX_BYTES
    read = json.loads(json_line(event, left_out, str))
    assert {name: read[name] for name in ("ts", "level", "part", "event", "pid")} == {
        "ts": "2026-11-26T14:00:00.012Z", "level": "error", "part": "serve", "event": "crashed", "pid": 7,
    }  # fmt: skip


def test_the_text_form_is_the_sentence() -> None:
    """With the traceback behind it, on the same line; JSON does not repeat the part that begins the sentence."""
    trace = 'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: no\n'
    event = Event(0.0, "error", "land", "crashed", "land: it failed.", 7, {"rows": 3}, trace)
    assert text_line(event, 2, str) == (
        "land: it failed. (2 more like it left out.) | Traceback (most recent call last):"
        ' | File "a.py", line 1 | ValueError: no\n'
    )
    read = json.loads(json_line(event, 2, str))
    assert (read["message"], read["rows"], read["left_out"], read["traceback"]) == ("it failed.", 3, 2, trace)


def test_secrets_are_hidden_in_all_their_forms() -> None:
    """Whole, in pieces of an address, percent-encoded, in an URL and as Basic credentials."""
    scrub = scrubber({"shop": (Secret("s3cr3t/of shop"), Secret("https://hooks.example/T0KENT0KEN?key=QUERYKEY"))})
    for text in (
        "login with s3cr3t/of shop failed",
        "GET /s3cr3t%2Fof%20shop and s3cr3t%2Fof+shop",
        "Authorization: Basic c2hvcDpzM2NyM3Qvb2Ygc2hvcA==",
        "c2hvcDpzM2NyM3Qvb2Ygc2hvcA== it was",
        "POST /T0KENT0KEN gave 404, with QUERYKEY",
        "kafka://me:unknown-password@broker:9092 is away",
        "Bearer unknown-token-of-someone",
    ):
        said = scrub(text)
        assert "[hidden]" in said
        assert not any(word in said for word in ("s3cr3t", "c2hvc", "T0KEN", "QUERY", "unknown"))
    assert scrub("12 rows landed at https://logs.example.com/logs") == "12 rows landed at https://logs.example.com/logs"
