"""The user's file of routes: found where the settings say, refused at the start when it is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drainlake import settings
from drainlake.cli import run
from drainlake.errors import WrongUse
from drainlake.route_file import read_pins
from transforms.route_pins import FILE_MAX_BYTES, Pins

if TYPE_CHECKING:
    from pathlib import Path


def test_the_file_in_the_home_counts_if_it_is_there(tmp_path: Path) -> None:
    """Without a file nothing is pinned; one in the home is read; one that is named wins."""
    home = {"DRAINLAKE_HOME": str(tmp_path)}
    assert read_pins(settings.parse(home)) == Pins()
    (tmp_path / "routes.toml").write_text('pins = ["/a/{b}"]')
    assert read_pins(settings.parse(home)) == Pins(pins=("/a/{b}",))
    other = tmp_path / "mine.toml"
    other.write_text('keep = ["/ü"]', "utf-8")
    assert read_pins(settings.parse(home | {"DRAINLAKE_ROUTES": str(other)})) == Pins(keep=("/ü",))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"\xff", "UTF-8"),
        (b"pins = [\n'/a'\n'/b']", "line 3"),
        (b'pins = ["/a", "b"]', "'b' as entry 2 of pins"),
        (b"#" * (FILE_MAX_BYTES + 1), "64 KiB"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name(content: bytes | None, said: str, tmp_path: Path) -> None:
    """The sentence names the file and what is wrong in it, and there is one thing to try."""
    file = tmp_path / "routes.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(WrongUse) as caught:
        read_pins(settings.parse({"DRAINLAKE_HOME": str(tmp_path), "DRAINLAKE_ROUTES": str(file)}))
    assert str(file) in caught.value.sentence
    assert said in caught.value.sentence
    assert "\n" not in caught.value.sentence
    assert caught.value.remedy


@pytest.mark.parametrize("command", [["land", "--once"], ["land"], ["up"], ["import", "heroku", "{log}", "--app", "a"]])
def test_commands_that_land_refuse_it_before_they_begin(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and nothing is taken in or landed."""
    (tmp_path / "saved.log").write_text("2026-11-23T13:15:33.000000+00:00 app[web.1]: x\n")
    home = tmp_path / "home"
    home.mkdir()
    (home / "routes.toml").write_text("pins = 3")
    words = [word.format(log=tmp_path / "saved.log") for word in command]
    assert run(["--home", str(home), *words]) == 2
    assert "routes.toml must have pins as a list" in capsys.readouterr().err
    assert [path.name for path in home.iterdir()] == ["routes.toml"]
