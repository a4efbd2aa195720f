"""Messages go to real servers, which fail and recover; nothing of an address is ever seen."""

from __future__ import annotations

import base64
import logging
import threading
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from drainlake import destinations, posting
from drainlake.errors import WrongUse
from drainlake.posting import Content, check, post
from queries.delivery import messages
from queries.delivery.ledger import Kind, Message
from queries.delivery.outbox import Refused, Unsure
from queries.report.model import Severity
from tests.drainlake.receivers import free_port, mail_server, webhook
from tests.queries.delivery.test_alarms import HOSTILE
from tests.queries.delivery.world import at, finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MESSAGE = Message("report-20261126T0700Z", Kind.REPORT, at("26 07:00"), at("26 07:00"), "A title", "Some text.\n")
CONTENT = Content("A title", "Some text.\n")


@pytest.fixture
def seen(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a test sends, no secret of an address is printed or logged, at any level."""
    root = logging.getLogger()
    root.setLevel(logging.DEBUG)
    yield
    root.setLevel(logging.WARNING)
    out, err = capfd.readouterr()
    assert "s3cr3t" not in out + err + caplog.text


pytestmark = pytest.mark.usefixtures("seen")


def _send(address: str, content: Content = CONTENT) -> str:
    """Send to an address; gives why it was refused, '' if it was not."""
    (place,) = destinations.parse(address)
    try:
        post(place, MESSAGE, content)
    except Refused as error:
        return "".join(traceback.format_exception(error)).splitlines()[-1].partition(": ")[2]
    return ""


def test_a_webhook_gets_json_and_the_page(tmp_path: Path) -> None:
    """A plain https address works as it stands, its query and password too."""
    page = tmp_path / "report-20261126T0700Z.html"
    page.write_text("<h1>All is well</h1>")
    with webhook() as hook:
        address = f"http://user:s3cr3t@127.0.0.1:{hook.port}/hooks/s3cr3t?token=s3cr3t&x=a%26b"
        assert _send(address, replace(CONTENT, page=page)) == ""
    ((path, got),) = hook.got
    assert path == "/hooks/s3cr3t?token=s3cr3t&x=a%26b"
    assert hook.headers[0]["Authorization"] == "Basic " + base64.b64encode(b"user:s3cr3t").decode()
    assert (got["title"], got["message"].strip(), got["type"]) == ("A title", "Some text.", "info")
    assert base64.b64decode(got["attachments"][0]["base64"]) == page.read_bytes()
    assert got["attachments"][0]["filename"] == page.name


@pytest.mark.parametrize(("status", "reason"), [(500, "it answered HTTP 500"), (404, "it answered HTTP 404")])
def test_a_webhook_that_fails_is_named_by_its_status(status: int, reason: str) -> None:
    """And takes the message when it has recovered."""
    with webhook() as hook:
        hook.answers = [status]
        address = f"json://user:s3cr3t@127.0.0.1:{hook.port}/s3cr3t"
        assert _send(address) == reason
        assert _send(address) == ""
        assert len(hook.got) == 2


def test_what_cannot_be_reached_is_said_in_fixed_words() -> None:
    """Nobody listens, the connection breaks, the name does not exist, nothing is answered in time."""
    port = free_port()
    assert _send(f"json://user:s3cr3t@127.0.0.1:{port}/s3cr3t") == "it could not be reached"
    assert _send(f"mailto://user:s3cr3t@127.0.0.1:{port}?from=a@x.org&to=b@x.org") == "it could not be reached"
    with webhook() as hook:
        hook.answers = [0]
        assert _send(f"json://127.0.0.1:{hook.port}/s3cr3t") == "it could not be reached"
        hook.pause_seconds = 0.3
        assert _send(f"json://127.0.0.1:{hook.port}/s3cr3t?rto=0.1") == "it did not answer in time"


def test_a_slow_place_is_waited_for() -> None:
    """apprise's own limit is four seconds: one that answers later would get each message again and again."""
    for address, want in [("json://h/s3cr3t", (30.0, 30.0)), ("json://h/s3cr3t?rto=9&cto=2", (2.0, 9.0))]:
        service = posting._plugin(destinations.parse(address)[0])
        assert service is not None
        assert service.request_timeout == want


def test_one_that_hangs_beyond_all_limits_is_unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have the message; the process goes on without it."""
    monkeypatch.setattr(posting, "TRY_SECONDS_MAX", 0.05)
    with webhook() as hook:
        hook.pause_seconds = 0.2
        (place,) = destinations.parse(f"json://127.0.0.1:{hook.port}/s3cr3t")
        with pytest.raises(Unsure):
            post(place, MESSAGE, CONTENT)


def test_one_that_was_given_up_on_deafens_no_other() -> None:
    """It ends while another is being sent: why that one fails is still heard."""

    def end_late() -> None:
        with posting._heard():
            pass

    with posting._heard() as said:
        late = threading.Thread(target=end_late)
        late.start()
        late.join()
        logging.getLogger("apprise").warning("refused")
    assert said == ["refused"]


MARKDOWN = "# Verdict\n\n* one &lt;b&gt;\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n```sql\nSELECT 1\n```\n"


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
def test_a_mail_has_the_page_and_the_markdown(tmp_path: Path) -> None:
    """As HTML and plain text, with the page attached; the server wants a password."""
    page = tmp_path / "report-20261126T0700Z.html"
    page.write_text("<h1>All is well</h1>")
    with mail_server("s3cr3t") as server:
        address = f"mailto://user:s3cr3t@127.0.0.1:{server.port}?from=drain@x.org&to=team@x.org"
        assert _send(address, replace(CONTENT, page=page, markdown=MARKDOWN)) == ""
        assert _send(address.replace("s3cr3t", "other")) == "it refused the user or the password"
    with mail_server() as open_server:
        assert _send(address.replace(str(server.port), str(open_server.port))).startswith("it offers no login")
    ((recipients, mail),) = server.got
    assert recipients == ["team@x.org"]
    assert mail["Subject"] == "A title"
    html = mail.get_body(("html",))
    assert html is not None
    assert "<h1>Verdict</h1>" in html.get_content()
    assert "<b>" not in html.get_content()
    for wide in ("<div{}><table>", "<pre{}>"):  # a telephone would shrink the whole mail until they fit
        assert wide.format(' style="overflow-x:auto;overflow-wrap:normal"') in html.get_content()
    (attached,) = mail.iter_attachments()
    assert attached.get_filename() == page.name
    assert attached.get_content().strip() == page.read_text()


def test_a_mail_to_several_is_one_for_each() -> None:
    """One recipient that is refused does not double the mail of the other."""
    with mail_server() as server:
        server.refused = {"gone@x.org"}
        places = destinations.parse(f"mailto://127.0.0.1:{server.port}?from=d@x.org&to=team@x.org,gone@x.org")
        assert [place.name for place in places] == ["mailto", "mailto-2"]
        post(places[0], MESSAGE, CONTENT)
        with pytest.raises(Refused, match=r"^it refused the recipient$"):
            post(places[1], MESSAGE, CONTENT)
    assert [recipients for recipients, _ in server.got] == [["team@x.org"]]


def test_a_hostile_finding_adds_no_header_to_a_mail() -> None:
    """Line ends and control characters of a log line do not reach the subject, the headers or another recipient."""
    bad = finding(sentence=HOSTILE, app=HOSTILE, severity=Severity.CRITICAL)
    content = Content(messages.alarm_title([bad]), messages.alarm_text([bad], [HOSTILE], at("26 07:00").tzinfo))  # type: ignore[arg-type]
    with mail_server() as server:
        assert _send(f"mailto://127.0.0.1:{server.port}?from=drain@x.org&to=team@x.org", content) == ""
    ((recipients, mail),) = server.got
    assert recipients == ["team@x.org"]
    assert mail["Bcc"] is None
    assert mail["Subject"] == content.title
    assert "Bcc: all@example.com" in mail["Subject"]


def test_slack_gets_its_own_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes to Slack's webhook, sent to a server here: text that is no markup and calls nobody."""
    import requests

    bad = finding(sentence=HOSTILE, severity=Severity.CRITICAL)
    content = Content(messages.alarm_title([bad]), messages.alarm_text([bad], [], at("26 07:00").tzinfo), is_bad=True)  # type: ignore[arg-type]
    real = requests.request
    with webhook() as hook:
        monkeypatch.setattr(
            requests, "request", lambda how, url, **more: real(how, f"http://127.0.0.1:{hook.port}/{url[8:]}", **more)
        )
        assert _send("https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnls3cr3tXrIdevi7F", content) == ""
    ((path, got),) = hook.got
    assert path == "/hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnls3cr3tXrIdevi7F"
    assert got["mrkdwn"] is False
    shown = got["attachments"][0]["title"] + got["attachments"][0]["text"]
    assert "CRITICAL in shop" in shown
    assert not any(call in shown for call in ("<!channel", "@everyone", "<http"))


def test_a_folder_keeps_the_newest_messages_and_what_is_not_ours(tmp_path: Path) -> None:
    """Text and page by the message's id; sixty messages stay."""
    page = tmp_path / "report-20261126T0700Z.html"
    page.write_text("<h1>All is well</h1>")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "report-notes.md").write_text("mine")
    for day in range(1, 63):
        (folder / f"report-2025{day:04}T0700Z.html").write_text("old")
    assert _send(str(folder), replace(CONTENT, page=page)) == ""
    assert (folder / "report-20261126T0700Z.txt").read_text() == "A title\n\nSome text.\n"
    assert (folder / "report-20261126T0700Z.html").read_text() == page.read_text()
    names = sorted(file.name for file in folder.glob("*.html"))
    assert len(names) == posting.FILES_MAX
    assert names[0] == "report-20250004T0700Z.html"
    assert (folder / "report-notes.md").exists()


def test_a_page_is_replaced_whole(tmp_path: Path) -> None:
    """A web server can hand out the newest report."""
    page, place = tmp_path / "made.html", tmp_path / "web" / "report.html"
    page.write_text("<h1>All is well</h1>")
    assert _send(f"file://{place}", replace(CONTENT, page=page)) == ""
    assert place.read_text() == page.read_text()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """With the reason of the system."""
    (tmp_path / "file").write_text("")
    assert _send(f"{tmp_path}/file/below/") == "it cannot be written: File exists"


@pytest.mark.parametrize("address", ["nosuch://a/s3cr3t", "slack://s3cr3t", "mailto://s3cr3t"])
def test_an_address_that_no_service_understands_is_refused_at_the_start(address: str) -> None:
    """By its number, without quoting it."""
    places = destinations.parse(f"/srv/out {address}")
    with pytest.raises(WrongUse, match=r"address 2 \([a-z]+://…\) is not understood") as caught:
        check(places)
    assert "s3cr3t" not in caught.value.sentence + caught.value.remedy
