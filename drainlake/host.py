"""What the host of drainlake must offer: room on the disk, a certificate that is valid, processes that live. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from drainlake.parts import Part, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

CERTIFICATE_DAYS: Final = 14
FREE_MIN_BYTES: Final = 1 << 30


@dataclass(frozen=True)
class Disk:
    """A disk that drainlake writes to: for what, and its bytes."""

    use: str
    free_bytes: int
    size_bytes: int


@dataclass(frozen=True)
class HostState:
    """``certificate`` is when it expires, or half a sentence that says why it cannot be read; None without one.

    ``processes`` is, for each one that left figures in the home, when it counts as stuck (seconds since 1970; None
    where its file does not say so). ``broken_files`` of figures could not be read.
    """

    disks: Sequence[Disk] = ()
    certificate: datetime | str | None = None
    processes: Mapping[str, float | None] = field(default_factory=dict)
    broken_files: int = 0


def judge_host(host: HostState, now: datetime) -> Iterator[Part]:
    """One part for each process, then the certificate, then each disk."""
    for process, stuck_at in host.processes.items():
        if stuck_at is not None:
            yield _process(process, stuck_at - now.timestamp())
    if host.broken_files:
        yield Part("figures", f"{host.broken_files} files of metrics/ in the home cannot be read", well=False)
    if host.certificate is not None:
        yield _certificate(host.certificate, now)
    for disk in host.disks:
        state = f"{disk.free_bytes / 2**30:,.1f} of {disk.size_bytes / 2**30:,.1f} GiB free for {disk.use}"
        yield Part("disk", state, well=disk.free_bytes >= FREE_MIN_BYTES)


def _process(process: str, left_seconds: float) -> Part:
    if left_seconds > 0:
        return Part(process, "runs")
    return Part(process, f"is stuck or was killed: it should have been heard of {span(-left_seconds)} ago", well=False)


def _certificate(certificate: datetime | str, now: datetime) -> Part:
    if isinstance(certificate, str):
        return Part("certificate", certificate, well=False)
    left = (certificate - now).total_seconds()
    if left <= 0:
        return Part("certificate", f"expired {span(-left)} ago: Heroku loses what it cannot deliver", well=False)
    state = f"valid for {span(left)}, until {certificate:%Y-%m-%d %H:%M} UTC"
    return Part("certificate", state, well=left >= CERTIFICATE_DAYS * 86_400)
