"""A backup is a home to go on from, whenever it was taken and wherever it was stopped."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import sys
from contextlib import closing, suppress
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drainlake.backup import back_up
from drainlake.errors import Failure, WrongUse
from drainlake.settings import parse
from ingest.eventlog.embedded import EmbeddedLog
from tests.transforms.lines import append_requests, landed_ids
from transforms.landing import land_once
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.drainlake.conftest import Cli

FILES_MAX = 12  # of the small lakes here


class Stopped(Exception):  # noqa: N818 - as a kill would
    """The backup ends here."""


class World:
    """A home with a log and a lake, and the folder its backups go to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = parse({"DRAINLAKE_HOME": str(folder / "home")})
        self.target = folder / "copy"
        self.ids = count()
        self.safe: list[int] = []  # ids in the log when the last finished backup began

    def append(self, day: int) -> list[int]:
        """Append three rows of a day; gives their ids."""
        ids = [next(self.ids) for _ in range(3)]
        with closing(EmbeddedLog(self.settings.log)) as log:
            append_requests(log, ids, day=day)
        return ids

    def land(self, home: Path | None = None) -> None:
        """Land what waits, in files of four rows."""
        home = home or self.settings.home
        with closing(EmbeddedLog(home / "log.db")) as log:
            land_once(log, LocalLake(home / "lake"), file_rows=4)

    def back_up(self, on_file: Callable[[int], None] = lambda _: None) -> None:
        """Back up; ``on_file`` is told how many files were copied, after each."""
        known = list(range(next(self.ids)))
        self.ids = count(len(known))
        files = count(1)

        def fault(point: str) -> None:
            if point == "file copied":
                on_file(next(files))

        back_up(self.settings, self.target, fault)
        self.safe = known

    def restored(self, name: str) -> list[int]:
        """The ids in the lake of a home that is a copy of the backup, once what waits there was landed."""
        home = self.folder / name
        shutil.copytree(self.target, home)
        self.land(home)
        return list(landed_ids(home / "lake"))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(0, 2)),
            st.tuples(st.just("land"), st.none()),
            st.tuples(st.just("back up"), st.none() | st.integers(1, FILES_MAX)),
        ),
        min_size=3,
        max_size=9,
    ),
    st.booleans(),
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_in_the_log_when_a_backup_began_is_in_it_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int | None]], is_busy: bool
) -> None:
    """Also when landing goes on meanwhile, and when later backups into the same folder were stopped halfway."""
    world = World(tmp_path_factory.mktemp("world"))
    world.append(0)
    world.land()
    world.back_up()
    for step, value in steps:
        if step == "append":
            world.append(value or 0)
        elif step == "land":
            world.land()
        else:

            def meanwhile(files: int, stop: int | None = value) -> None:
                if is_busy and files % 2:
                    world.append(files % 3)
                    world.land()
                if files == stop:
                    raise Stopped

            with suppress(Stopped):
                world.back_up(meanwhile)
    found = world.restored("restored")
    assert len(found) == len(set(found))
    assert set(world.safe) <= set(found)


def test_home_goes_on_from_a_backup(tmp_path: Path) -> None:
    """What comes after the restore is landed beside what was landed before, and a second landing adds nothing."""
    world = World(tmp_path)
    world.append(0)
    world.land()
    waits = world.append(1)
    world.back_up()
    lost = world.append(1)
    world.land()
    assert world.restored("again") == [0, 1, 2, *waits]
    with closing(EmbeddedLog(tmp_path / "again/log.db")) as log:
        append_requests(log, [90, 91], day=1)
    world.land(tmp_path / "again")
    world.land(tmp_path / "again")
    assert landed_ids(tmp_path / "again/lake") == [0, 1, 2, *waits, 90, 91]
    assert not set(lost) & set(landed_ids(tmp_path / "again/lake"))


def test_backup_is_as_closed_as_a_home_should_be(tmp_path: Path) -> None:
    """The mode of the home's folder keeps others out, and its files, made as the umask says, would be open in another.

    A folder that is there keeps the mode that the operator gave it.
    """
    world = World(tmp_path)
    world.append(0)
    world.land()
    world.back_up()
    assert world.target.stat().st_mode & 0o777 == 0o700
    world.target.chmod(0o750)
    world.back_up()
    assert world.target.stat().st_mode & 0o777 == 0o750


def test_backup_writes_what_changed_and_follows_what_was_removed(tmp_path: Path) -> None:
    """A second backup copies the new files alone, and a day that retention removed leaves the copy, too."""
    world = World(tmp_path)
    world.append(0)
    world.append(1)
    world.land()
    assert back_up(world.settings, world.target).files > 2
    again = back_up(world.settings, world.target)
    assert (again.files, again.removed) == (0, 0)
    lake = LocalLake(world.settings.home / "lake")
    lake.remove_date("router", lake.dates("router")[0])
    assert back_up(world.settings, world.target).removed == 1
    assert LocalLake(world.target / "lake").dates("router") == lake.dates("router")


def test_lake_that_is_gone_does_not_empty_its_backup(tmp_path: Path) -> None:
    """A disk that is not mounted looks like an empty folder."""
    world = World(tmp_path)
    world.append(0)
    world.land()
    world.back_up()
    shutil.rmtree(world.settings.home / "lake")
    with pytest.raises(Failure, match="no lake"):
        world.back_up()
    assert world.restored("restored") == [0, 1, 2]


@pytest.mark.parametrize("place", ["home", "home/lake/copy", "."])
def test_backup_into_the_home_is_refused(tmp_path: Path, place: str) -> None:
    """It would copy itself, or remove what it copies."""
    world = World(tmp_path)
    with pytest.raises(WrongUse, match="lie in one another"):
        back_up(world.settings, (tmp_path / place).resolve())


@pytest.mark.parametrize("linked", ["home/copy", "away"])
def test_links_do_not_hide_where_a_backup_goes(tmp_path: Path, linked: str) -> None:
    """Neither a target that is a link into the home, nor a lake that is one into the target."""
    world = World(tmp_path)
    world.append(0)
    world.land()
    (tmp_path / linked).mkdir()
    world.target.symlink_to(tmp_path / linked)
    if linked == "away":
        (world.settings.home / "lake").rename(tmp_path / "away/lake")
        (world.settings.home / "lake").symlink_to(tmp_path / "away/lake")
    with pytest.raises(WrongUse, match="lie in one another"):
        world.back_up()


def test_disk_that_is_full_is_told_and_what_a_killed_backup_left_goes_first(tmp_path: Path) -> None:
    """It can be as large as the log, and the copy of before stays."""
    world = World(tmp_path)
    world.append(0)
    world.land()
    world.back_up()
    (world.target / ".tmp/left.tmp").write_bytes(b"x")
    limit, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(Failure, match="cannot be copied"):
            world.back_up()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    assert not (world.target / ".tmp/left.tmp").exists()
    assert world.restored("again") == [0, 1, 2]


def test_killed_command_leaves_a_good_backup_and_the_next_sweeps(cli: Cli, tmp_path: Path) -> None:
    """The copy of before stays whole, no temporary stays behind, and the lock of the killed one blocks nobody."""
    world = World(tmp_path)
    world.append(0)
    world.land()
    cli.good("--home", str(world.settings.home), "backup", str(world.target))
    world.append(1)
    world.land()
    code = (
        "import os, sys; from pathlib import Path; from drainlake.backup import back_up;"
        "from drainlake.settings import parse;"
        "back_up(parse({'DRAINLAKE_HOME': sys.argv[1]}), Path(sys.argv[2]),"
        " lambda point: os.kill(os.getpid(), 9) if point == 'temporary written' else None)"
    )
    arguments = [str(world.settings.home), str(world.target)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert world.restored("after the kill") == list(range(6))
    assert list((world.target / ".tmp").iterdir()) != []
    cli.good("--home", str(world.settings.home), "backup", str(world.target))
    assert list((world.target / ".tmp").iterdir()) == []
    assert world.restored("after the next") == list(range(6))
