"""The broker's jars, fetched once per version of the pom and shared by all test processes."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
POM = ROOT / "deploy/kafka/pom.xml"
CACHE = ROOT / ".cache"
FETCH_MAX_SECONDS = 170

# A broker of a test holds a few megabytes and lives for seconds: a small heap, and no time spent on optimising code.
JVM_OPTIONS = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)


@dataclass(frozen=True)
class Installation:
    """A folder with the jars, and beside it the classes as a starting JVM wants them."""

    folder: Path

    @property
    def shared_classes(self) -> Path:
        """The archive of loaded classes that makes a broker start in a third of the time."""
        return self.folder.with_suffix(".jsa")

    def formatted(self, node_id: int) -> Path:
        """The data folder of a node that has not been started: to format one takes a third of the work of a start."""
        return self.folder.with_suffix(f".node-{node_id}")

    def command(self, main_class: str, *arguments: str, jvm_options: tuple[str, ...] = ()) -> list[str]:
        """The command that runs one of Kafka's programs."""
        shared = [f"-XX:SharedArchiveFile={self.shared_classes}"] if self.shared_classes.exists() else []
        # The archive is only used with the very classpath that it was made with.
        classpath = ":".join(str(jar) for jar in sorted(self.folder.iterdir()))
        return ["java", *JVM_OPTIONS, *shared, *jvm_options, "-cp", classpath, main_class, *arguments]


def what_is_missing() -> str | None:
    """Why no broker can run here, or None."""
    if shutil.which("java") is None:
        return "no Java on the PATH: a Kafka broker needs Java 17 or later"
    if shutil.which("mvn") is None and not _folder().exists():
        return "no Maven on the PATH to fetch the Kafka broker with"
    return None


def keep(folder: Path, kept: Path) -> None:
    """Copy a folder into the cache, beside its place and renamed: another process may do the same."""
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix="keeping-") as temporary:
        copy = shutil.copytree(folder, Path(temporary) / "copy")
        with contextlib.suppress(OSError):
            copy.rename(kept)


@functools.cache
def installed() -> Installation:
    """The installation, fetched when this is the first use of this version."""
    with alone():
        if not _folder().exists():
            _fetch(_folder())
    return Installation(_folder())


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep other test processes waiting: two that start at the same moment must not prepare the same folder."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _folder() -> Path:
    """Named after the pom's content, so that a changed pom is a new folder."""
    return CACHE / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"


def _fetch(folder: Path) -> None:
    """Fetch beside the folder and rename: a fetch that is killed must not look like a whole one."""
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="fetching-") as temporary:
        jars = Path(temporary) / "jars"
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_MAX_SECONDS, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"the Kafka broker could not be fetched:\n{done.stdout}{done.stderr}")
        jars.rename(folder)
