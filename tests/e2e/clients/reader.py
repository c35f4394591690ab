"""
A client that is made to be killed: one request, and each line of its answer said as it comes.

    python reader.py METHOD URL TOKEN [BODY]
"""

from __future__ import annotations

import http.client
import sys
from urllib.parse import urlsplit


def main(method: str, url: str, token: str, body: str = "") -> None:
    """Send the request, tell the lines."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=120)
    headers = {
        "authorization": f"Bearer {token}",
        "a2a-version": "1.0",
        "a2a-extensions": "urn:a2a:stream-hints/v1",
        "content-type": "application/json",
    }
    connection.request(method, where.path, body.encode() or None, headers)
    for line in connection.getresponse():
        sys.stdout.write(line.decode())
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
