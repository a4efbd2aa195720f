"""The standing questions about an access log: what was asked for, by whom, from where, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.access import charts
from queries.report.formatting import duration, share, size
from queries.report.model import Section
from queries.report.quoting import sql_text
from queries.report.words import counted, named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from queries.access.reading import Asking

FILE: Final = (
    r"regexp_matches(lower(path), '\.(css|js|mjs|map|png|jpe?g|gif|webp|avif|svg|ico|woff2?|ttf|otf|eot|pdf|zip|gz"
    r"|mp[34]|webm|json|xml|txt|webmanifest|wasm)$')"
)
_SHARE: Final = "requests / sum(requests) OVER () AS share"
_AMOUNTS: Final = "sum(requests)::BIGINT AS requests, to_bigint(sum(bytes)) AS bytes"
_DAYS: Final = f"""SELECT day, requests, coalesce(visitors, 0) AS visitors, coalesce(crawlers, 0) AS crawlers, bytes,
  not_found, failed
FROM (
  SELECT to_timestamp(step * 300)::DATE AS day, {_AMOUNTS},
    coalesce(sum(requests) FILTER (WHERE status IN (404, 410)), 0)::BIGINT AS not_found,
    coalesce(sum(requests) FILTER (WHERE status >= 500), 0)::BIGINT AS failed
  FROM {{steps}} GROUP BY day
) LEFT JOIN (
  SELECT to_timestamp(hour * 3600)::DATE AS day, count(DISTINCT visitor) FILTER (WHERE crawler IS NULL) AS visitors,
    count(DISTINCT visitor) FILTER (WHERE crawler IS NOT NULL) AS crawlers
  FROM {{visits}} LEFT JOIN {{kinds}} USING (agent) GROUP BY day
) USING (day)"""  # noqa: S608
_HOURS: Final = f"""SELECT hour, requests, {_SHARE}, bytes
FROM (SELECT step // 12 % 24 AS hour, {_AMOUNTS} FROM {{steps}} GROUP BY hour)"""  # noqa: S608
_TOTALS: Final = f"""SELECT {_AMOUNTS}, (
    SELECT count(DISTINCT visitor) FROM {{visits}} LEFT JOIN {{kinds}} USING (agent) WHERE crawler IS NULL
  ) AS visitors,
  (SELECT sum(requests) FILTER (WHERE crawler IS NOT NULL)::BIGINT FROM {{kinds}}) AS crawled
FROM {{steps}}"""  # noqa: S608
_PATHS: Final = """SELECT path, sum(requests)::BIGINT AS requests,
  sum(requests) / (SELECT sum(requests) FROM {pages}) AS share, to_bigint(sum(bytes)) AS bytes,
  to_bigint(sum(bytes) / sum(requests)) AS bytes_each,
  coalesce(sum(requests) FILTER (WHERE status >= 500), 0)::BIGINT AS failed
FROM {pages} WHERE status NOT IN (404, 410) AND {which} GROUP BY path"""
_STATUSES: Final = (
    f"SELECT status, requests, {_SHARE}, bytes FROM (SELECT status, {_AMOUNTS} FROM {{steps}} GROUP BY status)"  # noqa: S608
)
_METHODS: Final = (
    f"SELECT method, requests, {_SHARE}, bytes FROM (SELECT method, {_AMOUNTS} FROM {{steps}} GROUP BY method)"  # noqa: S608
)
_PROTOCOLS: Final = (
    f"SELECT protocol, requests, {_SHARE}, bytes FROM (SELECT protocol, {_AMOUNTS} FROM {{steps}} GROUP BY protocol)"  # noqa: S608
)
# Without the braces and quotes that a referrer may hold: a host stands in statements.
HOST: Final = "lower(regexp_extract(referrer, '^https?://([A-Za-z0-9.:-]+)', 1))"
_BARE_HOST: Final = f"regexp_replace({HOST}, '^www[.]', '')"
# The site's own pages lead to its own paths: of all hosts, the one whose pages were asked for here most often.
_OWN_HOST: Final = rf"""SELECT {_BARE_HOST} AS host FROM {{referrers}}
SEMI JOIN (SELECT DISTINCT path FROM {{pages}} WHERE status < 400) AS served
  ON served.path = regexp_extract(referrer, '^[a-z]+://[^/?#]+(/[^?#]+)', 1)
WHERE {HOST} <> '' GROUP BY host ORDER BY sum(requests) DESC, host LIMIT 1"""  # noqa: S608
_MISSING: Final = """SELECT path, sum(requests)::BIGINT AS requests,
  coalesce(sum(requests) FILTER (WHERE {own}), 0)::BIGINT AS from_own_pages,
  coalesce(sum(requests) FILTER (WHERE crawler IS NOT NULL), 0)::BIGINT AS by_crawlers,
  arg_max(referrer, (requests, referrer)) AS referrer
FROM {{missing}} LEFT JOIN (SELECT agent, crawler FROM {{kinds}}) USING (agent) GROUP BY path"""
_HOSTS: Final = f"""SELECT host, requests, {_SHARE}, pages FROM (
  SELECT {HOST} AS host, sum(requests)::BIGINT AS requests, count(DISTINCT referrer) AS pages
  FROM {{referrers}} WHERE NOT {{own}} AND {HOST} <> '' GROUP BY host
)"""  # noqa: S608
_REFERRERS: Final = """SELECT referrer, sum(requests)::BIGINT AS requests
FROM {{referrers}} WHERE NOT {own} GROUP BY referrer"""
_ADDRESSES: Final = """SELECT client_ip AS address, sum(requests)::BIGINT AS requests,
  sum(requests) / (SELECT sum(requests) FROM {addresses}) AS share, to_bigint(sum(bytes)) AS bytes,
  sum(refused) / sum(requests) AS refused_share
FROM {addresses} GROUP BY client_ip"""
_BROWSERS: Final = f"""SELECT browser, requests, {_SHARE}, bytes FROM (
  SELECT browser, {_AMOUNTS} FROM {{kinds}} WHERE crawler IS NULL GROUP BY browser
)"""  # noqa: S608
_SYSTEMS: Final = f"""SELECT system, requests, {_SHARE}, bytes FROM (
  SELECT system, {_AMOUNTS} FROM {{kinds}} WHERE crawler IS NULL GROUP BY system
)"""  # noqa: S608
CRAWLERS: Final = f"""SELECT crawler, kind, requests, requests / (SELECT sum(requests) FROM {{kinds}}) AS share, bytes
FROM (SELECT crawler, crawler_kind AS kind, {_AMOUNTS} FROM {{kinds}} WHERE crawler IS NOT NULL GROUP BY ALL)"""  # noqa: S608
_AGENTS: Final = f"SELECT user_agent, {_AMOUNTS} FROM {{agents}} GROUP BY user_agent"  # noqa: S608
# Nearest rank on the real values.
_TIMES: Final = """SELECT path, max(requests) AS requests,
  min(request_ms) FILTER (WHERE up_to >= 0.5 * requests) AS p50_ms,
  min(request_ms) FILTER (WHERE up_to >= 0.95 * requests) AS p95_ms, max(request_ms) AS max_ms,
  sum(request_ms * here) / 1000 AS total_seconds
FROM (
  SELECT path, request_ms, sum(requests)::BIGINT AS here,
    sum(sum(requests)) OVER (PARTITION BY path ORDER BY request_ms)::BIGINT AS up_to,
    sum(sum(requests)) OVER (PARTITION BY path)::BIGINT AS requests
  FROM {times} GROUP BY path, request_ms
) GROUP BY path"""
PLAIN: Final = """SELECT path, content_type, sum(requests)::BIGINT AS requests,
  to_bigint(sum(bytes) / sum(requests)) AS bytes_each, to_bigint(sum(bytes)) AS bytes_sent
FROM {plain} GROUP BY ALL"""


def own_host(asking: Asking) -> str | None:
    """The site's own host without `www.`, as its pages' links tell it; None when none do."""
    found = asking.once(_OWN_HOST)
    return found[0]["host"] if found else None


def from_own(host: str | None) -> str:
    """SQL that says whether a referrer is a page of the site; nothing is, when its host is not known."""
    return "false" if host is None else f"coalesce({_BARE_HOST} = {sql_text(host)}, false)"


def traffic(asking: Asking) -> Section:
    """Requests, visitors and bytes, by day and by hour of the day."""
    total = asking.record(_TOTALS)
    if not total["requests"]:
        return Section("traffic", "Requests and visitors", "There were no requests.")
    crawled = share((total["crawled"] or 0) / total["requests"])
    sentence = (
        f"{counted(total['requests'], 'request')} of {counted(total['visitors'], 'visitor')} took"
        f" {size(total['bytes'])};"
        f" crawlers made {crawled} of them. A visitor is an address with a user agent, crawlers are not counted."
    )
    answers = (asking.answer("By day (UTC)", _DAYS, "day"), asking.answer("By hour of the day (UTC)", _HOURS, "hour"))
    drawn = (charts.requests(asking), charts.visitors(asking), charts.sent(asking))
    return Section("traffic", "Requests and visitors", sentence, drawn, answers)


def pages(asking: Asking) -> Section:
    """What was asked for most: pages, and files by the bytes they took."""
    page = _PATHS.replace("{which}", f"NOT {FILE}")
    file = _PATHS.replace("{which}", FILE)
    most = "requests DESC, path"
    answers = (asking.answer("Pages", page, most), asking.answer("Files, by bytes sent", file, f"bytes DESC, {most}"))
    first = answers[0].rows[:1]
    told = [f"The page asked for most is {named(row[0])}, with {share(row[2])} of all requests" for row in first]
    told += [f"the file that took most bytes is {named(row[0])}, {size(row[3])}" for row in answers[1].rows[:1]]
    sentence = f"{'; '.join(told)}. Paths are without their query." if told else "No path was asked for."
    return Section("pages", "Pages and files", f"{sentence[:1].upper()}{sentence[1:]}", (), answers)


def statuses(asking: Asking) -> Section:
    """What became of requests, and how they came."""
    answers = (
        asking.answer("Statuses", _STATUSES, "requests DESC, status"),
        asking.answer("Methods", _METHODS, "requests DESC, method"),
        asking.answer("Protocols", _PROTOCOLS, "requests DESC, protocol"),
    )
    parts = [f"{share(row[2])} were answered with {row[0]}" for row in answers[0].rows[:3]]
    return Section("statuses", "Statuses", f"{'; '.join(parts)}.", (charts.fates(asking),), answers)


def missing(asking: Asking) -> Section:
    """What was asked for and not there, and where the link stands."""
    host = own_host(asking)
    statement = _MISSING.format(own=from_own(host))
    answer = asking.answer("Not found", statement, "from_own_pages DESC, requests DESC, path")
    total = asking.record(
        f"SELECT sum(requests)::BIGINT AS requests, sum(from_own_pages)::BIGINT AS own FROM ({statement})"  # noqa: S608
    )
    if not total["requests"]:
        return Section("not-found", "Not found", "All that was asked for was there.")
    own = f"; {counted(total['own'], 'of them', 'of them')} came from pages of {host} itself" if host else ""
    sentence = f"{counted(total['requests'], 'request')} for {counted(answer.row_count, 'path')} found nothing{own}."
    return Section("not-found", "Not found", sentence, (), (answer,))


def referrers(asking: Asking) -> Section:
    """Which other sites lead here."""
    host = own_host(asking)
    own = from_own(host)
    hosts = asking.answer("Sites", _HOSTS.replace("{own}", own), "requests DESC, host")
    linking = asking.answer("Pages of other sites", _REFERRERS.format(own=own), "requests DESC, referrer")
    less = f", other than {host} itself" if host else ""
    if not hosts.rows:
        return Section("referrers", "Referrers", f"No other site led here{less}.")
    name, requests = hosts.rows[0][:2]
    sentence = (
        f"{counted(hosts.row_count, 'site')} led here{less}; most came from {named(name)},"
        f" {counted(requests, 'request')}."
    )
    return Section("referrers", "Referrers", sentence, (), (hosts, linking))


def visitors(asking: Asking) -> Section:
    """Who came: addresses, browsers, systems, crawlers."""
    most = "requests DESC"
    answers = (
        asking.answer("Browsers and programs", _BROWSERS, f"{most}, browser"),
        asking.answer("Systems", _SYSTEMS, f"{most}, system"),
        asking.answer("Crawlers", CRAWLERS, f"{most}, crawler"),
        asking.answer("Addresses", _ADDRESSES, f"{most}, address"),
        asking.answer("User agents", _AGENTS, f"{most}, user_agent"),
    )
    told = [f"most used is {named(row[0], 'none that says its name')}, {share(row[2])}" for row in answers[0].rows[:1]]
    told += [
        f"the busiest crawler is {named(row[0])}, with {share(row[3])} of all requests" for row in answers[2].rows[:1]
    ]
    sentence = f"They came from {counted(answers[3].row_count, 'address', 'addresses')}; {'; '.join(told)}."
    return Section("visitors", "Browsers, crawlers, addresses", sentence, (), answers)


def times(asking: Asking) -> Section:
    """Which paths take long, where the log tells times."""
    answer = asking.answer("Paths by their working time", _TIMES, "total_seconds DESC, path")
    if not answer.rows:
        sentence = "The lines carry no times; those of the key=value format in drainlake's documentation do."
        return Section("times", "Slow requests", sentence)
    slow = max(answer.rows, key=lambda row: row[3])
    sentence = (
        f"The slowest of the busiest paths is {named(slow[0])}: 95 % of its requests took {duration(slow[3])} at most."
    )
    return Section("times", "Slow requests", sentence, (), (answer,))


def compression(asking: Asking) -> Section:
    """What went out uncompressed to clients that take gzip, where the log tells encodings."""
    answer = asking.answer("Uncompressed", PLAIN, "bytes_sent DESC, path")
    if not answer.rows:
        sentence = "No line proves that text went out uncompressed; lines in the format combined cannot."
        return Section("compression", "Compression", sentence)
    sent = asking.record("SELECT to_bigint(sum(bytes)) AS bytes FROM {plain}")["bytes"]
    files = counted(answer.row_count, "file or page", "files and pages")
    return Section("compression", "Compression", f"{files} went out uncompressed, {size(sent)} in all.", (), (answer,))


# By what a note calls them when they fail, in the order of the report.
SECTIONS: Final[Mapping[str, Callable[[Asking], Section]]] = {
    "traffic": traffic,
    "pages": pages,
    "statuses": statuses,
    "not found": missing,
    "referrers": referrers,
    "visitors": visitors,
    "slow requests": times,
    "compression": compression,
}
