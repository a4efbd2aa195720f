r"""One line of an AWS load balancer, read in full generality: Classic and Application, the layouts of all years.

An application load balancer's line begins with the kind of the connection, then both go on alike: time, name, client,
target, three times in seconds, two statuses, bytes received and sent, ``"request"``. Behind that stand more fields the
younger the line is, in the order of ``TAIL``; the first Classic lines end with the request.

All that clients wrote begins at the request, so nothing they send passes for the fields before it. The user agent ends
at the first place from which the rest of the line reads as these fields to its end; a quote in it does no harm.
"""

from __future__ import annotations

import json
import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

import numpy as np

from ingest.parsers.access_line import present, split_request
from ingest.parsers.numbers import BIGINT_MAX, SMALLINT_MAX, whole
from ingest.text import Spans, Text
from ingest.times import LAST_US, iso_microseconds

Row = dict[str, str | int | None]

SECONDS_MAX: Final = 1_000_000  # of each time; two of them in milliseconds fit an INTEGER
# The fields behind the request as AWS names them, and whether they stand in quotes.
TAIL: Final = (
    ("user_agent", True), ("ssl_cipher", False), ("ssl_protocol", False), ("target_group_arn", False),
    ("trace_id", True), ("domain_name", True), ("chosen_cert_arn", True), ("matched_rule_priority", False),
    ("request_creation_time", False), ("actions_executed", True), ("redirect_url", True), ("error_reason", True),
    ("target_port_list", True), ("target_status_code_list", True), ("classification", True),
    ("classification_reason", True), ("conn_trace_id", False),
)  # fmt: skip
TAIL_MIN: Final = 3  # user agent, cipher and protocol came together
CREATED: Final = "request_creation_time"
MORE: Final = "more"  # fields of years to come
COLUMNS: Final = {"user_agent": "user_agent", "ssl_protocol": "tls_version"}  # the others stand in `extra`
DEFAULT_PORTS: Final = {"http": ":80", "https": ":443", "ws": ":80", "wss": ":443"}
NO_REQUEST: Final = "- - - "  # of TCP listeners, and of what was no HTTP

_WORD: Final = '([^ "]+)'
_HEAD: Final = re.compile(rf'(?:([a-z][a-z0-9]*) )?([0-9]{{4}}-[^ ]+) {" ".join(["([^ ]+)"] * 10)} "')
_REQUEST_ENDS: Final = (re.compile(r'(?:(?<= HTTP/[0-9])|(?<= HTTP/[0-9]\.[0-9])|(?<=- ))"(?= |\Z)'),
                        re.compile(r'"(?= |\Z)'))  # fmt: skip
_PROTOCOL: Final = "(-|(?:TLS|SSL)v[0-9.]+)"
_SECONDS: Final = re.compile(r"(-?)[0-9]{1,12}(?:\.[0-9]{1,20})?(?:[Ee][+-]?[0-9]{1,2})?")
_ENDPOINT: Final = re.compile(r"\[?([^\[\]]*?)\]?:([0-9]+)")
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
_NO_PATH: Final = re.compile(r"- ([a-z]+)://([^/?#@ ]*)- -?")  # of what was no HTTP


def _tail(end: str) -> re.Pattern[str]:
    expression = end
    for number, (name, quoted) in reversed(list(enumerate(TAIL[1:], 1))):
        field = _PROTOCOL if name == "ssl_protocol" else '"([^"]*)"' if quoted else _WORD
        expression = f" {field}{expression}" if number < TAIL_MIN else rf"(?:\Z| {field}{expression})"
    return re.compile(rf' "(.*?)"{expression}', re.DOTALL)


_KNOWN: Final = _tail(r"\Z")
_LONGER: Final = _tail(" (.+)")
_ODD: Final = re.compile(rf' "(.*?)" {_WORD} {_PROTOCOL}(?: (.*))?', re.DOTALL)


def parse(line: str) -> Row | None:
    """The columns of one line, ``timestamp`` in microseconds since 1970; None when it is no load balancer's line.

    ``extra`` begins with ``duration_us`` where ``service_ms`` is known: the exact sum of the three times, or, where a
    target gave no answer, the time since the request was created.
    """
    head = _HEAD.match(line)
    if head is None:
        return None
    kind, time, name, client, target, *numbers, received, _ = head.groups()
    numbers_read = _numbers(kind, time, numbers, received, head[12])
    if numbers_read is None:
        return None
    columns, duration_us = numbers_read
    request, tail = _request(line[head.end() :])
    host_path, http_version = _request_columns(request, kind)
    fields = _fields(tail)
    if duration_us is None and kind and present(target):
        columns, duration_us = _waited(columns, fields.get(CREATED))
    client_ip, client_port = _client(client)
    extra = {
        "duration_us": duration_us, "elb": name, "client_port": client_port, "request_processing_time": numbers[0],
        "target_processing_time": numbers[1], "response_processing_time": numbers[2],
        "target_status_code": numbers[4], "received_bytes": received, "http_version": http_version,
        **{field: value for field, value in fields.items() if field not in COLUMNS},
    }  # fmt: skip
    kept = {key: value for key, value in extra.items() if present(value)}
    return {
        "source": "alb" if kind else "elb",
        "client_ip": client_ip,
        "dyno": present(target),
        **columns,
        **host_path,
        **{column: present(fields.get(field)) for field, column in COLUMNS.items()},
        "extra": json.dumps(kept, ensure_ascii=False, separators=(",", ":")),
    }


def _waited(columns: Row, created: str | None) -> tuple[Row, str | None]:
    """The columns of a request whose target gave no answer, and its duration: it was the target's until the end."""
    [created_us], [dated] = iso_microseconds(*_alone(created or ""))
    waited_us = int(columns["timestamp"] or 0) - int(created_us)
    if not dated or not 0 <= waited_us < SECONDS_MAX * 1_000_000:
        return columns, None
    service_ms = max((waited_us + 500) // 1000 - int(columns["connect_ms"] or 0), 0)
    return columns | {"service_ms": service_ms}, str(waited_us)


def _alone(word: str) -> tuple[Text, Spans]:
    octets = word.encode()
    return Text(octets), Spans(np.array([0]), np.array([len(octets)]))


def _numbers(
    kind: str | None, time: str, numbers: list[str], received: str, sent: str
) -> tuple[Row, str | None] | None:
    """Times, statuses and bytes, and the duration in microseconds; None where one of them is none."""
    seconds = [_microseconds(each) for each in numbers[:3]]
    stamp_us, dated = iso_microseconds(*_alone(time))
    digits = all(each == "-" or whole(each, BIGINT_MAX) is not None for each in (received, sent))
    statuses = all(each == "-" or whole(each, SMALLINT_MAX) is not None for each in numbers[3:])
    if not (dated[0] and digits and statuses) or None in seconds:
        return None
    connect_us, target_us, response_us = (each if each is not None and each >= 0 else None for each in seconds)
    duration_us = sum(each or 0 for each in (connect_us, target_us, response_us))
    end_us = int(stamp_us[0]) + (0 if kind else duration_us)  # Classic stamps the arrival, the others the end
    if end_us > LAST_US:
        return None
    known = target_us is not None and response_us is not None
    return {
        "timestamp": end_us,
        "connect_ms": None if connect_us is None else (connect_us + 500) // 1000,
        "service_ms": ((target_us or 0) + (response_us or 0) + 500) // 1000 if known else None,
        "status": whole(numbers[3], SMALLINT_MAX),
        "bytes": whole(sent, BIGINT_MAX),
    }, str(duration_us) if known else None


def _microseconds(seconds: str) -> int | None:
    """A time in microseconds, negative if the load balancer has none (-1); None where it is no time."""
    match = _SECONDS.fullmatch(seconds)
    if match is None:
        return None
    if match[1]:
        return -1
    value = Decimal(seconds)
    return int((value * 1_000_000).to_integral_value(ROUND_HALF_UP)) if value < SECONDS_MAX else None


def _request(text: str) -> tuple[str, str]:
    """The request, and what stands behind its closing quote."""
    for end in _REQUEST_ENDS:
        if match := end.search(text):
            return text[: match.start()], text[match.end() :]
    return text, ""


def _request_columns(request: str, kind: str | None) -> tuple[Row, str | None]:
    """Method, host, path and protocol, and the version of HTTP."""
    if not request.strip("- "):
        return {"protocol": kind}, None
    if match := _NO_PATH.fullmatch(request):
        scheme, host = match.groups()
        return {"host": host.removesuffix(DEFAULT_PORTS.get(scheme, "")) or None, "protocol": kind or scheme}, None
    method, url, version = split_request(request)
    match = _URL.fullmatch(url or "")
    if match is None:
        return {"method": method, "path": present(url), "protocol": kind}, version
    scheme = match[1].lower()
    host = match[2].rpartition("@")[2].removesuffix(DEFAULT_PORTS.get(scheme, ""))
    return {"method": method, "host": host or None, "path": match[3] or None, "protocol": kind or scheme}, version


def _fields(tail: str) -> dict[str, str | None]:
    names = [name for name, _ in TAIL]
    if match := _KNOWN.fullmatch(tail):
        return dict(zip(names, match.groups(), strict=True))
    if match := _LONGER.fullmatch(tail):
        return dict(zip([*names, MORE], match.groups(), strict=True))
    if match := _ODD.fullmatch(tail):
        return dict(zip([*names[:TAIL_MIN], MORE], match.groups(), strict=True))
    return {MORE: tail.strip()}


def _client(word: str) -> tuple[str | None, str | None]:
    """Address and port of the client."""
    match = _ENDPOINT.fullmatch(word)
    return (present(match[1]), match[2]) if match else (present(word), None)
