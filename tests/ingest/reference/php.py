r"""PHP, php-fpm, nginx and FastCGI error lines and their continuations (heroku-logs.md 7.3-7.6).

* PHP errors may lack the date (php-cli on stderr) and the second blank after the colon; so may FastCGI
  wrappers lack the time of nginx, and FPM lines about a pool their date.
* A place is `` in FILE on line N`` or `` in FILE:N`` at the end; for the second FILE must be an absolute
  path, so that `` in host:80`` is none. The last `` in `` counts. FILE begins with no blank of ASCII; any other
  byte can begin a name, and PHP prints it unchanged (7.4).
* nginx labels are read from the right end, since quotes are not escaped there and the client writes the
  request.
* A wrapper may hold several messages, each begun by ``PHP message: `` (older servers put no ``; ``
  between). The gravest gives the columns, of equals the first. Apache writes their newlines as ``\n``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.ingest.reference.access import present, split_request
from tests.ingest.reference.numbers import BIGINT, INTEGER, finite, whole

if TYPE_CHECKING:
    from tests.ingest.reference.header import Line

DATE = r"[0-9]{2}-[A-Za-z]{3}-[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}"
# From the gravest to the least.
PHP_LEVELS = (
    "Fatal error",
    "Parse error",
    "Core error",
    "Compile error",
    "Recoverable fatal error",
    "Catchable fatal error",
    "Core warning",
    "Compile warning",
    "Warning",
    "Notice",
    "Strict Standards",
    "Deprecated",
    "Unknown error",
)
LEVELLED = re.compile(rf"PHP ({'|'.join(PHP_LEVELS)}):  ?(.*)", re.DOTALL)
DATED = re.compile(rf"\[{DATE} [^\]]+\] (.*)", re.DOTALL)
FPM = re.compile(rf"(?:\[{DATE}\] (?:WARNING|ERROR|NOTICE|ALERT|DEBUG): |(?:WARNING|ERROR|NOTICE|ALERT): (?=\[pool ))")
FPM_PARTS = re.compile(r"(?:\[[^\]]*\] )?([A-Z]+): (.*)", re.DOTALL)
SLOW_HEAD = re.compile(rf"\[{DATE}\]  (\[pool [^ \]]+\] pid [0-9]+)")
NGINX = re.compile(
    r"[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} \[([a-z]+)\] [0-9]+#[0-9]+: (?:\*[0-9]+ )?(.*)",
    re.DOTALL,
)
WRAPPER = 'FastCGI sent in stderr: "PHP message: '
BARE = "PHP message: "
APACHE = re.compile(
    r"\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}(?:\.[0-9]{6})? [0-9]{4}\] "
    r"(.*)AH01071: Got error '(PHP message: .*)",
    re.DOTALL,
)
APACHE_END = re.compile(r"'(?:, referer: .*)?\Z", re.DOTALL)
APACHE_CLIENT = re.compile(r"\[client ([^\]]*):[0-9]+\]")
# What nginx adds behind the closing quote of a wrapper says what it did at that moment.
WHILE = '" while (?:reading|sending|connecting) '
TAIL = re.compile(f"(.*){WHILE}", re.DOTALL)
SEPARATOR = re.compile(r"(?:; |\n|\\n)?PHP message: ")
PLACE = re.compile(r"(.*) in ([^\t-\r ].*?) on line ([0-9]+)", re.DOTALL)
COLON_PLACE = re.compile(r"(.*) in ((?:/|[A-Za-z]:[\\/]|phar:).*):([0-9]+)", re.DOTALL)
MEMORY = re.compile(r"Allowed memory size of ([0-9]+) bytes exhausted(?: at \S+)? \(tried to allocate ([0-9]+) bytes\)")
FPM_REQUEST = re.compile(r"script '(.*)' \(request: \"(.*)\"\)", re.DOTALL)
FPM_SECONDS = re.compile(r"\(([0-9]+\.[0-9]+) sec\)|after ([0-9]+\.[0-9]+) seconds from start")
LABELS = (
    ("referrer", ', referrer: "'),
    ("host", ', host: "'),
    ("upstream", ', upstream: "'),
    ("subrequest", ', subrequest: "'),
    ("request", ', request: "'),
    ("server", ", server: "),
    ("client", ", client: "),
)
THROWN = re.compile(rf"  thrown in .* on line [0-9]+(?:{WHILE}.*)?", re.DOTALL)
PHP_CONTINUATION = re.compile(r"Stack trace:\Z|#[0-9]+ (?:/|\{main\}|\[internal function\]|phar:|[A-Za-z]:[\\/])")
FPM_CONTINUATION = re.compile(r"script_filename = |\[0x[0-9a-f]{16}\] |\+\+\+ dump failed")


def is_php(message: str) -> bool:
    """Whether the message has the shape of an error line or of a continuation with a shape of its own."""
    return _head(message) is not None or continuation(message) is not None


def continuation(message: str) -> str | None:
    """The component a line of continuation shape belongs to, else None."""
    if PHP_CONTINUATION.match(message) or THROWN.fullmatch(message):
        return "php"
    return "php-fpm" if FPM_CONTINUATION.match(message) else None


def parse(line: Line) -> dict[str, Any]:
    """The columns of one error line, or of a continuation of its own shape."""
    row = _head(line.message)
    if row is None:
        return continued(line, continuation(line.message) or "php")
    return {"dyno": line.process, "continues": False, **row}


def continued(line: Line, component: str) -> dict[str, Any]:
    """The columns of a line that belongs to the error before it."""
    return {"dyno": line.process, "component": component, "message": line.message, "continues": True}


def opens(message: str) -> bool:
    """Whether the message begins a PHP error that ends on a later line."""
    _, told = _nginx_text(message)
    if told.startswith(WRAPPER):
        return TAIL.match(_labels(told)[0]) is None
    dated = DATED.fullmatch(message)
    told = dated[1] if dated else message
    levelled = LEVELLED.fullmatch(told.removeprefix(BARE))
    return levelled is not None and not closes(levelled[2])


def closes(message: str) -> bool:
    """Whether the message ends with a place, behind which the end of a FastCGI wrapper may follow."""
    wrapped = TAIL.match(_labels(message)[0])
    return _place(message)[1] is not None or (wrapped is not None and _place(wrapped[1])[1] is not None)


def _head(message: str) -> dict[str, Any] | None:
    for shape in (_nginx, _apache, _fpm, _slow, _php):
        row = shape(message)
        if row is not None:
            return row
    return None


def _nginx_text(message: str) -> tuple[str | None, str]:
    match = NGINX.fullmatch(message)
    return (match[1], match[2]) if match else (None, message)


def _nginx(message: str) -> dict[str, Any] | None:
    level, told = _nginx_text(message)
    if told.startswith(WRAPPER):
        return _wrapped(told.removeprefix('FastCGI sent in stderr: "'))
    if level is None:
        return None
    told, labels = _labels(told)
    return {"component": "nginx", "level": level, "message": told, **_about(labels)}


def _wrapped(inner: str) -> dict[str, Any]:
    """What PHP said through FastCGI, up to the quote before `` while …``; without it, all."""
    told, labels = _labels(inner)
    end = TAIL.match(told)
    return {**_messages(end[1]), **_about(labels)} if end else _messages(inner)


def _labels(told: str) -> tuple[str, dict[str, str]]:
    found = {}
    for name, label in LABELS:
        before, separator, value = told.rpartition(label)
        if separator:
            told, found[name] = before, value.removesuffix('"') if label.endswith('"') else value
    return told, found


def _about(labels: dict[str, str]) -> dict[str, Any]:
    method, path, _ = split_request(labels.get("request", ""))
    return {
        "method": method,
        "path": path,
        "upstream": labels.get("upstream") or None,
        "client_ip": labels.get("client") or None,
    }


def _apache(message: str) -> dict[str, Any] | None:
    match = APACHE.fullmatch(message)
    if match is None:
        return None
    client = APACHE_CLIENT.search(match[1])
    return {**_messages(APACHE_END.sub("", match[2])), "client_ip": client[1] if client else None}


def _fpm(message: str) -> dict[str, Any] | None:
    parts = FPM_PARTS.fullmatch(message)
    if FPM.match(message) is None or parts is None:
        return None
    request, seconds = FPM_REQUEST.search(parts[2]), FPM_SECONDS.search(parts[2])
    method, path = _fpm_request(request[2] if request else "")
    return {
        "component": "php-fpm",
        "level": parts[1],
        "message": parts[2],
        "script": (request[1] or None) if request else None,
        "method": method,
        "path": path,
        "duration_seconds": finite(float(seconds[1] or seconds[2])) if seconds else None,
    }


def _fpm_request(request: str) -> tuple[str | None, str | None]:
    """FPM writes method and URI without a protocol."""
    method, path, _ = split_request(request + " HTTP/1.1")
    if method is None:
        path = request
    return present(method), present(path)


def _slow(message: str) -> dict[str, Any] | None:
    match = SLOW_HEAD.fullmatch(message)
    return {"component": "php-fpm", "message": match[1]} if match else None


def _php(message: str) -> dict[str, Any] | None:
    dated = DATED.fullmatch(message)
    told = dated[1] if dated else message
    if told.startswith(BARE):
        return _wrapped(told)
    return _error(told) if dated or LEVELLED.fullmatch(told) else None


def _messages(inner: str) -> dict[str, Any]:
    """Columns of one or several ``PHP message: `` of one request."""
    parts = [part.removesuffix("\\n").partition("\\nStack trace:") for part in SEPARATOR.split(inner)[1:]]
    gravest = min((_error(told) for told, _, _ in parts), key=_gravity)
    several = len(parts) > 1 or any(stack for _, stack, _ in parts)
    return {**gravest, "trace": inner if several else None}


def _gravity(error: dict[str, Any]) -> int:
    return PHP_LEVELS.index(error["level"]) if error["level"] else len(PHP_LEVELS)


def _error(told: str) -> dict[str, Any]:
    levelled = LEVELLED.fullmatch(told)
    message, file, line = _place(levelled[2] if levelled else told)
    memory = MEMORY.search(message)
    return {
        "component": "php",
        "level": levelled[1] if levelled else None,
        "message": message,
        "file": file,
        "line": whole(line, INTEGER),
        "memory_limit_bytes": whole(memory[1], BIGINT) if memory else None,
        "memory_wanted_bytes": whole(memory[2], BIGINT) if memory else None,
    }


def _place(told: str) -> tuple[str, str | None, str | None]:
    match = PLACE.fullmatch(told) or COLON_PLACE.fullmatch(told)
    return (match[1], match[2], match[3]) if match else (told, None, None)
