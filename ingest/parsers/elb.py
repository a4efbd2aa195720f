"""Lines of AWS load balancers: regular ones by column, the odd ones one by one (``elb_line``, which has the layouts).

Regular are printable lines without a backslash whose every field stands where its layout has it. Lines with as many
quotes, and as many words behind the last of them, have the same layout.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.columns import booleans, indices, integers, matches, numbers
from ingest.parsers import elb_line
from ingest.parsers.elb_line import COLUMNS, CREATED, NO_REQUEST, SECONDS_MAX, TAIL, TAIL_MIN
from ingest.parsers.numbers import SMALLINT_MAX
from ingest.parsers.request import VERSION, all_in, request_spans
from ingest.records import replace_odd, rows
from ingest.schema import ROUTER
from ingest.text import Spans
from ingest.times import LAST_US, iso_microseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest.records import Records
    from ingest.text import Mask, Positions, Text

_HEAD: Final = (
    "time", "elb", "client", "target", "request_processing_time", "target_processing_time", "response_processing_time",
    "status", "target_status_code", "received_bytes", "sent_bytes",
)  # fmt: skip
_TIMES: Final = _HEAD[4:7]
_SCHEMES: Final = ((b"http://", b":80"), (b"https://", b":443"))
_FRACTION_MAX: Final = 6
_QUOTES_MAX: Final = 2 + 2 * sum(quoted for _, quoted in TAIL)
Layout = tuple[tuple[str, bool], ...]  # fields behind the request, and whether they stand in quotes


def _layouts() -> dict[tuple[int, int], Layout]:
    """By the number of quotes in a line and of words behind the last one."""
    found = {}
    for layout in ((), *(TAIL[:number] for number in range(TAIL_MIN, len(TAIL) + 1))):
        words = next((number for number, (_, quoted) in enumerate(reversed(layout)) if quoted), 0)
        found[2 + 2 * sum(quoted for _, quoted in layout), words] = layout
    return found


_LAYOUTS: Final = _layouts()
_EXTRA: Final = (
    "duration_us", "elb", "client_port", *_TIMES, "target_status_code", "received_bytes", "http_version",
    *(name for name, _ in TAIL if name not in COLUMNS),
)  # fmt: skip


def parse(records: Records) -> tuple[pa.RecordBatch, Mask]:
    """Rows of the router table in order, and which records are a load balancer's; ``route`` is NULL for landing.

    The rows' ``timestamp`` is the end of the request, whatever time the records have.
    """
    text = records.text
    fields, regular = _cut(text, records.message)
    values, regular = _numbers(text, fields, regular)
    columns, regular = _texts(text, fields, regular)
    values |= _waited(text, fields, values, regular)
    odd = records.take(~regular)
    lines = [elb_line.parse(message) for message in odd.message_texts()]
    end_us = values.pop("end_us")
    end_us[~regular] = np.array([line["timestamp"] if line else 0 for line in lines], dtype=np.int64)
    duration_us, timed = values.pop("duration_us"), values.pop("timed").astype(np.bool_)
    columns |= {
        "connect_ms": numbers((values["connect_us"] + 500) // 1000, "INTEGER", values["connect_us"] >= 0),
        "service_ms": numbers(values["service_ms"], "INTEGER", timed),
        "status": numbers(values["status"], "SMALLINT", values["status"] >= 0),
        "bytes": numbers(values["sent_bytes"], "BIGINT", values["sent_bytes"] >= 0),
        "extra": _extra(text, fields, numbers(duration_us, "BIGINT", timed), regular),
    }
    found = regular.copy()
    found[~regular] = [line is not None for line in lines]
    table = rows(ROUTER, replace(records, timestamp_us=end_us), columns)
    if not regular.all():
        table = replace_odd(table, ROUTER, odd, ~regular, [line or {} for line in lines])
    return table if found.all() else table.filter(booleans(found)), found


def _nowhere(height: int) -> Spans:
    return Spans(np.zeros(height, dtype=np.int64), np.zeros(height, dtype=np.int64))


def _cut(text: Text, message: Spans) -> tuple[dict[str, Spans], Mask]:
    """The fields of regular lines, absent ones empty, and which lines are regular so far."""
    height = len(message.start)
    quotes = np.append(text.positions(b'"'), np.full(_QUOTES_MAX, text.size))
    first = np.searchsorted(quotes[:-_QUOTES_MAX], message.start)
    count = text.count(b'"', message)
    opening = np.minimum(quotes[first], message.end)
    words = text.count(b" ", Spans(message.start, opening))
    has_kind = words == len(_HEAD) + 1
    regular = (count >= 2) & (count <= _QUOTES_MAX) & (count % 2 == 0) & (has_kind | (words == len(_HEAD)))
    regular &= text.is_plain(message) & (text.count(b"\\", message) == 0)
    fields = _head(text, message, has_kind.astype(np.int64))
    regular &= text.octets[np.maximum(opening, 1) - 1] == ord(" ")
    for name in _HEAD:
        regular &= fields[name].length > 0
    fields["kind"], of_kind = _kind(text, Spans(message.start, fields["time"].start - 1), has_kind & regular)
    regular &= of_kind
    fields |= {name: _nowhere(height) for name, _ in TAIL}
    fields["request"] = Spans(quotes[first] + 1, np.maximum(quotes[first + 1], quotes[first] + 1))
    last = np.where(regular, quotes[np.minimum(first + count, len(quotes)) - 1], 0)
    behind = text.count(b" ", Spans(last, np.maximum(message.end, last)))
    for quoted, words in np.unique(np.column_stack([count, behind])[regular], axis=0).tolist():
        at = np.flatnonzero(regular & (count == quoted) & (behind == words))
        layout = _LAYOUTS.get((quoted, words))
        if layout is None:
            regular[at] = False
        else:
            quote = quotes[first[at] + np.arange(quoted)[:, None]]
            regular[at] = _cut_tail(text, quote, message.end[at], layout, at, fields)
    return {name: _where(regular, span) for name, span in fields.items()}, regular


def _where(present: Mask, span: Spans) -> Spans:
    return Spans(np.where(present, span.start, 0), np.where(present, span.end, 0))


def _head(text: Text, message: Spans, skipped: Positions) -> dict[str, Spans]:
    """The words before the request; ``skipped`` counts those that stand before the time."""
    blanks = np.append(text.positions(b" "), np.full(len(_HEAD) + 1, text.size))
    first = np.searchsorted(blanks[: -len(_HEAD) - 1], message.start)
    bounds = np.vstack([message.start - 1, blanks[first + np.arange(len(_HEAD) + 1)[:, None]]])
    row = np.arange(len(first))
    return {
        name: Spans(bounds[number + skipped, row] + 1, bounds[number + skipped + 1, row])
        for number, name in enumerate(_HEAD)
    }


def _kind(text: Text, word: Spans, present: Mask) -> tuple[Spans, Mask]:
    """The kind of connection in front of an application load balancer's line, and which lines have a good one or none.

    The kinds of a batch are few, each is looked at once.
    """
    kind = _where(present, word)
    names = text.strings(kind).dictionary_encode()
    good = matches(names.dictionary, "^(?:|[a-z][a-z0-9]*)$")
    found: Mask = good[integers(names.indices)] if len(good) else np.zeros(0, dtype=np.bool_)
    return kind, found & (~present | (kind.length > 0))


def _cut_tail(
    text: Text, quote: Positions, end: Positions, layout: Layout, at: Positions, fields: Mapping[str, Spans]
) -> Mask:
    """Cut what stands behind the request in lines of one layout, with these quotes; which lines are laid out so."""
    place, pair = quote[1] + 1, 2
    laid_out = np.ones(len(at), dtype=np.bool_)
    for name, quoted in layout:
        laid_out &= (text.octets[place] == ord(" ")) & (place < end)
        start = np.minimum(place + 1, text.size)
        if quoted:
            laid_out &= quote[pair] == start
            fields[name].start[at], fields[name].end[at] = start + 1, quote[pair + 1]
            place, pair = quote[pair + 1] + 1, pair + 2
        else:
            place = np.minimum(text.next(b" ", start), end)
            laid_out &= place > start
            fields[name].start[at], fields[name].end[at] = start, place
    laid_out &= place == end
    return laid_out


def _numbers(text: Text, fields: Mapping[str, Spans], regular: Mask) -> tuple[dict[str, Positions], Mask]:
    """Times and counts, -1 where the line has none; a line with a value that cannot be read so is not regular."""
    height = len(regular)
    values: dict[str, Positions] = {}
    stamp_us, dated = iso_microseconds(text, fields["time"])
    times = [fields[name] for name in _TIMES]
    spans = Spans(np.concatenate([each.start for each in times]), np.concatenate([each.end for each in times]))
    seconds, valid = text.decimals(spans)
    dot = np.minimum(text.next(b".", spans.start), spans.end)
    valid &= (spans.end - dot - 1 <= _FRACTION_MAX) & (seconds < SECONDS_MAX)
    negative = text.octets[spans.start] == ord("-")
    us = np.where(negative, -1, np.rint(np.where(valid, seconds, 0) * 1_000_000)).astype(np.int64).reshape(3, height)
    regular = regular & dated & valid.reshape(3, height).all(axis=0)
    for name, largest in (("status", SMALLINT_MAX), ("target_status_code", SMALLINT_MAX),
                          ("sent_bytes", None), ("received_bytes", None)):  # fmt: skip
        value, valid = text.integers(fields[name])
        valid &= largest is None or value <= largest
        regular &= valid | text.equals(fields[name], b"-")
        values[name] = np.where(valid, value, -1)
    duration_us = np.maximum(us, 0).sum(axis=0)
    end_us = stamp_us + np.where(fields["kind"].length > 0, 0, duration_us)
    regular &= end_us <= LAST_US
    timed = regular & (us[1:] >= 0).all(axis=0)
    values |= {"connect_us": np.where(regular, us[0], -1), "service_us": us[1:].sum(axis=0)}
    return values | {"duration_us": duration_us, "end_us": end_us, "timed": timed.astype(np.int64)}, regular


def _waited(
    text: Text, fields: Mapping[str, Spans], values: Mapping[str, Positions], regular: Mask
) -> dict[str, Positions]:
    """Service time and duration also of requests whose target gave no answer, as ``elb_line`` has them."""
    service_ms, duration_us = (values["service_us"] + 500) // 1000, values["duration_us"]
    timed, target = values["timed"].astype(np.bool_), fields["target"]
    at = np.flatnonzero(regular & ~timed & (fields["kind"].length > 0) & ~text.equals(target, b"-"))
    created_us, dated = iso_microseconds(text, Spans(fields[CREATED].start[at], fields[CREATED].end[at]))
    waited_us = values["end_us"][at] - created_us
    dated &= (waited_us >= 0) & (waited_us < SECONDS_MAX * 1_000_000)
    at, waited_us = at[dated], waited_us[dated]
    connect_ms = (np.maximum(values["connect_us"][at], 0) + 500) // 1000
    service_ms[at] = np.maximum((waited_us + 500) // 1000 - connect_ms, 0)
    duration_us[at], timed[at] = waited_us, True
    return {"service_ms": service_ms, "duration_us": duration_us, "timed": timed.astype(np.int64)}


def _texts(text: Text, fields: dict[str, Spans], regular: Mask) -> tuple[dict[str, pa.Array], Mask]:
    """The text columns; ``fields`` learns of the client's port and the version of HTTP."""
    request, split = request_spans(text, fields["request"])
    none = text.equals(fields["request"], NO_REQUEST.encode())
    address, has_url = _address(text, _where(split & regular, request["path"]))
    client, has_address = _client(text, fields["client"])
    protocol = fields["ssl_protocol"]
    known = text.equals(protocol, b"-") | (protocol.length == 0)
    known |= (text.starts_with(protocol.start, b"TLSv") | text.starts_with(protocol.start, b"SSLv")) & all_in(
        text, Spans(protocol.start + 4, np.maximum(protocol.end, protocol.start + 4)), VERSION
    ) & (protocol.length > 4)  # fmt: skip
    regular = regular & ((split & has_url) | none) & has_address & known
    kind = fields["kind"]
    is_alb = kind.length > 0
    scheme = address.pop("scheme")
    address["protocol"] = Spans(np.where(is_alb, kind.start, scheme.start), np.where(is_alb, kind.end, scheme.end))
    fields["http_version"] = _where(split & ~none, request["protocol"])
    fields["client_port"] = client.pop("client_port")
    spans = client | address | {"method": _where(~none, request["method"]), "dyno": fields["target"]}
    spans |= {column: fields[name] for name, column in COLUMNS.items()}
    present = {name: _where(regular & ~text.equals(span, b"-"), span) for name, span in spans.items()}
    columns = dict(zip(present, text.filled(list(present.values())), strict=True))
    return columns | {"source": pa.array(["elb", "alb"]).take(indices(is_alb.astype(np.int64)))}, regular


def _address(text: Text, url: Spans) -> tuple[dict[str, Spans], Mask]:
    """Scheme, host without the scheme's own port, and path of an address, and where it is a plain one."""
    found = np.zeros(len(url.start), dtype=np.bool_)
    scheme, host, path = (_nowhere(len(found)) for _ in range(3))
    for prefix, port in _SCHEMES:
        begins = text.starts_with(url.start, prefix) & (url.length > len(prefix))
        start = np.where(begins, url.start + len(prefix), 0)
        slash = np.where(begins, text.next(b"/", start), 0)
        begins &= slash < url.end
        before = Spans(start, np.maximum(slash, start))
        for octet in (b"?", b"#", b"@"):
            begins &= text.count(octet, before) == 0
        port_at = np.maximum(slash - len(port), 0)
        has_port = (port_at >= start) & text.starts_with(port_at, port)
        for span, (first, last) in (
            (scheme, (url.start, start - len(b"://"))), (host, (start, np.where(has_port, port_at, slash))),
            (path, (slash, url.end)),
        ):  # fmt: skip
            span.start[begins], span.end[begins] = first[begins], last[begins]
        found |= begins
    return {"scheme": scheme, "host": host, "path": path}, found


def _client(text: Text, word: Spans) -> tuple[dict[str, Spans], Mask]:
    """Address and port, and where they stand so; the address can be one of IPv6 without brackets."""
    colons = np.append(-1, text.positions(b":"))
    colon = colons[np.searchsorted(colons, word.end) - 1]
    inside = colon >= word.start
    port = _where(inside, Spans(colon + 1, word.end))
    _, valid = text.integers(port)
    plain = inside & valid & (text.count(b"[", word) == 0) & (text.count(b"]", word) == 0)
    return {"client_ip": _where(plain, Spans(word.start, colon)), "client_port": port}, plain


def _extra(text: Text, fields: Mapping[str, Spans], duration_us: pa.Array, regular: Mask) -> pa.Array:
    """The fields without a column as a JSON object of strings; nothing in regular lines needs an escape."""
    members = []
    for key in _EXTRA:
        if key == "duration_us":
            values = duration_us.cast(pa.string())
        elif not fields[key].end.any():
            continue
        else:
            span = fields[key]
            values = text.strings(span, (span.length > 0) & ~text.equals(span, b"-"))
        members.append(pc.binary_join_element_wise(f'"{key}":"', values, '"', ""))
    # A row without any member would fall out of the join; only irregular lines have none.
    members.append(pc.if_else(booleans(~regular), "", pa.scalar(None, pa.string())))
    joined = pc.binary_join_element_wise(*members, ",", null_handling="skip")
    return pc.binary_join_element_wise("{", joined, "}", "")
