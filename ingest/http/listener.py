"""The listening socket: bound once, by the process that receives or by the one that starts its workers.

Workers inherit it instead of binding the port each (SO_REUSEPORT): what knocks waits in one queue of the kernel, so
a worker that dies takes no connection with it that it had not accepted, and one that is busy leaves them to the others.
"""

from __future__ import annotations

import socket
from typing import Final

BACKLOG: Final = 2048


def bind(host: str, port: int) -> socket.socket:
    """A socket at this address, which does not listen yet. Raises ``OSError`` when the address is taken."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
