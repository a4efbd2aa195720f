"""Hand one message to one destination: a folder or file here, or whatever apprise reaches.

Nothing of an address leaves this module. apprise's log is cut off from every handler; what it says of a failure is
turned into one of a few fixed sentences, and an exception becomes its type's name.
"""

from __future__ import annotations

import logging
import queue
import re
import threading
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from drainlake.errors import WrongUse
from queries.delivery.ledger import Kind
from queries.delivery.outbox import Refused, Unsure
from transforms import durable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from apprise import NotifyBase

    from drainlake.destinations import Destination
    from queries.delivery.ledger import Message

TRY_SECONDS_MAX: Final = 120.0  # less than the lease of a begun parcel
SILENCE_SECONDS_MAX: Final = 30.0
FILES_MAX: Final = 60
STALE_SECONDS: Final = 3600.0
_SCROLLS: Final = ' style="overflow-x:auto;overflow-wrap:normal"'
_OURS: Final = re.compile(r"(report|alarm)-\d{8}T\d{4,6}Z(-asked|-test|-\d+)?\.(html|txt|md)")
_STATUS: Final = re.compile(r"error=(\d{3})\b")
_SENTENCES: Final = (
    (re.compile(r"timed? ?out", re.IGNORECASE), "it did not answer in time"),
    (re.compile(r"AUTH extension not supported"), "it offers no login; mailtos:// speaks TLS"),
    (re.compile(r"authenticat|\b535\b|credentials", re.IGNORECASE), "it refused the user or the password"),
    (re.compile(r"certificate|ssl|tls", re.IGNORECASE), "its certificate or TLS was not accepted"),
    (re.compile(r"resol|Name or service|getaddrinfo", re.IGNORECASE), "its name could not be resolved"),
    (re.compile(r"refused: \d|recipient|\(55\d,", re.IGNORECASE), "it refused the recipient"),
    (re.compile(r"attachment", re.IGNORECASE), "it did not take the attachment"),
    (re.compile(r"connection", re.IGNORECASE), "it could not be reached"),
)


@dataclass(frozen=True)
class Content:
    """What goes out: the text, for mail a longer one in Markdown, and the page as a file, if there are any."""

    title: str
    text: str
    markdown: str | None = None
    page: Path | None = None
    is_bad: bool = False


def check(destinations: Sequence[Destination]) -> None:
    """Refuse an address that apprise does not understand, by its number; raises :class:`WrongUse`."""
    for number, each in enumerate(destinations, 1):
        if each.url is not None and _plugin(each) is None:
            raise WrongUse(
                f"DRAINLAKE_NOTIFY: address {number} ({each.name}://…) is not understood.",
                "docs/delivery.md, or https://github.com/caronc/apprise/wiki for the form of each service",
            )


def post(destination: Destination, message: Message, content: Content) -> None:
    """Send; raises :class:`Refused` or :class:`Unsure` with reasons in fixed words."""
    if destination.path is not None:
        _write(destination.path, message, content)
    else:
        _in_time(lambda: _notify(destination, content))


def _write(place: Path, message: Message, content: Content) -> None:
    """Into a folder, text and page by the message's id; or a page over the one before."""
    try:
        if place.suffix == ".html":
            if message.kind is Kind.REPORT and content.page is not None:
                publish(place, content.page.read_bytes())
            return
        publish(place / f"{message.id}.txt", f"{content.title}\n\n{content.text}".encode())
        if content.page is not None:
            publish(place / f"{message.id}.html", content.page.read_bytes())
        prune(place)
    except OSError as error:
        raise Refused(f"it cannot be written: {error.strerror or type(error).__name__}") from None


def publish(target: Path, data: bytes) -> None:
    """Put a file in a folder, whole or not at all."""
    durable.publish_bytes(target, target.parent / ".tmp", data)


def prune(folder: Path) -> None:
    """Remove all but the newest messages of ours from a folder; files of another name are not ours."""
    by_id: dict[str, list[Path]] = {}
    for file in folder.iterdir():
        if _OURS.fullmatch(file.name):
            by_id.setdefault(file.stem, []).append(file)
    oldest_first = sorted(by_id, key=lambda each: each.partition("-")[2])  # by the time in the name
    for each in oldest_first[:-FILES_MAX]:
        for file in by_id[each]:
            file.unlink(missing_ok=True)
    for stale in (folder / ".tmp").glob("*.tmp"):  # left by a kill; a younger one may be somebody's at work
        if stale.stat().st_mtime < time.time() - STALE_SECONDS:
            stale.unlink(missing_ok=True)


def _in_time(send: Callable[[], None]) -> None:
    """Run a sending in a thread, as nothing else can end one that hangs; the process need not wait for it."""
    ends: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def target() -> None:
        try:
            send()
            ends.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            ends.put(error)

    threading.Thread(target=target, name="post", daemon=True).start()
    try:
        error = ends.get(timeout=TRY_SECONDS_MAX)
    except queue.Empty:
        raise Unsure from None
    if error is not None:
        raise error


def _notify(destination: Destination, content: Content) -> None:
    import apprise  # noqa: PLC0415 - slow to import

    service = _plugin(destination)
    if service is None:
        raise Refused("its address is not understood")
    body, form = content.text, apprise.NotifyFormat.TEXT
    if destination.name.startswith("mailto") and content.markdown is not None:
        body, form = _mail(content.markdown), apprise.NotifyFormat.HTML
    attach = [str(content.page)] if content.page is not None and service.attachment_support else None
    kind = apprise.NotifyType.WARNING if content.is_bad else apprise.NotifyType.INFO
    sender = apprise.Apprise(asset=service.asset)
    sender.add(service)
    with _heard() as said:
        try:
            went = sender.notify(body=body, title=content.title, notify_type=kind, body_format=form, attach=attach)
        except Exception as error:  # noqa: BLE001 - its text may hold the address
            raise Refused(f"sending failed with {type(error).__name__}") from None
    if not went:
        raise Refused(_reason(said))


def _mail(markdown: str) -> str:
    """A mail as HTML. Paths break, tables scroll by themselves: else telephones shrink the mail until all fits."""
    from apprise.conversion import markdown_to_html  # noqa: PLC0415 - slow to import

    html = markdown_to_html(markdown).replace("<pre>", f"<pre{_SCROLLS}>")
    html = html.replace("<table>", f"<div{_SCROLLS}><table>").replace("</table>", "</table></div>")
    return f'<div style="overflow-wrap:anywhere">{html}</div>'


def _plugin(destination: Destination) -> NotifyBase | None:
    """apprise's service for an address; a plain webhook is its JSON one."""
    import apprise  # noqa: PLC0415 - slow to import

    assert destination.url is not None
    url = destination.url.reveal()
    # Its own retries only go to recipients that did not accept: within one try, nobody gets a message twice.
    asset = apprise.AppriseAsset(app_id="drainlake", app_desc="drainlake", async_mode=False, secure_logging=True)
    with _heard(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its services import what some Pythons call deprecated
        try:
            service = apprise.Apprise.instantiate(url, asset=asset)
            if service is None and urlsplit(url).scheme.lower() in {"http", "https"}:
                service = apprise.Apprise.instantiate(_webhook(url), asset=asset)
        except Exception:  # noqa: BLE001 - its text may hold the address
            return None
    if service is not None:
        for name in ("socket_connect_timeout", "socket_read_timeout"):
            if getattr(service, name) == getattr(apprise.URLBase, name):  # a slow one would get each message twice
                setattr(service, name, SILENCE_SECONDS_MAX)
    return service


def _webhook(url: str) -> str:
    """``https://host/path?a=b`` in apprise's form, where a leading ``-`` marks what belongs to the address itself."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = "&".join(f"-{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return urlunsplit(("jsons" if parts.scheme.lower() == "https" else "json", parts.netloc, parts.path, query, ""))


class _Ear(logging.Handler):
    """Keeps what is logged for a moment, for :func:`_reason` alone."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a short text of it."""
        if len(self.said) < 200:
            self.said.append(record.getMessage()[:500])


_NOWHERE: Final = logging.NullHandler()


@contextmanager
def _heard() -> Iterator[list[str]]:
    """apprise's log, caught: with no handler of its own Python would print its warnings to stderr."""
    logger, ear = logging.getLogger("apprise"), _Ear()
    for noisy in ("urllib3", "requests"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)  # they log addresses with their tokens
    logger.propagate = False
    logger.setLevel(logging.DEBUG)  # and stays so: another thread may be listening
    logger.addHandler(_NOWHERE)  # which it is once, however often it is added
    logger.addHandler(ear)
    try:
        yield ear.said
    finally:
        logger.removeHandler(ear)


def _reason(said: Sequence[str]) -> str:
    """What went wrong, in fixed words."""
    for line in said:
        if match := _STATUS.search(line):
            return f"it answered HTTP {match[1]}"
    text = "\n".join(line for line in said if "Exception" in line or "refused" in line.lower())
    found = (sentence for pattern, sentence in _SENTENCES if pattern.search(text))
    return next(found, "it did not take the message")
