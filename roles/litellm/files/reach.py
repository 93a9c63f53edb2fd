"""Asks LiteLLM whether it lives, as a client in this pod's namespace: by the Service's full name, without a key.

The one argument is the address. Prints what was found as JSON; ends with one sentence when it cannot be reached.
"""

from __future__ import annotations

import json
import socket
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit


def main(url: str) -> None:
    name, port = urlsplit(url).hostname or "", urlsplit(url).port or 80
    started = time.monotonic()
    try:
        address = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0][4][0]
    except socket.gaierror as error:
        sys.exit(f"{name} is not known to the cluster's name server: {error.strerror}")
    resolved = time.monotonic()
    # The Service is in the cluster, so a proxy for the Internet is not for it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/health/liveliness", timeout=10) as answer:
            answer.read()
    except (OSError, ValueError) as error:
        sys.exit(f"{name} is {address}, but does not answer on port {port}: {getattr(error, 'reason', None) or error}")
    answered = time.monotonic()
    found = {"address": address, "resolve_ms": round((resolved - started) * 1000, 1), "answer_ms": round((answered - resolved) * 1000, 1)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
