# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Signs somebody in at Open-WebUI, as its page does, and asks in their name. Standard library only: a part of worker.py and of watcher.py.

As Open-WebUI 0.12.4 does it: a password is good for a token, which every other request carries. It allows 15 sign-ins in three minutes
for each address, successful ones included, so that a token is asked for once and kept.
"""

from __future__ import annotations

import functools
import json
import ssl
import urllib.error
import urllib.request
from typing import Any

#: Seconds for an answer. A list of models waits for every backend, ten seconds at most.
LONGEST = 15


class NotSignedIn(Exception):
    """Open-WebUI does not let them in, or is not there; the message goes on where its address ends."""


def asked(url: str, context: ssl.SSLContext, token: str = "", body: Any = None) -> Any:
    """Return the JSON of an answer; with a body it is a POST. Raises HTTPError, OSError, ValueError."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - the address was checked
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    with opener.open(request, timeout=LONGEST) as answer:
        return json.loads(answer.read())


@functools.cache
def token_of(url: str, email: str, password: str, context: ssl.SSLContext) -> str:
    """Return the token that Open-WebUI at `url` gives them. Raises NotSignedIn."""
    try:
        token = asked(url.rstrip("/") + "/api/v1/auths/signin", context, body={"email": email, "password": password})["token"]
    except urllib.error.HTTPError as error:
        why = {
            400: f"does not let {email} in: there is nobody of that address, or the password is another one",
            429: f"lets {email} in no more for now: it allows 15 sign-ins in three minutes; try again after that",
        }
        raise NotSignedIn(why.get(error.code, f"answered {error.code} when {email} signed in")) from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise NotSignedIn(f"cannot be reached: {type(reason).__name__}: {reason}") from None
    except (ValueError, LookupError, TypeError):
        # Its page answers whatever path it does not know, with 200.
        raise NotSignedIn("gives nobody a token: is it the address of Open-WebUI, without a path?") from None
    return str(token)


def seen(url: str, email: str, password: str, context: ssl.SSLContext) -> tuple[list[str], str]:
    """Return the models that they can choose, and Open-WebUI's version. Raises NotSignedIn.

    Without `refresh` the list goes on naming models of a backend that is gone.
    """
    token, base = token_of(url, email, password, context), url.rstrip("/")
    try:
        found = asked(f"{base}/api/models?refresh=true", context, token)["data"]
        return sorted({str(each["id"]) for each in found}), str(asked(f"{base}/api/config", context)["version"])
    except urllib.error.HTTPError as error:
        raise NotSignedIn(f"answered {error.code} when asked for its models") from None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise NotSignedIn(f"does not tell its models: {type(error).__name__}: {error}") from None
