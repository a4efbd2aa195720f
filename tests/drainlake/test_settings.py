"""Settings: one table, parsed once; contradictions refused with name and value; secrets never shown."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from drainlake import settings, values
from drainlake.errors import WrongUse
from drainlake.kafka_url import KafkaUrl
from drainlake.places import S3Place
from drainlake.setting_table import TABLE
from drainlake.settings import NAMES
from drainlake.values import Secret
from queries.budgets.objectives import Objective
from queries.delivery.cron import Cron
from queries.delivery.quiet import QuietHours

if TYPE_CHECKING:
    from drainlake.destinations import Destination

CASES = json.loads((Path(__file__).parent / "data" / "settings.json").read_text("utf-8"))
GOOD = [case for case in CASES if "want" in case]
REFUSED = [case for case in CASES if "refused" in case]
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def _behaviour(case: dict[str, Any]) -> str:
    return str(case["behaviour"])


def _shown(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value).replace(str(Path.cwd()), "CWD")
    if isinstance(value, KafkaUrl):
        secured = f" as {value.user} with {value.password.reveal()} by {value.mechanism}" if value.password else ""
        return str(value) + secured
    if isinstance(value, S3Place):
        return str(value)
    if isinstance(value, ZoneInfo):
        return str(value)
    if isinstance(value, Cron | QuietHours):
        return f"{value} in {value.zone}"
    if isinstance(value, tuple):
        return [str(each) if isinstance(each, Objective) else _destination(each) for each in value]
    if isinstance(value, dict):
        return {name: [secret.reveal() for secret in secrets] for name, secrets in value.items()}
    return value


def _destination(place: Destination) -> str:
    return f"{place.name} {'+'.join(sorted(place.roles))} {place.url.reveal() if place.url else place.path}"


@pytest.mark.parametrize("case", GOOD, ids=_behaviour)
def test_texts_become_values(case: dict[str, Any]) -> None:
    """Each given text becomes the value it means, everything else its default."""
    parsed = settings.parse(case["given"])
    assert {name: _shown(getattr(parsed, name)) for name in case["want"]} == case["want"]


@pytest.mark.parametrize("case", GOOD, ids=_behaviour)
def test_hints_name_what_was_probably_not_meant(case: dict[str, Any]) -> None:
    """There is one hint where one is due, none elsewhere, and it quotes no secret."""
    said = settings.hints(case["given"])
    wanted = case.get("hints", [])
    assert len(said) == bool(wanted)
    assert all(word in said[0] for word in wanted)
    assert "s3cr3t" not in str(said)


@pytest.mark.parametrize("case", REFUSED, ids=_behaviour)
def test_what_cannot_be_is_refused_with_name_and_value(case: dict[str, Any]) -> None:
    """The refusal is one sentence with the name and the value, and quotes no secret."""
    with pytest.raises(WrongUse) as caught:
        settings.parse(case["given"])
    failure = caught.value
    assert all(word in failure.sentence for word in case["refused"]), failure.sentence
    assert failure.remedy
    assert "\n" not in failure.sentence
    assert "s3cr3t" not in failure.sentence + failure.remedy


def test_secrets_never_show() -> None:
    """Neither repr nor str nor formatting of the settings shows a secret, and none is pickled."""
    parsed = settings.parse({"DRAINLAKE_DRAINS": "shop:s3cr3t", "DRAINLAKE_NOTIFY": "https://s3cr3t"})
    assert "s3cr3t" not in f"{parsed!r} {parsed} {parsed.notify} {parsed.drains!s}"
    assert parsed.drains["shop"] == (Secret("s3cr3t"),)
    with pytest.raises(TypeError):
        pickle.dumps(parsed.drains["shop"])


def test_the_way_to_s3_comes_from_the_usual_names() -> None:
    """Endpoint, region, keys and profile of a lake on S3; the names for S3 alone win, and secrets do not show."""
    names = {
        "DRAINLAKE_LAKE": "s3://bucket/a",
        "AWS_ENDPOINT_URL": "http://other",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9000/",
        "AWS_DEFAULT_REGION": "other",
        "AWS_REGION": "eu-north-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "s3cr3t",
        "AWS_SESSION_TOKEN": "s3cr3t",
        "AWS_PROFILE": "someone",
    }
    parsed = settings.parse(names)
    secret = Secret("s3cr3t")
    want = S3Place("bucket", "a", "http://127.0.0.1:9000", "eu-north-1", "key", secret, secret, "someone")
    assert parsed.lake == want
    assert "s3cr3t" not in f"{parsed!r} {parsed.lake} {want.store().options!r}"
    assert want.store().options.secret_key == "s3cr3t"
    assert settings.parse({"DRAINLAKE_LAKE": "s3://bucket", "AWS_DEFAULT_REGION": "x"}).lake == S3Place(
        "bucket", region="x"
    )


def test_every_setting_has_a_sentence_and_a_default_that_parses() -> None:
    """A row of the table ends in a full stop, and its default is either described or accepted."""
    for setting in TABLE:
        assert setting.meaning.endswith("."), setting.name
        assert (
            setting.default.startswith("<") or setting.parse(setting.default) is not None or (setting.default == "all")
        ), setting.name
    assert len(set(NAMES)) == len(TABLE)


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name in both is taken from the environment; the file fills the rest and expands nothing."""
    (tmp_path / ".env").write_text("PORT=1111\nDRAINLAKE_HOST='0.0.0.0'\nDRAINLAKE_DRAINS=shop:a${PORT}b\nALONE\n")
    monkeypatch.setenv("PORT", "2222")
    monkeypatch.delenv("DRAINLAKE_HOST", raising=False)
    texts = settings.read_texts(tmp_path)
    assert (texts["PORT"], texts["DRAINLAKE_HOST"]) == ("2222", "0.0.0.0")
    assert texts["DRAINLAKE_DRAINS"] == "shop:a${PORT}b"
    assert "ALONE" not in texts


_ALLOCATED = """
import os
from drainlake import settings
settings.tune_libraries()
os.environ["_RJEM_MALLOC_CONF"] += ",stats_print:true"
import polars
polars.DataFrame({"a": [1]}).sum()
"""


@pytest.mark.parametrize(("own", "parts"), [({}, "1"), ({"_RJEM_MALLOC_CONF": "narenas:3"}, "3")])
def test_libraries_are_told_what_they_cost_less_with(own: dict[str, str], parts: str) -> None:
    """The allocator of polars frees in one part, and says so at its end, unless somebody wants more."""
    environment = {name: text for name, text in os.environ.items() if name != "_RJEM_MALLOC_CONF"} | own
    command = [sys.executable, "-c", _ALLOCATED]
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stderr
    assert f"opt.narenas: {parts}\n" in told


def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """A ``.env`` that is no text names itself."""
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe\n")
    with pytest.raises(WrongUse, match=r"\.env cannot be read"):
        settings.read_texts(tmp_path)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("24h", "2026-11-22T12:00:00+00:00"),
        ("7d", "2026-11-16T12:00:00+00:00"),
        ("30m", "2026-11-23T11:30:00+00:00"),
        ("90s", "2026-11-23T11:58:30+00:00"),
        ("1.5h", "2026-11-23T10:30:00+00:00"),
        ("now", "2026-11-23T12:00:00+00:00"),
        ("2026-11-20", "2026-11-20T00:00:00+00:00"),
        ("2026-11-20T10:00", "2026-11-20T10:00:00+00:00"),
        ("2026-11-20 10:00:00+02:00", "2026-11-20T08:00:00+00:00"),
        ("2017-10-16T19:26:28.605373Z", "2017-10-16T19:26:28.605373+00:00"),
    ],
)
def test_moments_are_spans_before_now_or_iso_8601(text: str, want: str) -> None:
    """A span counts back from now; a time without a zone is UTC."""
    assert values.moment(text, NOW).isoformat() == want


@pytest.mark.parametrize("text", ["", "24", "h", "-3h", "2026-13-01", "99999999999d", "yesterday", "24 hours", "1e3h"])
def test_other_moments_are_refused(text: str) -> None:
    """What is neither a span nor ISO 8601 raises ValueError, never another error."""
    with pytest.raises(ValueError, match="must be a span"):
        values.moment(text, NOW)
