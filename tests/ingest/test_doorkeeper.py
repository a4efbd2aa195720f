"""What the doorkeeper knows when the file with the credentials cannot be read."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest

from ingest.credentials import Claim, CredentialStore, Doorkeeper, digest
from ingest.eventlog.embedded import EmbeddedLog

if TYPE_CHECKING:
    from pathlib import Path


def test_a_log_that_is_taken_away_locks_no_drain_out(tmp_path: Path) -> None:
    """A 401 is final: while the file is away, the credentials known before stay valid, and no empty file is made."""
    EmbeddedLog(tmp_path / "log.db").close()
    store = CredentialStore(tmp_path / "log.db")
    claimed = Claim("blog", digest(store.add("blog")))
    doorkeeper = Doorkeeper(store, {})
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(sqlite3.Error):
        asyncio.run(doorkeeper.learn())
    assert doorkeeper.admits(claimed)
    assert list(tmp_path.iterdir()) == []
