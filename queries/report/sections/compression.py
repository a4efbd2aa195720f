"""Does what should be compressed go out compressed?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.report import series
from queries.report.apps import drawn
from queries.report.balancer import has_balancer
from queries.report.formatting import size
from queries.report.model import Section
from queries.report.words import counted, named

if TYPE_CHECKING:
    from queries.report.asked import Asked

_CHANGED: Final = "verdict NOT IN ('no difference shown', 'nothing to compare with')"

_UNCOMPRESSED: Final = "FROM {question} WHERE evidence <> 'refuted'"

_TOTALS: Final = """SELECT count(*) AS paths, arg_max(path, bytes_sent) AS largest,
  sum(saving_low_bytes) AS saving_low_bytes, sum(saving_high_bytes) AS saving_high_bytes
FROM {question} WHERE evidence <> 'refuted'"""


def section(asked: Asked) -> Section:
    """What goes out uncompressed, and what the load balancer's log says of it."""
    answers = [asked.answer_to("uncompressed_assets", _UNCOMPRESSED.format(question=asked.call("uncompressed_assets")))]
    if has_balancer(asked):
        answers.append(asked.answer("migration_diff", _CHANGED))
    return Section("compression", "Compression", _sentence(asked), drawn(asked, series.sent), tuple(answers))


def _sentence(asked: Asked) -> str:
    [row] = asked.records(_TOTALS.format(question=asked.call("uncompressed_assets")))
    if not row["paths"]:
        return "Nothing is known to go out uncompressed."
    files = counted(row["paths"], "file or page", "files and pages")
    return (
        f"{files} went out uncompressed, most of all {named(row['largest'])}; gzip would have saved"
        f" {size(row['saving_low_bytes'])} to {size(row['saving_high_bytes'])} in this window."
    )
