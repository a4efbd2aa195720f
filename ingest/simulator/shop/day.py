"""A day of the shop as deliveries in order of time, and the truth about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.simulator.framing import Delivery, counted, frame_ids, l10, pack
from ingest.simulator.shop import database_lines, dyno_lines, process_lines, script, traffic, workers
from ingest.simulator.shop.catalogue import Catalogue
from ingest.simulator.shop.dynos import runs
from ingest.simulator.shop.php_lines import PhpLines
from ingest.simulator.shop.request_lines import AccessLines, Ids, RouterLines
from ingest.simulator.shop.stamps import Stamps
from ingest.simulator.shop.text_lines import Pen, TextLines
from ingest.simulator.shop.truth import Delivered, Made, Truth, measure
from ingest.simulator.shop.visitors import Visitors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from ingest.simulator.shop.text_lines import Stream

CHUNK_LINES: Final = 32_768  # rendered at a time, about 10 MB of text
MIN_LINES: Final = 20_000
_TROUBLE_SHARE: Final = 0.0137  # lines of PHP per request, for hitting the wished number of lines


class ShopDay:
    """A seeded day of about ``lines`` log lines (within one percent from 200,000 on; the incidents do not
    shrink with it). The same arguments give the same bytes. ValueError below 20,000 lines.
    """

    def __init__(self, seed: int, day: date, lines: int = script.FULL_LINES) -> None:
        if lines < MIN_LINES:
            raise ValueError(f"lines={lines}: too few for the incidents; ask for at least {MIN_LINES:,}")
        self._day = script.Day(seed, day, lines)
        self._truth: Truth | None = None

    @property
    def truth(self) -> Truth:
        """The exact figures: counted when all deliveries have been taken, else the day is made for them."""
        if self._truth is None:
            for _ in self.deliveries():
                pass
        assert self._truth is not None
        return self._truth

    def deliveries(self) -> Iterator[Delivery]:
        """All deliveries in order of time. One of them comes twice, then with a notice of lost lines
        in front; before another one lines are lost as well, and announced."""
        made = _make(self._day)
        sender = _Sender(self._day, made)
        yield from sender.deliveries()
        self._truth = measure(made, sender.delivered())


def _make(day: script.Day) -> Made:
    stamps, catalogue, visitors, pen, lives = Stamps(day.date), Catalogue(), Visitors(day), Pen(), runs(day)
    process_lines.write(day, pen, stamps)
    dyno_lines.write(day, pen, lives)
    database_lines.write(day, pen)
    asked = int((day.lines - len(pen.texts)) / (2 + _TROUBLE_SHARE)) - traffic.planted(day)
    requests = traffic.requests(day, catalogue, visitors, max(2000, asked))
    served = workers.serve(day, requests, lives)
    database_lines.write_refused(pen, requests, served)
    PhpLines(day, pen, stamps, catalogue, requests, served).write()
    ids = Ids(day, len(requests.at))
    parts = (stamps, catalogue, visitors, requests, served)
    return Made(*parts, lives, (RouterLines(*parts, ids), AccessLines(*parts, ids), TextLines(pen, stamps)), pen)


class _Sender:
    """Puts the lines of all streams in order, renders them piece by piece, loses and repeats as planned."""

    def __init__(self, day: script.Day, made: Made) -> None:
        self._made = made
        self._ids = frame_ids(f"{day.seed}/{day.date}/{day.lines}")
        sizes = [len(stream.at) for stream in made.streams]
        self._offsets = np.concatenate(([0], np.cumsum(sizes)))
        self._at = np.concatenate([stream.at for stream in made.streams])
        order = np.argsort(self._at, kind="stable")
        self._order = order[: np.searchsorted(self._at[order], script.DAY)]
        self._kept = np.zeros(len(self._at), dtype=bool)
        self._deliveries = self._repeated_lines = self._dropped = 0

    def deliveries(self) -> Iterator[Delivery]:
        """The stretch up to the gap, the one up to the repeat, and the rest."""
        gap = self._lost(script.GAP, script.GAP_LINES)
        lost = self._lost(script.REPEAT, script.REPEAT_LINES)
        yield from self._stretch(0, gap.start)
        last = None
        for last in self._stretch(gap.stop, lost.start, self._notice(gap)):
            yield last
        assert last is not None
        yield self._again(last, self._notice(lost))
        yield from self._stretch(lost.stop, len(self._order))

    def delivered(self) -> Delivered:
        """What went out."""
        begin = self._offsets
        masks = tuple(self._kept[begin[n] : begin[n + 1]] for n in range(3))
        return Delivered((masks[0], masks[1], masks[2]), self._deliveries, self._repeated_lines, self._dropped, 2)

    def _lost(self, at: int, lines: int) -> range:
        """The places of ``lines`` lines lost from a time on, moved so that no PHP event is cut in two."""
        first = int(np.searchsorted(self._at[self._order], at))
        return range(self._whole(first), self._whole(first + lines))

    def _whole(self, place: int) -> int:
        first = int(self._offsets[2])
        rows = self._made.streams[2].rows
        while (index := int(self._order[place])) >= first and rows[index - first] == 0:
            place += 1
        return place

    def _notice(self, lost: range) -> bytes:
        self._dropped += len(lost)
        since, told = (int(self._at[self._order[place]]) for place in (lost.start, lost.stop))
        return l10(len(lost), self._made.stamps.moment(since), self._made.stamps.moment(told))

    def _again(self, delivery: Delivery, notice: bytes) -> Delivery:
        self._deliveries += 1
        self._repeated_lines += delivery.messages
        return Delivery(delivery.frame_id, delivery.messages + 1, notice + delivery.body)

    def _stretch(self, start: int, stop: int, notice: bytes | None = None) -> Iterator[Delivery]:
        for messages, body in pack(self._frames(start, stop, notice)):
            self._deliveries += 1
            yield Delivery(next(self._ids), messages, body)

    def _frames(self, start: int, stop: int, notice: bytes | None) -> Iterator[bytes]:
        if notice:
            yield notice
        for begin in range(start, stop, CHUNK_LINES):
            places = self._order[begin : min(stop, begin + CHUNK_LINES)]
            self._kept[places] = True
            for text in self._render(places).tolist():
                yield counted(text.encode())

    def _render(self, places: np.ndarray) -> np.ndarray:
        written = np.empty(len(places), dtype=object)
        streams: tuple[Stream, ...] = self._made.streams
        for stream, first, end in zip(streams, self._offsets[:-1], self._offsets[1:], strict=True):
            mine = (places >= first) & (places < end)
            written[mine] = stream.render(places[mine] - first)
        return written
