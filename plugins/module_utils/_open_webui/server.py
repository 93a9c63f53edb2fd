# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""An Open-WebUI and its admin API: signs in once, reads and writes JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._open_webui.reach import Answer, Reach
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.trouble import Trouble

#: What of an answer's text is shown.
_SHOWN = 300


@dataclass(frozen=True)
class Login:
    """An administrator. `source` says where the password comes from: "key … of Secret …", or "" when it was a parameter."""

    email: str
    password: str = field(repr=False)
    source: str = ""


class Server:
    """One Open-WebUI, as an administrator. Every method raises Trouble."""

    def __init__(self, reach: Reach, remember: Callable[[list[bytes]], None]) -> None:
        self._reach = reach
        self._remember = remember
        self._token = ""
        self.version = ""

    @property
    def where(self) -> str:
        return self._reach.where

    def meet(self) -> None:
        """Be sure that it is an Open-WebUI that has an administrator, and learn its version."""
        # Every path that it does not know answers 200 with the page for people: only JSON is an answer.
        answer = self._send("GET", "/api/config")
        about = _json(answer)
        if answer.status != 200 or not isinstance(about, Mapping) or not isinstance(about.get("version"), str):
            raise Trouble(f"{self.where} is no Open-WebUI: GET /api/config {_told(answer)}")
        self.version = about["version"]
        if about.get("onboarding"):
            raise Trouble(
                f"Open-WebUI {self.version} at {self.where} has no user yet, and makes whoever signs up first its administrator: "
                "start it with WEBUI_ADMIN_EMAIL and WEBUI_ADMIN_PASSWORD on an empty database"
            )

    def sign_in(self, login: Login, patience: float, sleep: Callable[[float], None] = time.sleep) -> None:
        """Sign in; wait once when there were too many attempts before."""
        answer = self._try(login)
        if answer.status == 429:
            seconds = _seconds_to_wait(answer, patience)
            if seconds is not None:
                sleep(seconds)
                answer = self._try(login)
        if answer.status == 429:
            raise Trouble(
                f"Open-WebUI at {self.where} lets nobody sign in as {login.email} for now, after too many attempts (429): it allows 15 in "
                "about three minutes. Wait that long and run again, or raise sign_in_patience"
            )
        session = _json(answer)
        if answer.status in (400, 401, 403):
            raise Trouble(_refused(self.where, login, answer))
        if answer.status != 200 or not isinstance(session, Mapping):
            raise Trouble(f"Open-WebUI {self.version} at {self.where}: signing in as {login.email} {_told(answer)}")
        if not session.get("token"):
            raise Trouble(f"Open-WebUI at {self.where} asks {login.email} for a second factor: name an administrator without one")
        self._token = str(session["token"])
        self._remember([self._token.encode()])
        if session.get("role") != "admin":
            role = session.get("role")
            raise Trouble(f"{login.email} has the role {role} in Open-WebUI at {self.where}: name an administrator in admin_email")

    def read(self, path: str) -> Any:
        """Return what is at `path`."""
        answer = self._send("GET", path)
        found = _json(answer)
        if answer.status != 200 or found is None:
            raise self.unknown(path, _told(answer))
        return found

    def write(self, path: str, body: Mapping[str, Any]) -> None:
        answer = self._send("POST", path, body)
        if answer.status != 200 or _json(answer) is None:
            raise Trouble(f"Open-WebUI {self.version} at {self.where} did not take what was to be written: POST {path} {_told(answer)}")

    def try_out(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Send what writes nothing, and return the answer whatever it is."""
        return self._send("POST", path, body)

    def unknown(self, path: str, why: str) -> Trouble:
        """The error for what this version has otherwise than this collection knows it."""
        return Trouble(
            f"Open-WebUI {self.version} at {self.where} has no {path} as this collection knows it from 0.12 ({why}): nothing was changed. "
            "Use a version of Open-WebUI that it knows, or one of this collection that knows yours"
        )

    def _try(self, login: Login) -> Answer:
        return self._send("POST", "/api/v1/auths/signin", {"email": login.email, "password": login.password})

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self._token}"} if self._token else {})}
        answer = self._reach.send(method, path, headers, None if body is None else json.dumps(body))
        if answer.status == 0:
            raise Trouble(f"Open-WebUI at {self.where} does not answer {method} {path}: {answer.text}")
        return answer


def _json(answer: Answer) -> Any:
    if not answer.headers.get("content-type", "").startswith("application/json"):
        return None
    try:
        return json.loads(answer.text)
    except ValueError:
        return None


def _told(answer: Answer) -> str:
    """What it answered, for people."""
    if location := answer.headers.get("location"):
        return f"answered {answer.status}: it is at {location}"
    kind = answer.headers.get("content-type", "no type").partition(";")[0]
    if kind != "application/json":
        return f"answered {answer.status} with {kind}, not JSON"
    return f"answered {answer.status}: {said(answer.text)}"


def said(text: str) -> str:
    """Return the sentence in the body of an error, whoever wrote it, at most some hundred characters of it."""
    try:
        found = json.loads(text)
    except ValueError:
        found = text
    for name in ("detail", "error", "message"):
        if isinstance(found, Mapping) and found.get(name):
            found = found[name]
    return (found if isinstance(found, str) else json.dumps(found))[:_SHOWN]


def _seconds_to_wait(answer: Answer, patience: float) -> float | None:
    """How long to wait before a second try, None when that is longer than is allowed."""
    try:
        seconds = float(answer.headers.get("retry-after", ""))
    except ValueError:
        seconds = patience
    return seconds if 0 < seconds <= patience else None


def _refused(where: str, login: Login, answer: Answer) -> str:
    password = f"the password in {login.source}" if login.source else "the password in admin_password"
    return (
        f"Open-WebUI at {where} does not take {password} for {login.email} ({answer.status}: {said(answer.text)}). A database keeps the "
        "password it was made with, whatever WEBUI_ADMIN_PASSWORD says later: give that one, or change it in the web interface "
        "(Settings, Account) to the new one, or name another administrator in admin_email"
    )
