"""Why bytes are no frame, a frame no record, a line none of its file's form or not read in full.

They stand in the order that columns number them.
"""

from __future__ import annotations

from typing import Final

DEFECTS: Final = (
    "no octet count and header where a frame should begin",
    "the octet count exceeds the body",
    "the octet count is smaller than a header",
    "the octet count runs into the next frame",
    "the header has fewer fields than a frame's",
    "the header's timestamp is no ISO 8601 time",
    "no line of a load balancer's access log",
    "no line of a web server's access log",
    "a part of a line of more than 1 MiB",
    "no line of saved `heroku logs` output",
    "a measured value that cannot be read; the others are in samples",
)
(
    NO_COUNT, COUNT_TOO_LARGE, COUNT_TOO_SMALL, COUNT_WRONG, HEADER_INCOMPLETE, TIMESTAMP_UNREADABLE, NO_ELB_LINE,
    NO_ACCESS_LINE, LINE_CUT, NO_SAVED_LINE, VALUE_UNREADABLE,
) = range(len(DEFECTS))  # fmt: skip
