r"""One error line of PHP, php-fpm, nginx or Apache, read in full generality.

* A place is `` in FILE on line N`` or `` in FILE:N`` at the end; for the second FILE must be an absolute path, so
  that `` in host:80`` is none.
* nginx escapes no quotes and the client writes the request, so its labels are read from the right end.
* A wrapper can hold several messages, each begun by ``PHP message: ``; the gravest gives the columns, of equals
  the first, and ``trace`` keeps them all. Apache writes their newlines as ``\n``.
"""

from __future__ import annotations

import re
from typing import Final

from ingest.parsers.access_line import present, split_request
from ingest.parsers.numbers import BIGINT_MAX, INTEGER_MAX, finite, whole

Row = dict[str, str | int | float | None]

DATE: Final = r"[0-9]{2}-[A-Za-z]{3}-[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}"
# From the gravest to the least.
LEVELS: Final = (
    "Fatal error", "Parse error", "Core error", "Compile error", "Recoverable fatal error", "Catchable fatal error",
    "Core warning", "Compile warning", "Warning", "Notice", "Strict Standards", "Deprecated", "Unknown error",
)  # fmt: skip
NGINX: Final = r"[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} \[([a-z]+)\] [0-9]+#[0-9]+: (?:\*[0-9]+ )?"
FPM: Final = (
    rf"(?:\[{DATE}\] (?:WARNING|ERROR|NOTICE|ALERT|DEBUG): |(?:WARNING|ERROR|NOTICE|ALERT): \[pool "
    r"|ERROR: unable to bind listening socket )"
)
SLOW_LOG: Final = rf"\[{DATE}\]  \[pool [^ \]]+\] pid [0-9]+"
WRAPPER: Final = 'FastCGI sent in stderr: "PHP message: '
BARE: Final = "PHP message: "
FILE: Final = r"[^\t-\r ]"  # what a file begins with: expressions by column and by line take `\S` for two things
END_OF_WRAPPER: Final = '" while (?:reading|sending|connecting) '
APACHE: Final = (
    r"\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}(?:\.[0-9]{6})? [0-9]{4}\] (.*)AH01071: Got error "
    r"'(PHP message: .*)"
)

_NGINX: Final = re.compile(f"{NGINX}(.*)", re.DOTALL)
_FPM: Final = re.compile(FPM)
_FPM_PARTS: Final = re.compile(r"(?:\[[^\]]*\] )?([A-Z]+): (.*)", re.DOTALL)
_SLOW_LOG: Final = re.compile(rf"\[{DATE}\]  (\[pool [^ \]]+\] pid [0-9]+)")
_APACHE: Final = re.compile(APACHE, re.DOTALL)
_APACHE_END: Final = re.compile(r"'(?:, referer: .*)?\Z", re.DOTALL)
_DATED: Final = re.compile(rf"\[{DATE} [^\]]+\] (.*)", re.DOTALL)
_LEVELLED: Final = re.compile(rf"PHP ({'|'.join(LEVELS)}):  ?(.*)", re.DOTALL)
_END_OF_WRAPPER: Final = re.compile(f"(.*){END_OF_WRAPPER}", re.DOTALL)
_SEPARATOR: Final = re.compile(r"(?:; |\n|\\n)?PHP message: ")
# What a file may begin with, behind `` in ``, by what stands between it and the line's number.
_PLACES: Final = ((" on line ", re.compile(FILE)), (":", re.compile(r"/|[A-Za-z]:[\\/]|phar:")))
_MEMORY: Final = re.compile(
    r"Allowed memory size of ([0-9]+) bytes exhausted(?: at \S+)? \(tried to allocate ([0-9]+) bytes\)"
)
_FPM_SECONDS: Final = re.compile(r"\(([0-9]+\.[0-9]+) sec\)|after ([0-9]+\.[0-9]+) seconds from start")
_IN: Final = " in "
_LABELS: Final = (
    ("referrer", ', referrer: "'), ("host", ', host: "'), ("upstream", ', upstream: "'),
    ("subrequest", ', subrequest: "'), ("request", ', request: "'), ("server", ", server: "), ("client", ", client: "),
)  # fmt: skip


def parse(message: str) -> Row:
    """The columns of a line that ``php.recognise`` took for the head of an event."""
    level, told = _nginx_text(message)
    if told.startswith(WRAPPER):
        return _unwrapped(told.removeprefix('FastCGI sent in stderr: "'))
    if level is not None:
        told, labels = _labels(told)
        return {"component": "nginx", "level": level, "message": told, **_context(labels)}
    if match := _APACHE.fullmatch(message):
        return {**_messages(_APACHE_END.sub("", match[2])), "client_ip": _apache_client(match[1])}
    if _FPM.match(message) and (parts := _FPM_PARTS.fullmatch(message)):
        return _fpm(parts[1], parts[2])
    if match := _SLOW_LOG.fullmatch(message):
        return {"component": "php-fpm", "message": match[1]}
    return _php(message)


def opens(message: str) -> bool:
    """Whether a PHP error begins here that ends on a later line."""
    _, told = _nginx_text(message)
    if told.startswith(WRAPPER):
        return _END_OF_WRAPPER.match(_labels(told)[0]) is None
    dated = _DATED.fullmatch(message)
    levelled = _LEVELLED.fullmatch((dated[1] if dated else message).removeprefix(BARE))
    return levelled is not None and not closes(levelled[2])


def closes(message: str) -> bool:
    """Whether the line ends with a place, behind which the end of a FastCGI wrapper may follow."""
    if _place(message)[1] is not None:
        return True
    wrapped = _END_OF_WRAPPER.match(_labels(message)[0])
    return wrapped is not None and _place(wrapped[1])[1] is not None


def _apache_client(told: str) -> str | None:
    """The address in the first ``[client ADDRESS:PORT]``."""
    for part in told.split("]")[:-1]:
        _, found, client = part.partition("[client ")
        address, colon, port = client.rpartition(":")
        if found and colon and port.isascii() and port.isdigit():
            return address
    return None


def _nginx_text(message: str) -> tuple[str | None, str]:
    match = _NGINX.fullmatch(message)
    return (match[1], match[2]) if match else (None, message)


def _unwrapped(inner: str) -> Row:
    """What PHP said through FastCGI: up to the quote before `` while …``, or all of a line cut short."""
    told, labels = _labels(inner)
    end = _END_OF_WRAPPER.match(told)
    return {**_messages(end[1]), **_context(labels)} if end else _messages(inner)


def _labels(told: str) -> tuple[str, dict[str, str]]:
    found = {}
    for name, label in _LABELS:
        before, separator, value = told.rpartition(label)
        if separator:
            told, found[name] = before, value.removesuffix('"') if label.endswith('"') else value
    return told, found


def _context(labels: dict[str, str]) -> Row:
    method, path, _ = split_request(labels.get("request", ""))
    return {
        "method": method,
        "path": path,
        "upstream": labels.get("upstream") or None,
        "client_ip": labels.get("client") or None,
    }


def _fpm(level: str, told: str) -> Row:
    seconds = _FPM_SECONDS.search(told)
    script, request = _script_and_request(told)
    method, path = _asked(request) if request is not None else (None, None)
    return {
        "component": "php-fpm",
        "level": level,
        "message": told,
        "script": script or None,
        "method": method,
        "path": path,
        "duration_seconds": finite(float(seconds[1] or seconds[2])) if seconds else None,
    }


def _script_and_request(told: str) -> tuple[str | None, str | None]:
    """What stands in ``script '…' (request: "…")``, each as long as it can be: it holds what the client asked for.

    Found from its ends, not by an expression: that takes the cube of the length where the last ``")`` is cut off.
    """
    start, end = told.find("script '"), told.rfind('")')
    middle = told.rfind("' (request: \"", 0, max(end, 0))
    if not 0 <= start <= middle - len("script '"):
        return None, None
    return told[start + len("script '") : middle], told[middle + len("' (request: \"") : end]


def _asked(request: str) -> tuple[str | None, str | None]:
    """FPM writes method and URI without a protocol."""
    method, path, _ = split_request(f"{request} HTTP/1.1")
    return present(method), present(path if method else request)


def _php(message: str) -> Row:
    dated = _DATED.fullmatch(message)
    told = dated[1] if dated else message
    return _unwrapped(told) if told.startswith(BARE) else _error(told)


def _messages(inner: str) -> Row:
    parts = [part.removesuffix(r"\n").partition(r"\nStack trace:") for part in _SEPARATOR.split(inner)[1:]]
    gravest = min((_error(told) for told, _, _ in parts), key=_gravity)
    several = len(parts) > 1 or any(stack for _, stack, _ in parts)
    return {**gravest, "trace": inner if several else None}


def _gravity(error: Row) -> int:
    return LEVELS.index(str(error["level"])) if error["level"] else len(LEVELS)


def _error(told: str) -> Row:
    levelled = _LEVELLED.fullmatch(told)
    message, file, line = _place(levelled[2] if levelled else told)
    memory = _MEMORY.search(message)
    return {
        "component": "php",
        "level": levelled[1] if levelled else None,
        "message": message,
        "file": file,
        "line": whole(line, INTEGER_MAX),
        "memory_limit_bytes": whole(memory[1], BIGINT_MAX) if memory else None,
        "memory_wanted_bytes": whole(memory[2], BIGINT_MAX) if memory else None,
    }


def _place(told: str) -> tuple[str, str | None, str | None]:
    """The message without its place, the file and the line's number.

    Searched from the right end, not by an expression: that takes the square of the length where `` in `` comes often,
    and an error can quote what a client sent.
    """
    for separator, file in _PLACES:
        before, found, line = told.rpartition(separator)
        if not (found and line.isascii() and line.isdigit()):
            continue
        place = before.rfind(_IN)
        while place >= 0 and not file.match(before, place + len(_IN)):
            place = before.rfind(_IN, 0, place + len(_IN) - 1)
        if place >= 0:
            return before[:place], before[place + len(_IN) :], line
    return told, None, None
