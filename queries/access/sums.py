"""What is kept of access lines: sums by what they have in common, so that memory grows with what differs, not with lines.

Each sum is defined once, over rows of the table ``access``. It is filled from pieces of a log as they are read, and
stands in the SQL of an answer as a subquery over the lake: both give the same rows, since sums of sums are sums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

STEP_MINUTES: Final = 5
_STEP_US: Final = STEP_MINUTES * 60_000_000
_REQUESTS: Final = {"requests": "count(*)"}
_SIZED: Final = {**_REQUESTS, "bytes": "coalesce(sum(bytes), 0)::BIGINT"}
_PATH: Final = "split_part(path, '?', 1)"


class Sum(NamedTuple):
    """Groups of rows of ``access``: what tells them apart, what is added up of them, and which rows count."""

    keys: Mapping[str, str]
    amounts: Mapping[str, str]
    where: str = "true"

    def of(self, rows: str) -> str:
        """The statement that makes the sum of some rows."""
        columns = ", ".join(f"{value} AS {name}" for name, value in {**self.keys, **self.amounts}.items())
        return f"SELECT {columns} FROM {rows} WHERE {self.where} GROUP BY ALL"  # noqa: S608 - our own names

    def again(self, name: str) -> str:
        """The statement that adds up what several pieces gave."""
        columns = ", ".join([*self.keys, *(f"sum({amount})::BIGINT AS {amount}" for amount in self.amounts)])
        return f"SELECT {columns} FROM {name} GROUP BY ALL"  # noqa: S608 - our own names


SUMS: Final = {
    "steps": Sum(
        {
            "step": f"epoch_us(timestamp) // {_STEP_US}", "method": "method", "protocol": "protocol",
            "status": "status",
        },
        _SIZED,
    ),
    "visits": Sum(
        {
            "hour": "epoch_us(timestamp) // 3600000000", "agent": "hash(user_agent)",
            "visitor": "hash(client_ip, user_agent)",
        },
        {},
    ),
    "pages": Sum({"path": _PATH, "status": "status"}, _SIZED),
    "addresses": Sum({"client_ip": "client_ip"}, {**_SIZED, "refused": "count(*) FILTER (WHERE status >= 400)"}),
    "agents": Sum({"user_agent": "user_agent"}, _SIZED),
    "referrers": Sum({"referrer": "split_part(referrer, '?', 1)"}, _REQUESTS, "referrer IS NOT NULL"),
    "missing": Sum(
        {"path": _PATH, "referrer": "split_part(referrer, '?', 1)", "agent": "hash(user_agent)"},
        _REQUESTS,
        "status IN (404, 410)",
    ),
    "times": Sum({"path": _PATH, "request_ms": "request_ms"}, _REQUESTS, "request_ms IS NOT NULL"),
    # A client that takes gzip got text without it: the server does not compress.
    "plain": Sum(
        {"path": _PATH, "content_type": "split_part(content_type, ';', 1)"},
        _SIZED,
        "request_ms IS NOT NULL AND content_encoding IS NULL AND status = 200 AND method = 'GET' AND bytes > 1400"
        " AND compressible_type(content_type) AND offers_encoding(accept_encoding)",
    ),
}  # fmt: skip
