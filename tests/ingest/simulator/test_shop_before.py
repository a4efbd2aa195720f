"""The load balancer's log of before the move: whole lines of the Classic format, smaller scripts and styles."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date
from statistics import median

from ingest.simulator.shop import ShopDay
from ingest.simulator.shop.before import DayBefore

DAY = date(2026, 11, 16)
LINE = re.compile(
    r"2026-11-16T\d\d:\d\d:\d\d\.\d{6}Z shop-lb \d+\.\d+\.\d+\.\d+:\d+ 10\.0\.[12]\.\d+:80 "
    r"\d+\.\d{6} \d+\.\d{6} \d+\.\d{6} (\d{3}) \1 0 (\d+) "
    r'"(GET|HEAD|POST|PUT|DELETE) https://shop\.example\.org:443(/\S*) HTTP/1\.1" "[^"]*" \S+ TLSv1\.2'
)


def test_every_line_is_whole_and_scripts_are_small() -> None:
    """The requests counted are there, and the median size of a script or style is that of its compressed form."""
    before = DayBefore(3, DAY, 200_000)
    texts = b"".join(before.lines()).decode().splitlines()
    assert len(texts) == before.truth.requests > 8000
    sizes = defaultdict(list)
    for text in texts:
        match = LINE.fullmatch(text)
        assert match, text
        if match[1] == "200":
            sizes[match[4].partition("?")[0]].append(int(match[2]))
    raw = {asset.path: asset.bytes_each for asset in ShopDay(3, DAY, 20_000).truth.assets}
    compressed = before.truth.compressed_bytes
    assert {path: median(sizes[path]) for path in compressed} == compressed
    assert all(2.5 < raw[path] / size < 6 for path, size in compressed.items())


def test_the_same_arguments_give_the_same_bytes() -> None:
    """A day can be made again; another seed is another day."""
    first, again, other = (b"".join(DayBefore(seed, DAY, 20_000).lines()) for seed in (1, 1, 2))
    assert first == again != other
