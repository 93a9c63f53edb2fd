# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pull, told by the lines that Ollama 0.17.4 writes."""

from __future__ import annotations

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._stack.pull import InterruptedPull, Pull, PullError, full_name, size

GIB = 2**30


def layer(total: int, completed: int, digest: str = "sha256:aa") -> dict[str, object]:
    return {"status": "pulling aa", "digest": digest, "total": total, "completed": completed}


def test_progress_counts_all_layers() -> None:
    pull = Pull("neural-chat:latest")
    pull.hear({"status": "pulling manifest"})
    assert pull.text == "pulling manifest"
    pull.hear(layer(3 * GIB, 0))
    pull.hear(layer(3 * GIB, 2 * GIB))
    pull.hear(layer(GIB, 0, "sha256:bb"))
    assert pull.text == "50 % of 4.0 GiB"
    assert not pull.done
    pull.hear({"status": "success"})
    assert pull.done


def test_what_an_earlier_pull_had_begun_is_told_from_what_was_whole() -> None:
    pull = Pull("neural-chat:latest")
    pull.hear(layer(100, 43))
    pull.hear(layer(100, 100))
    pull.hear(layer(50, 50, "sha256:bb"))
    assert pull.resumed == 43


def test_it_ends_before_the_disk_is_full() -> None:
    pull = Pull("neural-chat:latest", room=2 * GIB, place="/var/lib/docker")
    with pytest.raises(PullError, match=r"needs 4\.0 GiB more, and 2\.0 GiB .* /var/lib/docker.*local_stack_model"):
        pull.hear(layer(4 * GIB, 0))


def test_what_is_there_already_needs_no_room() -> None:
    pull = Pull("neural-chat:latest", room=2 * GIB)
    pull.hear(layer(4 * GIB, 3 * GIB))
    assert pull.percent == 75


@pytest.mark.parametrize("error", ["pull model manifest: file does not exist", "invalid model name"])
def test_an_unknown_model_is_told_with_the_way_out(error: str) -> None:
    with pytest.raises(PullError, match=r"no model neural-caht:latest .*ollama\.com/library"):
        Pull("neural-caht:latest").hear({"error": error})


def test_a_full_disk_is_no_reason_to_try_again() -> None:
    with pytest.raises(PullError, match="disk is full"):
        Pull("neural-chat:latest").hear({"error": "write /root/.ollama/x: no space left on device"})


def test_any_other_error_is() -> None:
    with pytest.raises(InterruptedPull, match="max retries"):
        Pull("neural-chat:latest").hear({"error": "max retries exceeded: EOF"})


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("neural-chat", "neural-chat:latest"),
        ("qwen2.5:3b", "qwen2.5:3b"),
        ("http://registry:5000/library/neural-chat", "http://registry:5000/library/neural-chat:latest"),
    ],
)
def test_a_name_without_a_tag_means_the_latest(name: str, full: str) -> None:
    assert full_name(name) == full


def test_sizes_are_for_people() -> None:
    assert [size(12), size(2048), size(5 * 2**20), size(3 * GIB)] == ["12 B", "2.0 KiB", "5.0 MiB", "3.0 GiB"]
