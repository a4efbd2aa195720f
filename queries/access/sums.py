"""What is kept of access lines: sums by what they have in common. Memory grows with what differs, not with lines.

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
_SIZED: Final = {**_REQUESTS, "bytes": "to_bigint(coalesce(sum(bytes), 0))"}
_PATH: Final = "split_part(path, '?', 1)"
_REFERRER: Final = "split_part(referrer, '?', 1)"


class Group(NamedTuple):
    """Rows of ``access`` by some of its columns: what is added up of them, and which rows count.

    Where ``needs``, a column, is NULL in all rows, none counts.
    """

    columns: tuple[str, ...]
    amounts: Mapping[str, str]
    where: str = ""
    needs: str = "timestamp"

    def of(self, rows: str) -> str:
        """The statement that groups some rows."""
        amounts = [f"{value} AS {name}" for name, value in self.amounts.items()]
        where = f" WHERE {self.where}" if self.where else ""
        return f"SELECT {', '.join([*self.columns, *amounts])} FROM {rows}{where} GROUP BY ALL"  # noqa: S608


class Sum(NamedTuple):
    """What is kept of a group: keys, and what is added up.

    An expression is computed for each different value of a group, not for each row; one group may serve several sums.
    """

    group: str
    keys: Mapping[str, str]
    amounts: tuple[str, ...] = ()

    def of(self, grouped: str) -> str:
        """The statement that makes the sum of a group."""
        return self._added(grouped, [f"{value} AS {name}" for name, value in self.keys.items()])

    def again(self, name: str) -> str:
        """The statement that adds up what several pieces gave."""
        return self._added(name, list(self.keys))

    def over(self, rows: str) -> str:
        """The statement over rows of ``access``."""
        return self.of(f"({GROUPS[self.group].of(rows)})")

    def _added(self, source: str, keys: list[str]) -> str:
        columns = ", ".join([*keys, *(f"to_bigint(sum({amount})) AS {amount}" for amount in self.amounts)])
        return f"SELECT {columns} FROM {source} GROUP BY ALL"  # noqa: S608 - our own names


GROUPS: Final = {
    "by_step": Group(
        (f"steps_since_1970(epoch_us(timestamp), {_STEP_US}) AS step", "method", "protocol", "status"), _SIZED
    ),
    "by_visitor": Group(
        ("steps_since_1970(epoch_us(timestamp), 3600000000) AS hour", "client_ip", "user_agent"),
        {**_SIZED, "refused": "count(*) FILTER (WHERE status >= 400)"},
    ),
    "by_path": Group(("path", "status"), _SIZED),
    "by_referrer": Group(("referrer",), _REQUESTS, "referrer IS NOT NULL"),
    "not_found": Group(("path", "referrer", "user_agent"), _REQUESTS, "status IN (404, 410)"),
    "timed": Group(("path", "request_ms"), _REQUESTS, "request_ms IS NOT NULL", "request_ms"),
    # A client that takes gzip got text without it: the server does not compress.
    "uncompressed": Group(
        ("path", "content_type"),
        _SIZED,
        "content_encoding IS NULL AND status = 200 AND method = 'GET' AND bytes > 1400"
        " AND compressible_type(content_type) AND offers_encoding(accept_encoding)",
        "content_type",
    ),
}
_SIZES: Final = ("requests", "bytes")
SUMS: Final = {
    "steps": Sum("by_step", {name: name for name in ("step", "method", "protocol", "status")}, _SIZES),
    "visits": Sum(
        "by_visitor", {"hour": "hour", "agent": "hash(user_agent)", "visitor": "hash(client_ip, user_agent)"}
    ),
    "addresses": Sum("by_visitor", {"client_ip": "client_ip"}, (*_SIZES, "refused")),
    "agents": Sum("by_visitor", {"user_agent": "user_agent"}, _SIZES),
    "pages": Sum("by_path", {"path": _PATH, "status": "status"}, _SIZES),
    "referrers": Sum("by_referrer", {"referrer": _REFERRER}, ("requests",)),
    "missing": Sum("not_found", {"path": _PATH, "referrer": _REFERRER, "agent": "hash(user_agent)"}, ("requests",)),
    "times": Sum("timed", {"path": _PATH, "request_ms": "request_ms"}, ("requests",)),
    "plain": Sum("uncompressed", {"path": _PATH, "content_type": "split_part(content_type, ';', 1)"}, _SIZES),
}
