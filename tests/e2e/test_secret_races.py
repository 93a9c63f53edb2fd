# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""k8s_secret_patch while others write the same Secret."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.client import Client
from ansible_collections.homelab.llm.plugins.module_utils._secrets import request, writer
from ansible_collections.homelab.llm.plugins.module_utils._secrets.plan import Recipe, Wanted
from secret_under_test import Secret, key

pytestmark = pytest.mark.cluster


class Interfered(Client):
    """A client whose every write comes second: another writer's is just before it, `times` times."""

    def __init__(self, inner: Client, secret: Secret, interfere: Any, times: int) -> None:
        super().__init__(lambda: inner._transport)
        self._secret, self._interfere, self.left = secret, interfere, times

    def _first_the_other(self) -> None:
        if self.left:
            self.left -= 1
            self._interfere()

    def create(self, *args: Any, **options: Any) -> dict[str, Any]:
        self._first_the_other()
        return super().create(*args, **options)

    def merge_patch(self, *args: Any, **options: Any) -> dict[str, Any]:
        self._first_the_other()
        return super().merge_patch(*args, **options)


@pytest.fixture
def converge(kubeconfig: Path, secret: Secret) -> Iterator[Any]:
    """Runs the module's core while another writer gets in its way."""
    inner = Client.from_params({"kubeconfig": str(kubeconfig)})

    def run(wanted: Wanted, interfere: Any, times: int = 1) -> writer.Outcome:
        asked = request.Request(secret.namespace, secret.name, "Opaque", create=True, wanted=wanted, copies={})
        return writer.converge(Interfered(inner, secret, interfere, times), asked, dry_run=False, remember=lambda _values: None)

    yield run
    inner.close()


@pytest.fixture
def other_writer(core: client.CoreV1Api, secret: Secret) -> Any:
    def write(**values: str) -> None:
        core.patch_namespaced_secret(secret.name, secret.namespace, {"stringData": values})

    return write


def test_a_write_in_between_is_noticed_and_kept(converge: Any, secret: Secret, other_writer: Any) -> None:
    secret.create({"A": "old-value"})
    converge(Wanted(values={"A": b"ours"}), lambda: other_writer(B="theirs"))
    assert secret.values == {"A": "ours", "B": "theirs"}


def test_a_key_that_another_generated_meanwhile_is_kept(converge: Any, secret: Secret, other_writer: Any) -> None:
    secret.create({"A": "old-value"})
    converge(Wanted(generate={"M": Recipe(20)}), lambda: other_writer(M="made-by-the-other-one"))
    assert secret.values == {"A": "old-value", "M": "made-by-the-other-one"}


def test_who_creates_it_first_wins_and_what_he_generated_is_kept(converge: Any, secret: Secret) -> None:
    wanted = Wanted(values={"A": b"ours"}, generate={"M": Recipe(20)})
    outcome = converge(wanted, lambda: secret.create({"M": "made-by-the-other-one"}))
    assert secret.values == {"A": "ours", "M": "made-by-the-other-one"}
    assert outcome.plan.actions == {"A": "added", "M": "unchanged"}


def test_a_secret_that_is_deleted_meanwhile_is_made_again(converge: Any, secret: Secret) -> None:
    secret.create({"A": "old-value", "B": "gone-with-it"})
    outcome = converge(Wanted(values={"A": b"ours"}), secret.delete)
    assert secret.values == {"A": "ours"}
    assert outcome.created


def test_a_writer_that_never_rests_is_found_out(converge: Any, secret: Secret, other_writer: Any) -> None:
    secret.create({"A": "old-value"})
    with pytest.raises(writer.Contended, match="find the other writer"):
        converge(Wanted(values={"A": b"ours"}), lambda: other_writer(B=key()), times=1000)


def test_two_writers_at_once_both_come_through(secret: Secret, run_module: Any) -> None:
    secret.create({"A": "old-value"})
    params = {"namespace": secret.namespace, "name": secret.name}
    runs: dict[str, Any] = {}

    def write(name: str, values: dict[str, str]) -> None:
        runs[name] = run_module("k8s_secret_patch", {**params, "data": values})

    threads = [threading.Thread(target=write, args=(name, {name: f"from-{name}"})) for name in ("X", "Y")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not [run for run in runs.values() if run.failed]
    assert secret.values == {"A": "old-value", "X": "from-X", "Y": "from-Y"}


def test_ten_writers_at_once_all_come_through(kubeconfig: Path, secret: Secret) -> None:
    def write(number: int) -> None:
        connected = Client.from_params({"kubeconfig": str(kubeconfig)})
        wanted = Wanted(values={f"K{number}": f"from-{number}".encode()})
        asked = request.Request(secret.namespace, secret.name, "Opaque", create=True, wanted=wanted, copies={})
        writer.converge(connected, asked, dry_run=False, remember=lambda _values: None)
        connected.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert secret.values == {f"K{number}": f"from-{number}" for number in range(10)}
