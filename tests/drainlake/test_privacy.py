"""The settings reach the landing, also that of imported logs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from transforms.addresses import Hasher

if TYPE_CHECKING:
    from tests.drainlake.inside import Inside

KEY = "a key of the tests"
LINE = (
    '203.0.113.7 - - [20/Nov/2026:12:00:00 +0000] "GET /x?mail=jane HTTP/1.1" 200 5 "https://e.com/?q=jane" "curl/8"\n'
)


@pytest.mark.parametrize("is_private", [True, False])
def test_imported_lines_land_as_the_settings_ask(inside: Inside, is_private: bool) -> None:
    """Without the settings nothing is changed."""
    (inside.folder / "access.log").write_text(LINE)
    asked = {"DRAINLAKE_ADDRESS_KEY": KEY, "DRAINLAKE_QUERY_STRINGS": "drop"} if is_private else {}
    inside.good("import", "access", "access.log", "--app", "shop", **asked)
    (row,) = json.loads(inside.good("sql", "SELECT client_ip, path, referrer FROM access", "--format", "json"))
    found = (row["client_ip"], row["path"], row["referrer"])
    hashed = Hasher(KEY.encode()).token("203.0.113.7")
    plain = ("203.0.113.7", "/x?mail=jane", "https://e.com/?q=jane")
    assert found == ((hashed, "/x", "https://e.com/") if is_private else plain)
