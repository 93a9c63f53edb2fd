# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Sends HTTP requests that it is told, one JSON line each, and writes a JSON line with each answer.

Standard library only and nothing of this collection: the source of this file is also run as a program in Open-WebUI's container, where the
arguments are the address to ask and how many seconds an answer may take. Keys come over the standard input, so no process list has them.
"""

from __future__ import annotations

import http.client
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable
from typing import IO, Any


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirected POST would go on as a GET without its body, and seem to have worked."""

    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


def opener(handlers: Iterable[urllib.request.BaseHandler]) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_Stay, *handlers)


def ask(via: urllib.request.OpenerDirector, url: str, timeout: float, told: dict[str, Any]) -> dict[str, Any]:
    """Send `method`, `path`, `headers` and `body`; return `status` (0 when no answer came), `headers` in lower case, and `text`."""
    body = told["body"]
    request = urllib.request.Request(  # noqa: S310  # who runs it names the address
        url + told["path"], None if body is None else body.encode(), told["headers"], method=told["method"]
    )
    try:
        with via.open(request, timeout=timeout) as answer:
            return _answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.headers, error.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return {"status": 0, "headers": {}, "text": str(getattr(reason, "strerror", None) or reason) or type(reason).__name__}


def _answer(status: int, headers: Any, body: bytes) -> dict[str, Any]:
    return {"status": status, "headers": {name.lower(): value for name, value in headers.items()}, "text": body.decode(errors="replace")}


def main(told: IO[str], url: str, timeout: float) -> None:
    # In the container it is the next process that answers: a proxy for the Internet is not for it.
    via = opener([urllib.request.ProxyHandler({})])
    for line in told:
        sys.stdout.write(json.dumps(ask(via, url, timeout, json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.stdin, sys.argv[1], float(sys.argv[2]))
