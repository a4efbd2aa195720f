"""The apps that a window has anything of, busiest first, and the figures of their traffic."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from queries.report.quoting import between
from queries.report.sums import REQUESTS, TRAFFIC, of_window

if TYPE_CHECKING:
    from collections.abc import Callable

    from queries.report.asked import Asked, Record
    from queries.report.model import Chart

# A page with the charts of more apps is read by nobody; the findings and rows are of all.
DRAWN_MAX: Final = 3

_TRAFFIC: Final = """SELECT count(*) FILTER (WHERE source = 'heroku') AS requests,
  count(*) FILTER (WHERE source <> 'heroku') AS balanced,
  count(*) FILTER (
    WHERE source = 'heroku' AND (status >= 500 OR code IS NOT NULL) AND coalesce(code NOT IN ('H27', 'H28'), true)
  ) AS failed,
  quantile_disc(service_ms, 0.95)
    FILTER (WHERE source = 'heroku' AND dyno IS NOT NULL AND status IS DISTINCT FROM 101) AS p95_ms
FROM {rows}"""

_LOGGED: Final = "SELECT count(*) AS logged FROM {rows}"

_APPS: Final = """SELECT app, sum(amount) AS amount FROM (
  SELECT app, sum(requests) AS amount FROM {routes} GROUP BY app
  UNION ALL
  SELECT app, sum(received + dropped) FROM {coverage} GROUP BY app
) WHERE app IS NOT NULL GROUP BY app ORDER BY amount DESC, app"""


def apps(asked: Asked) -> tuple[str, ...]:
    """All apps with requests or lines in the window, busiest first."""
    sql = _APPS.format(routes=routes(asked), coverage=asked.call("coverage"))
    return tuple(row["app"] for row in asked.records(sql))


def traffic(asked: Asked) -> Record:
    """Requests at Heroku's router, those that failed but for what clients broke off, the p95 of their time; and
    requests in a load balancer's log, which are not counted in a long window. Where there are none of them, also the
    lines in a web server's log."""
    statement = of_window(TRAFFIC, asked.window) if asked.is_long else _TRAFFIC.format(rows=_rows("router", asked))
    [found] = asked.records(statement)
    if found["requests"] or found.get("balanced"):
        return found
    return found | asked.records(_LOGGED.format(rows=_rows("access", asked)))[0]


def _rows(table: str, asked: Asked) -> str:
    return between(table, asked.window)


def routes(asked: Asked) -> str:
    """A source of the `requests` of each `app`, `route` and `source`, of their `worked_ms` and `bytes_sent`.

    It is of the part of the window of which `routes` would be asked; that question also counts the paths.
    """
    [window] = asked.windows("routes")
    rows = between("routes", window)
    return asked.shared(f"SELECT app, route, source, requests, worked_ms, bytes_sent FROM {rows}")  # noqa: S608 - times


def requests_by_route(asked: Asked) -> str:
    """A source of how many requests (`requests`) each `app` and `route` had, of all of a long window, too."""
    return asked.shared(of_window(REQUESTS, asked.window)) if asked.is_long else routes(asked)


def drawn(asked: Asked, draw: Callable[[Asked, str], Chart]) -> tuple[Chart, ...]:
    """One chart for each of the busiest apps, with its name in the title if there are several."""
    names = apps(asked)
    charts = ((app, draw(asked, app)) for app in names[:DRAWN_MAX])
    filled = [
        (app, chart) for app, chart in charts if any(value is not None for line in chart.lines for value in line.values)
    ]
    return tuple(replace(chart, title=f"{chart.title}, {app}") if len(names) > 1 else chart for app, chart in filled)
