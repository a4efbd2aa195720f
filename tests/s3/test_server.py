"""The S3 server of the tests does what the lake relies on, also through the proxy."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import S3Store

from tests.keeper import START_TIMEOUT_SECONDS
from tests.s3.fixtures import BINARY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.s3.faults import FaultProxy
    from tests.s3.fixtures import S3Server


def store(s3: S3Server, bucket: str, endpoint: str) -> S3Store:
    """A plain client."""
    return S3Store(
        bucket,
        endpoint=endpoint,
        region=s3.region,
        access_key_id=s3.access_key,
        secret_access_key=s3.secret_key,
        client_options={"allow_http": True},
    )


def test_conditions_hold_also_through_the_proxy(s3: S3Server, bucket: str, proxy: FaultProxy) -> None:
    """A second creation and an update of an old version are refused; signatures survive the proxy."""
    client = store(s3, bucket, proxy.endpoint)
    first = obstore.put(client, "a=b/c d.txt", b"1", mode="create")
    with pytest.raises(AlreadyExistsError):
        obstore.put(client, "a=b/c d.txt", b"2", mode="create")
    obstore.put(client, "a=b/c d.txt", b"3", mode={"e_tag": first["e_tag"]})
    with pytest.raises(PreconditionError):
        obstore.put(client, "a=b/c d.txt", b"4", mode={"e_tag": first["e_tag"]})
    assert bytes(obstore.get(client, "a=b/c d.txt").bytes()) == b"3"
    assert [request.status for request in proxy.seen] == [200, 412, 200, 412, 200]


HOLDER = """
import sys
from pathlib import Path
from tests.s3.fixtures import running
with running(Path(sys.argv[1]), Path(sys.argv[2])) as server:
    print(server.endpoint.rpartition(":")[2], flush=True)
    sys.stdin.readline()
"""


def test_the_server_dies_with_its_test_process(s3: S3Server, tmp_path: Path) -> None:
    """A killed test process leaves no server behind."""
    command = [sys.executable, "-c", HOLDER, str(BINARY), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        port = int(holder.stdout.readline())
        holder.kill()
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return
        time.sleep(0.05)
    pytest.fail("the server still answers")
