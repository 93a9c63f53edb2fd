# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of Secrets, on the way from the cluster to the request."""

from __future__ import annotations

import base64
import secrets
from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._open_webui.reach import newest_ready
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.task import Keys
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.trouble import NotThereYet, Trouble
from ansible_collections.homelab.llm.plugins.module_utils._secrets.request import Source

SOURCE = Source("apps", "s", "KEY")


class Cluster:
    def __init__(self, **values: bytes) -> None:
        self.data = {key: base64.b64encode(value).decode() for key, value in values.items()}
        self.reads = 0

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        self.reads += 1
        return {"metadata": {"uid": "u"}, "data": self.data} if (kind, namespace, name) == ("secrets", "apps", "s") else None


def test_a_secret_is_read_once_and_its_values_are_remembered() -> None:
    value, remembered = secrets.token_hex(16), list[bytes]()
    cluster = Cluster(KEY=value.encode())
    keys = Keys(cluster, remembered.extend)
    assert (keys.value(SOURCE), keys.value(SOURCE), keys.uid(SOURCE)) == (value, value, "u")
    assert (cluster.reads, set(remembered)) == (1, {value.encode()})


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"changeme", "Key KEY of Secret apps/s is a placeholder (changeme): put the real one there"),
        (b" ", "Key KEY of Secret apps/s is empty"),
        (b"\xff\xfe", "Key KEY of Secret apps/s is no text"),
    ],
)
def test_what_is_no_key_is_refused(value: bytes, problem: str) -> None:
    with pytest.raises(Trouble) as trouble:
        Keys(Cluster(KEY=value), lambda _values: None).value(SOURCE)
    assert problem in str(trouble.value)


def test_a_key_that_is_not_in_the_secret_is_a_mistake_and_a_secret_that_is_not_there_may_come() -> None:
    keys = Keys(Cluster(), lambda _values: None)
    with pytest.raises(Trouble, match="There is no key KEY of Secret apps/s"):
        keys.value(SOURCE)
    with pytest.raises(NotThereYet, match="There is no Secret apps/other, whose key KEY is needed"):
        keys.value(Source("apps", "other", "KEY"))


def pod(name: str, created: str, *, ready: bool = True, leaves: bool = False) -> dict[str, Any]:
    meta = {"name": name, "creationTimestamp": created, **({"deletionTimestamp": "now"} if leaves else {})}
    return {"metadata": meta, "status": {"conditions": [{"type": "Ready", "status": str(ready)}]}}


def test_the_newest_pod_that_is_ready_and_stays_is_asked() -> None:
    pods = [pod("old", "1"), pod("new", "2"), pod("newest", "3", ready=False), pod("leaving", "4", leaves=True)]
    assert newest_ready(pods, "apps", "a=b")["metadata"]["name"] == "new"


def test_without_one_it_is_said_whether_there_is_none_or_none_is_ready() -> None:
    with pytest.raises(NotThereYet, match="No pod in namespace apps has the labels a=b: install Open-WebUI"):
        newest_ready([pod("leaving", "4", leaves=True)], "apps", "a=b")
    with pytest.raises(NotThereYet, match=r"No pod of Open-WebUI in namespace apps is ready \(a, b\)"):
        newest_ready([pod("b", "1", ready=False), pod("a", "1", ready=False)], "apps", "a=b")
