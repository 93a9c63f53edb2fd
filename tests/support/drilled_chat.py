# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role open_webui in front of the LiteLLM of a drilled site, and people who use it."""

from __future__ import annotations

import base64
import json
import secrets
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import drills
from forwarded import forwarded
from site_under_test import Site

SECRET, NAME = "open-webui-secrets", "open-webui"


@dataclass(frozen=True)
class Person:
    """Somebody with an account. Their password is in a Secret of their own as well, from where a probe takes it."""

    email: str
    password: str
    secret: str

    @property
    def login(self) -> dict[str, Any]:
        """What a probe is told of them."""
        return {"email": self.email, "key_secret": {"name": self.secret, "key": "PASSWORD"}}


class Chat:
    """Open-WebUI as the role makes it. `address` is where a browser on this machine finds it."""

    def __init__(self, site: drills.Site, address: str, administrator: Person) -> None:
        self.site, self.address, self.administrator = site, address, administrator
        self._token = self.ask("POST", "/api/v1/auths/signin", {"email": administrator.email, "password": administrator.password})["token"]

    def ask(self, method: str, path: str, body: Any = None, *, token: str = "") -> Any:
        """Ask Open-WebUI's API, as the administrator when nobody else is named."""
        bearer = token or getattr(self, "_token", "")
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address.rstrip("/") + path, data, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.loads(answer.read())

    def somebody(self) -> Person:
        """Give an ordinary user an account: each address may sign in 15 times in three minutes, so tests have people of their own."""
        person = Person(f"{uuid.uuid4().hex[:8]}@example.org", secrets.token_urlsafe(24), f"person-{uuid.uuid4().hex[:8]}")
        about = {"name": "Somebody", "email": person.email, "password": person.password, "role": "user"}
        self.ask("POST", "/api/v1/auths/add", about)
        secret = {"metadata": {"name": person.secret}, "stringData": {"PASSWORD": person.password}}
        self.site.core.create_namespaced_secret(self.site.namespace, secret)
        return person

    @property
    def url(self) -> str:
        """Where a pod finds it."""
        return f"http://{NAME}.{self.site.namespace}.svc.cluster.local"

    def chats(self) -> int:
        """How many conversations all people together have."""
        return len(self.ask("GET", "/api/v1/chats/all/db"))


@contextmanager
def drilled_chat(site: drills.Site) -> Iterator[Chat]:
    """Put Open-WebUI on a drilled site."""
    email = f"admin-{uuid.uuid4().hex[:8]}@example.org"
    played = Site(site.namespace).play(
        "site",
        "--tags",
        "open_webui",
        open_webui_enabled=True,
        open_webui_namespace=site.namespace,
        open_webui_create_namespace=False,
        open_webui_litellm_url=site.url("litellm"),
        open_webui_litellm_key={"namespace": site.namespace, "name": "litellm", "key": "LITELLM_MASTER_KEY"},
        open_webui_default_models=["one"],
        open_webui_admin_email=email,
        open_webui_storage_class="sandbox",
        open_webui_exposure="none",
        # The role's own tests look at that.
        open_webui_verify=False,
    )
    assert played.code == 0, played.output
    found = site.core.read_namespaced_secret(SECRET, site.namespace).data
    password = base64.b64decode(found["WEBUI_ADMIN_PASSWORD"]).decode()
    with forwarded(f"{site.namespace}/{NAME}") as address:
        yield Chat(site, address, Person(email, password, SECRET))
