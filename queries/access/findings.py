"""What an access log shows to be wrong: secrets sent, failures, broken links, text sent uncompressed, crowding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from queries.access import charts
from queries.access.sections import CRAWLERS, PLAIN, from_own, own_host
from queries.report.formatting import share, size
from queries.report.model import Finding, Severity
from queries.report.quoting import command, sql_text, statement_command
from queries.report.words import counted, listed, named, times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from queries.access.reading import Asking, Record
    from queries.report.model import Chart

# Below these shares of all requests, failures are told as a notice, or not at all.
FAILED_CRITICAL, FAILED_WARNING, FAILED_NOTICE = 0.05, 0.01, 0.001
FAILED_LEAST: Final = 5
LINKS_WARNING: Final = 0.01
# As in the report on a lake.
CRAWLER_SHARE: Final = 0.2
ADDRESS_SHARE: Final = 0.1
PLAIN_SHARE: Final = 0.05
PLAIN_WARNING_BYTES, PLAIN_NOTICE_BYTES = 10_000_000, 1_000_000
CROWD_LEAST: Final = 1_000  # requests; of a small log, everything is a large share

_SECRETS: Final = (
    r"regexp_matches(path, '(^|/)\.(env(\.[a-z]+)?|git/(config|HEAD|index)|aws/credentials|htpasswd"
    r"|ssh/id_[a-z0-9]+)$')"
)
_PROBES: Final = (
    r"regexp_matches(lower(path), '(^|/)(\.env|\.git/|\.aws/|wp-login\.php|xmlrpc\.php|wp-admin|phpmyadmin|admin\.php"
    r"|cgi-bin/|vendor/phpunit|boaform|actuator/|\.ssh/)|\.\./|etc/passwd')"
)
_SENT: Final = f"""SELECT path, sum(requests)::BIGINT AS requests, to_bigint(sum(bytes)) AS bytes
FROM {{pages}} WHERE status = 200 AND bytes > 0 AND {_SECRETS} GROUP BY path ORDER BY requests DESC, path"""  # noqa: S608
_FAILED: Final = """SELECT path, sum(requests)::BIGINT AS requests FROM {pages}
WHERE status >= 500 GROUP BY path ORDER BY requests DESC, path"""
_LINKS: Final = """SELECT path, sum(requests)::BIGINT AS requests, arg_max(referrer, (requests, referrer)) AS referrer
FROM {{missing}} WHERE {own} AND NOT {probe} GROUP BY path ORDER BY requests DESC, path"""
_PROBED: Final = f"""SELECT path, sum(requests)::BIGINT AS requests FROM {{missing}}
WHERE {_PROBES} GROUP BY path ORDER BY requests DESC, path"""  # noqa: S608
_CROWDS: Final = """SELECT client_ip, sum(requests)::BIGINT AS requests FROM {addresses}
WHERE client_ip IS NOT NULL GROUP BY client_ip ORDER BY requests DESC, client_ip LIMIT 5"""
_ALL: Final = (
    "SELECT coalesce(sum(requests), 0)::BIGINT AS requests, to_bigint(coalesce(sum(bytes), 0)) AS bytes FROM {steps}"
)


@dataclass(frozen=True)
class Looking:
    """What checks look at; ``first`` is the shell line that imports the files, for commands to dig further."""

    asking: Asking
    app: str
    first: str
    requests: int
    bytes: int

    @classmethod
    def at(cls, asking: Asking, app: str, first: str) -> Looking:
        """With the sums of all requests."""
        total = asking.record(_ALL)
        return cls(asking, app, first, total["requests"], total["bytes"])

    def made(  # noqa: PLR0913 - the fields of a finding
        self,
        kind: str,
        severity: Severity,
        sentence: str,
        statement: str,
        *,
        question: str = "",
        lines: str = "",
        subject: str = "",
        advice: str = "",
        chart: Chart | None = None,
    ) -> Finding:
        """A finding of the whole window. To dig further there is a ``question``, where one reads access lines, else the
        ``lines`` themselves, by what they have in common."""
        window = self.asking.window
        further = command(question, window, self.app) if question else statement_command(self.asking.lines(lines))
        return Finding(
            kind, self.app, subject, severity, sentence, window.since, window.until, self.asking.sql(statement),
            f"{self.first} && {further}", advice, chart=chart,
        )  # fmt: skip


def of_path(rows: Sequence[Record]) -> str:
    """The lines of the path that comes first."""
    return f"split_part(path, '?', 1) = {sql_text(rows[0]['path'])}"


def secrets(looking: Looking) -> Iterator[Finding]:
    """Files with secrets that the server gave to whoever asked."""
    rows = looking.asking.records(_SENT)
    if rows:
        names = listed([named(row["path"]) for row in rows[:3]], max(0, len(rows) - 3))
        yield looking.made(
            "secrets-sent",
            Severity.CRITICAL,
            f"Files that hold secrets were sent: {names}, {times(sum(row['requests'] for row in rows))} in all.",
            _SENT,
            lines=of_path(rows),
            advice="Change every key and password in them today, then deny them in the server:\n"
            r"location ~ /\.(?!well-known/) { return 404; }",
        )


def failures(looking: Looking) -> Iterator[Finding]:
    """Requests that the server failed."""
    rows = looking.asking.records(_FAILED)
    failed = sum(row["requests"] for row in rows)
    part = failed / looking.requests if looking.requests else 0.0
    if failed < FAILED_LEAST or part < FAILED_NOTICE:
        return
    severity = Severity.NOTICE if part < FAILED_WARNING else Severity.WARNING
    yield looking.made(
        "failures",
        Severity.CRITICAL if part >= FAILED_CRITICAL else severity,
        f"{counted(failed, 'request')} failed (5xx), {share(part)} of all; most often {named(rows[0]['path'])},"
        f" {times(rows[0]['requests'])}.",
        _FAILED,
        lines="status >= 500",
        advice="The server's error log of the same minutes says why.",
        chart=charts.requests(looking.asking),
    )


def links(looking: Looking) -> Iterator[Finding]:
    """Links of the site itself that lead nowhere."""
    host = own_host(looking.asking)
    statement = _LINKS.format(own=from_own(host), probe=_PROBES)
    rows = looking.asking.records(statement)
    if not rows:
        return
    followed = sum(row["requests"] for row in rows)
    severity = Severity.WARNING if followed / looking.requests >= LINKS_WARNING else Severity.NOTICE
    yield looking.made(
        "broken-links",
        severity,
        f"{counted(len(rows), 'link')} on pages of {host} itself lead nowhere, followed {times(followed)}; most often"
        f" {named(rows[0]['path'])}, from {named(rows[0]['referrer'])}.",
        statement,
        lines=of_path(rows),
        advice="Mend the links, or redirect the paths (301) to what stands in their place.",
    )


def plain(looking: Looking) -> Iterator[Finding]:
    """Text that went out uncompressed to clients that take gzip, as the lines prove."""
    rows = looking.asking.records(f"{PLAIN} ORDER BY bytes_sent DESC, path")
    sent = sum(row["bytes_sent"] for row in rows)
    if sent < PLAIN_NOTICE_BYTES:
        return
    is_much = sent >= PLAIN_WARNING_BYTES and sent >= PLAIN_SHARE * looking.bytes
    yield looking.made(
        "uncompressed",
        Severity.WARNING if is_much else Severity.NOTICE,
        f"{counted(len(rows), 'file or page', 'files and pages')} went out uncompressed,"
        f" {size(sent)} in all; most of it {named(rows[0]['path'])}.",
        PLAIN,
        question="uncompressed_assets",
        advice="The question below also prints the directives of nginx that compress them.",
    )


def crawlers(looking: Looking) -> Iterator[Finding]:
    """Crawlers that make much of the requests."""
    if looking.requests < CROWD_LEAST:
        return
    for row in looking.asking.records(CRAWLERS):
        if row["share"] >= CRAWLER_SHARE and row["kind"] != "monitor":
            yield looking.made(
                "crawler",
                Severity.NOTICE,
                f"The crawler {named(row['crawler'])} made {counted(row['requests'], 'request')},"
                f" {share(row['share'])} of all.",
                CRAWLERS,
                question="crawlers",
                subject=row["crawler"],
                advice="Slow it down in robots.txt (Crawl-delay, Disallow); block one that does not obey in nginx.",
            )


def crowds(looking: Looking) -> Iterator[Finding]:
    """Addresses that make much of the requests alone."""
    for row in looking.asking.records(_CROWDS) if looking.requests >= CROWD_LEAST else ():
        if row["requests"] >= ADDRESS_SHARE * looking.requests:
            yield looking.made(
                "one-address",
                Severity.NOTICE,
                f"{named(row['client_ip'])} alone made {counted(row['requests'], 'request')},"
                f" {share(row['requests'] / looking.requests)} of all.",
                _CROWDS,
                lines=f"client_ip = {sql_text(row['client_ip'])}",
                subject=row["client_ip"],
                advice="If this is your load balancer, log X-Forwarded-For right behind the format combined;"
                " else limit its rate (limit_req in nginx).",
            )


def probes(looking: Looking) -> Iterator[Finding]:
    """Requests that look for known holes, and found nothing."""
    rows = looking.asking.records(_PROBED)
    asked = sum(row["requests"] for row in rows)
    if asked < FAILED_LEAST:
        return
    yield looking.made(
        "probes",
        Severity.NOTICE,
        f"{counted(asked, 'request')}, {share(asked / looking.requests)} of all, looked for holes and found nothing;"
        f" most often {named(rows[0]['path'])}.",
        _PROBED,
        lines=of_path(rows),
        advice="Nothing to mend while they are answered with 404.",
    )


# By what a note calls them when they fail.
CHECKS: Final[Mapping[str, Callable[[Looking], Iterator[Finding]]]] = {
    "secrets": secrets,
    "failures": failures,
    "broken links": links,
    "compression": plain,
    "crawlers": crawlers,
    "busy addresses": crowds,
    "probes": probes,
}
