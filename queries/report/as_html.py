"""A report as one HTML file that loads nothing.

The page's own policy lets run, by hash, the two scripts and the style that stand here, and nothing else: not from
anywhere, not inline, no image, no form, no request. So what would slip through the escaping could neither run nor load.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from queries.report.html.page_view import page_view

if TYPE_CHECKING:
    from queries.report.model import Report

_FOLDER: Final = Path(__file__).parent / "html"
_PLOT: Final = "uPlot-1.6.32"
# Compiled as this is imported: who waits for a report to be made can have that done.
_TEMPLATE: Final = Environment(
    loader=FileSystemLoader(_FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
).get_template("page.html")


def render(report: Report) -> str:
    """The page, less than 3 MB; the same report always gives the same bytes."""
    style = f"{_asset(f'{_PLOT}.min.css')}{_asset('page.css')}"
    plot_script, page_script = _asset(f"{_PLOT}.iife.min.js"), _asset("page.js")
    return _TEMPLATE.render(
        page=page_view(report),
        policy=_policy([plot_script, page_script], style),
        # Our own files, not text of a report: the only ones that are not escaped.
        style=Markup(style),  # noqa: S704
        plot_script=Markup(plot_script),  # noqa: S704
        page_script=Markup(page_script),  # noqa: S704
    )


@functools.cache
def _asset(name: str) -> str:
    return (_FOLDER / "assets" / name).read_text("utf-8")


def _policy(scripts: list[str], style: str) -> str:
    parts = (
        "default-src 'none'",
        f"script-src {' '.join(map(_hash, scripts))}",
        f"style-src {_hash(style)}",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return "; ".join(parts)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
