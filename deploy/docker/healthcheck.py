"""Asks /healthz of the drainlake in this container; exit code 0 when it answers 200: healthcheck.py [PORT].

Without PORT it asks the receiver. Standard library only, since it runs every few seconds.
"""

from __future__ import annotations

import os
import ssl
import sys
import urllib.request

TIMEOUT_SECONDS = 4


def main() -> int:
    """Ask once; the certificate is for the public name, and here the way is loopback."""
    given = sys.argv[1:2]
    is_tls = not given and bool(os.environ.get("DRAINLAKE_TLS_CERT"))
    port = given[0] if given else os.environ.get("PORT") or "8080"
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    address = f"{'https' if is_tls else 'http'}://127.0.0.1:{port}/healthz"
    # No proxy: HTTP_PROXY is for the outside.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(address, timeout=TIMEOUT_SECONDS) as answer:
            return 0 if answer.status == 200 else 1
    except OSError as error:
        sys.stderr.write(f"{address}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
