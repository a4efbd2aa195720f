"""The standard mix of lines: 70 % router, 15 % access, 5 % PHP, 10 % metrics and the rest. Seeded."""

from __future__ import annotations

import random
from typing import Final
from uuid import UUID

ROUTER_SHARE: Final = 0.70
ACCESS_SHARE: Final = 0.15
PHP_SHARE: Final = 0.05
STEP_US: Final = 4_321  # from line to line

_AGENTS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
)
_PATHS: Final = (
    "/", "/product/blue-suede-shoes", "/api/orders/{n}", "/api/cart?items={n}", "/blog/how-to-tie-a-shoe",
    "/wp-content/themes/shop/app.{n:x}.js", "/search?q=shoes&page={n}", "/account/orders/{n}/invoice",
)  # fmt: skip
_PHP: Final = (
    "PHP Warning:  Undefined array key {n} in /app/wp-content/plugins/shop/cart.php on line {n}",
    "PHP Notice:  Trying to access array offset in /app/wp-includes/functions.php on line {n}",
    "PHP Fatal error:  Allowed memory size of 33554432 bytes exhausted (tried to allocate {n} bytes) in /a.php:1",
)
_DYNO: Final = "source=web.{d} dyno=heroku.1553708.259625dd-a9c7-4987-9c86-08de28dd4f72 "
_METRICS: Final = (
    _DYNO + "sample#load_avg_1m=2.46 sample#load_avg_5m=1.06 sample#load_avg_15m=0.99",
    _DYNO + "sample#memory_total=399.74MB sample#memory_rss=397.91MB sample#memory_cache=1.83MB "
    "sample#memory_swap=0.00MB sample#memory_pgpgin=355603pages sample#memory_pgpgout=333646pages "
    "sample#memory_quota=512.00MB",
)


def frames(lines: int, seed: int = 7) -> list[bytes]:
    """So many frames of the mix, in time order, as Logplex would send them."""
    pick = random.Random(seed)
    return [_frame(pick, index) for index in range(lines)]


def deliveries(framed: list[bytes], target_bytes: int) -> list[bytes]:
    """The frames packed into bodies of about so many bytes."""
    bodies: list[bytes] = []
    body: list[bytes] = []
    size = 0
    for frame in framed:
        body.append(frame)
        size += len(frame)
        if size >= target_bytes:
            bodies.append(b"".join(body))
            body, size = [], 0
    return [*bodies, b"".join(body)] if body else bodies


def _frame(pick: random.Random, index: int) -> bytes:
    seconds, microseconds = divmod(index * STEP_US, 1_000_000)
    at = f"2026-11-23T{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{microseconds:06}+00:00"
    share = pick.random()
    if share < ROUTER_SHARE:
        header, message = f"<134>1 {at} host heroku router - ", _router(pick)
    elif share < ROUTER_SHARE + ACCESS_SHARE:
        header, message = f"<190>1 {at} host app web.{pick.randint(1, 4)} - ", _access(pick)
    elif share < ROUTER_SHARE + ACCESS_SHARE + PHP_SHARE:
        text = pick.choice(_PHP).format(n=pick.randint(1, 9_999))
        header, message = f"<190>1 {at} host app web.{pick.randint(1, 4)} - ", f"[23-Nov-2026 13:15:33 UTC] {text}\n"
    else:
        header, message = _rest(pick, at)
    framed = (header + message).encode()
    return b"%d %b" % (len(framed), framed)


def _path(pick: random.Random) -> str:
    return pick.choice(_PATHS).format(n=pick.randint(1, 99_999))


def _router(pick: random.Random) -> str:
    failed = pick.random() < 0.01
    level = 'at=error code=H12 desc="Request timeout"' if failed else "at=info"
    service, status = (30_000, 503) if failed else (pick.randint(1, 900), 200)
    request_id = UUID(int=pick.getrandbits(128))  # random throughout, as Heroku's are
    return (
        f'{level} method=GET path="{_path(pick)}" host=www.example.org request_id={request_id} '
        f'fwd="203.0.113.{pick.randint(1, 254)}" dyno=web.{pick.randint(1, 4)} connect=0ms service={service}ms '
        f"status={status} bytes={pick.randint(200, 90_000)} protocol=http2.0 tls=true tls_version=tls1.3"
    )


def _access(pick: random.Random) -> str:
    return (
        f'10.1.{pick.randint(1, 254)}.3 - - [23/Nov/2026:13:15:47 +0000] "GET {_path(pick)} HTTP/1.1" 200 '
        f'{pick.randint(200, 90_000)} "https://www.example.org/" "{pick.choice(_AGENTS)}\n'
    )


def _rest(pick: random.Random, at: str) -> tuple[str, str]:
    dyno = pick.randint(1, 4)
    kind = pick.random()
    if kind < 0.6:
        return f"<45>1 {at} host heroku web.{dyno} - ", pick.choice(_METRICS).format(d=dyno)
    if kind < 0.9:
        return f"<190>1 {at} host app worker.{dyno} - ", f"[queue] processed job {pick.getrandbits(32)} in 12 ms\n"
    if kind < 0.97:
        return f"<45>1 {at} host heroku web.{dyno} - ", "Process running mem=903M(176.1%)\n"
    return f"<134>1 {at} host app api - ", f"Release v{pick.randint(1, 99)} created by user user@example.com\n"
