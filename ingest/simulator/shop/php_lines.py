"""What PHP, php-fpm and nginx's error log say about requests that went wrong or took long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.simulator.shop import traffic
from ingest.simulator.shop.routes import EXPORT, HOST
from ingest.simulator.shop.script import DAY, MEMORY_LIMIT, SECOND, SLOW_AFTER, WEB, Day
from ingest.simulator.shop.text_lines import Pen, app

if TYPE_CHECKING:
    from ingest.simulator.shop.catalogue import Catalogue
    from ingest.simulator.shop.stamps import Stamps
    from ingest.simulator.shop.traffic import Requests
    from ingest.simulator.shop.workers import Served

_FRAMES_EXPORT: Final = (
    "execute() /app/vendor/illuminate/database/Connection.php:423",
    "Illuminate\\Database\\{closure}() /app/vendor/illuminate/database/Connection.php:816",
    "run() /app/app/Reports/OrderExport.php:118",
    "rows() /app/app/Http/Controllers/ReportController.php:61",
    "export() /app/web/index.php:17",
)
_FRAMES_PAGE: Final = (
    "curl_exec() /app/web/wp-includes/Requests/src/Transport/Curl.php:205",
    "request() /app/web/wp-includes/Requests/src/Requests.php:469",
    "wp_remote_get() /app/web/wp-content/plugins/shipping-rates/rates.php:88",
    "load_template() /app/web/wp-includes/template-loader.php:106",
)
_RESET: Final = "recv() failed (104: Connection reset by peer) while reading response header from upstream"
_TIMED_OUT: Final = "upstream timed out (110: Connection timed out) while reading response header from upstream"
_PRICE_LIST: Final = " in /app/web/tools/price-list.php on line 212"
_THEME: Final = "/app/web/wp-content/themes/hearth"
_CONNECTORS: Final = "/app/vendor/illuminate/database/Connectors"
_WARNINGS: Final = (
    f'PHP Warning:  Undefined array key "utm_source" in {_THEME}/functions.php on line 214',
    (
        "PHP Deprecated:  strlen(): Passing null to parameter #1 ($string) of type string is deprecated "
        "in /app/web/wp-includes/formatting.php on line 4482"
    ),
    ('PHP Warning:  Attempt to read property "ID" on null in /app/web/wp-content/plugins/slider/slider.php on line 77'),
    (
        "PHP Notice:  Function wpdb::prepare was called <strong>incorrectly</strong>. "
        "in /app/web/wp-includes/functions.php on line 6121"
    ),
    "shipping-rates: cached quote used, upstream said 429",
)
_REFUSED: Final = (
    (
        "PHP Fatal error:  Uncaught PDOException: SQLSTATE[08006] [7] connection to server failed: "
        "FATAL:  remaining connection slots are reserved for non-replication superuser connections "
        f"in {_CONNECTORS}/Connector.php:70"
    ),
    "Stack trace:",
    f"#0 {_CONNECTORS}/Connector.php(70): PDO->__construct()",
    f"#1 {_CONNECTORS}/PostgresConnector.php(33): Illuminate\\Database\\Connectors\\Connector->create()",
    "#2 [internal function]: Illuminate\\Database\\Connection->reconnect()",
    "#3 {main}",
    f"  thrown in {_CONNECTORS}/Connector.php on line 70",
)
_UNCAUGHT: Final = (
    (
        "PHP Fatal error:  Uncaught TypeError: hearth_price(): Argument #1 ($cents) must be of type int, "
        f"null given in {_THEME}/price.php:12"
    ),
    "Stack trace:",
    f"#0 {_THEME}/price.php(31): hearth_price()",
    "#1 {main}",
    f"  thrown in {_THEME}/price.php on line 12",
)


class PhpLines:
    """Writes the lines of all troubled requests of a day."""

    def __init__(
        self, day: Day, pen: Pen, stamps: Stamps, catalogue: Catalogue, requests: Requests, served: Served
    ) -> None:
        self._pen, self._stamps, self._catalogue, self._requests, self._served = (
            pen,
            stamps,
            catalogue,
            requests,
            served,
        )
        self._random = day.random("php")
        self._pids: dict[tuple[int, int], int] = {}

    def write(self) -> None:
        """All of them, request by request."""
        served, requests = self._served, self._requests
        slow = requests.php & (served.ended - served.worked > SLOW_AFTER)
        cut = served.nginx_status == 504
        missing = ~requests.php & (requests.status == 404)
        wrong = (requests.fault > 0) & ~served.killed
        troubled = (slow | cut | missing | wrong) & (served.ended < DAY - SECOND)
        for number in np.flatnonzero(troubled).tolist():
            if slow[number]:
                self._slow(number)
            if cut[number]:
                self._nginx(number, _TIMED_OUT)
            if missing[number]:
                self._missing(number)
            if wrong[number]:
                self._fault(number)

    def _source(self, number: int) -> tuple[str, str]:
        return app(WEB[int(self._served.dyno[number])])

    def _request(self, number: int) -> str:
        path = int(self._requests.path[number])
        return f"{self._catalogue.methods[path]} {self._catalogue.raw[path]}"

    def _pid(self, number: int, *, next_one: bool = False) -> int:
        """The process id of the worker that has the request; a killed worker is followed by a new process."""
        slot = int(self._served.dyno[number]), int(self._served.worker[number])
        pid = self._pids.setdefault(slot, 121 + slot[1])
        if next_one:
            self._pids[slot] = pid + 40
        return pid

    def _warn(self, number: int, at: int, text: str) -> None:
        """A line of php-fpm about the worker that has the request."""
        source = self._source(number)
        self._pen.write("php", source, at, f"[{self._stamps.php(at)}] WARNING: [pool www] child {text}\n")

    def _slow(self, number: int) -> None:
        seen = SLOW_AFTER + int(self._random.integers(2_000, 90_000))
        at, pid, source = int(self._served.worked[number]) + seen, self._pid(number), self._source(number)
        asked = self._request(number)
        what = f"{pid}, script '/app/web/index.php' (request: \"{asked}\")"
        self._warn(number, at, f"{what} executing too slow ({seen / 1e6:.6f} sec), logging")
        self._pen.write("lines", source, at + 150, "\n")
        self._pen.write("php", source, at + 151, f"[{self._stamps.php(at)}]  [pool www] pid {pid}\n")
        frames = _FRAMES_EXPORT if EXPORT in asked else _FRAMES_PAGE
        addresses = (f"[0x00007f{pid:06x}{0x13E0 - 0x70 * depth:04x}] {text}\n" for depth, text in enumerate(frames))
        self._pen.block(source, at + 152, ("script_filename = /app/web/index.php\n", *addresses))
        if self._served.killed[number]:
            self._killed(number, what)

    def _killed(self, number: int, what: str) -> None:
        at = int(self._served.ended[number])
        took, pid = (at - int(self._served.worked[number])) / 1e6, self._pid(number, next_one=True)
        self._warn(number, at, f"{what} execution timed out ({took:.6f} sec), terminating")
        if self._served.nginx_status[number] == 502:
            self._nginx(number, _RESET)
        lived = took + float(self._random.integers(10, 9000))
        self._warn(number, at + 3900, f"{pid} exited on signal 2 (SIGINT) after {lived:.6f} seconds from start")

    def _missing(self, number: int) -> None:
        path = self._catalogue.raw[int(self._requests.path[number])]
        self._nginx(number, f'open() "/app/web{path}" failed (2: No such file or directory)')

    def _nginx(self, number: int, text: str) -> None:
        at = int(self._served.nginx_at[number]) - 60
        upstream = ', upstream: "fastcgi://unix:/tmp/heroku.fcgi.5311.sock:"' if text.endswith("upstream") else ""
        line = (
            f"{self._stamps.nginx(at)} [error] 140#140: *{number % 90_000 + 11} {text}, "
            f"client: 10.1.2.{number % 200 + 2}, server: localhost, "
            f'request: "{self._request(number)} HTTP/1.1"{upstream}, host: "{HOST}"\n'
        )
        self._pen.write("php", self._source(number), at, line)

    def _fault(self, number: int) -> None:
        at, source = int(self._served.ended[number]) - 400, self._source(number)
        date, fault = f"[{self._stamps.php(at)} UTC]", int(self._requests.fault[number])
        if fault == traffic.MEMORY:
            wanted = int(self._random.choice((20_480, 65_536, 2_097_160)))
            sizes = f"{MEMORY_LIMIT} bytes exhausted (tried to allocate {wanted} bytes)"
            text = f"PHP Fatal error:  Allowed memory size of {sizes}{_PRICE_LIST}"
            self._pen.write("php", source, at, f"{date} {text}\n", note="limit")
        elif fault == traffic.WARNING:
            self._pen.write("php", source, at, f"{date} {_WARNINGS[number % len(_WARNINGS)]}\n")
        else:
            head, *trace = _REFUSED if fault == traffic.REFUSED else _UNCAUGHT
            self._pen.write("php", source, at, f"{date} {head}\n")
            self._pen.block(source, at + 1, (f"{text}\n" for text in trace))
