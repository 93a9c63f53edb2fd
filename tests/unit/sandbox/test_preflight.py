# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
from pathlib import Path

import pytest

from sandbox import preflight
from sandbox.errors import SandboxError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SANDBOX_CACHE", str(tmp_path))
    return tmp_path


def test_too_little_disk_is_named_with_the_folder_and_the_way_out(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(preflight.FREE_GIB, "run", 10**9)
    with pytest.raises(SandboxError, match=rf"GiB are free in {cache}, 1000000000 are needed\n  remedy: free some, or set SANDBOX_CACHE"):
        preflight.check(building=False)


def test_too_little_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "MEMORY_GIB", 10**6)
    with pytest.raises(SandboxError, match=r"GiB of memory are available, 1000000 are needed\n  remedy: end what uses it"):
        preflight.check(building=False)


def test_an_old_kernel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "KERNEL", (99, 0))
    with pytest.raises(SandboxError, match=r"Linux \S+ is too old\n  remedy: boot Linux 99.0 or later"):
        preflight.check(building=False)


def test_all_problems_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "KERNEL", (99, 0))
    monkeypatch.setattr(preflight, "MEMORY_GIB", 10**6)
    with pytest.raises(SandboxError, match=r"(?s)is too old.*GiB of memory"):
        preflight.check(building=False)


def test_a_cache_where_the_sandbox_has_its_own_folders_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # Its check comes after that of the space, which looks at the folder: one that exists and is not ours to write to.
    monkeypatch.setattr(preflight, "cache_root", lambda: Path("/var/lib"))
    with pytest.raises(
        SandboxError, match=r"/var/lib is below /var/lib, which the sandbox replaces with its own\n  remedy: set SANDBOX_CACHE"
    ):
        preflight.check(building=False)


def test_a_port_in_use_is_named_with_the_option_that_changes_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SandboxError, match=rf"port {port} of 127.0.0.1, wanted for the API, is in use.*\n  remedy: .*--api-port"):
            preflight.listen(port, "the API", "--api-port")
