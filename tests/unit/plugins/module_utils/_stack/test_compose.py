# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Compose says of a project is enough to tell what it would do, and what it has done."""

from __future__ import annotations

import json

from ansible_collections.homelab.llm.plugins.module_utils._stack.compose import (
    Container,
    Plan,
    Port,
    containers,
    done,
    hashes,
    plan,
    ports,
    progress,
)


def container(service: str, *, identity: str = "1", state: str = "running", health: str = "healthy", definition: str = "a") -> Container:
    return Container(service, identity, state, health, definition)


def test_hashes_are_read() -> None:
    assert hashes("litellm 12ab\nollama 34cd\n\n") == {"litellm": "12ab", "ollama": "34cd"}


def test_containers_are_read_in_both_forms_of_compose() -> None:
    told = {
        "Service": "litellm",
        "ID": "f00",
        "State": "running",
        "Health": "starting",
        "Labels": "com.docker.compose.depends_on=redis:service_healthy:false,com.docker.compose.config-hash=12ab,other=x",
    }
    expected = [container("litellm", identity="f00", health="starting", definition="12ab")]
    assert containers(json.dumps(told) + "\n") == expected
    assert containers(json.dumps([told])) == expected
    assert containers("") == []


def test_a_service_is_recreated_for_another_definition_only() -> None:
    there = [container("litellm", definition="old"), container("ollama"), container("redis", state="exited"), container("postgres")]
    wanted = {"litellm": "new", "ollama": "a", "redis": "a", "extra": "a"}
    expected = Plan(create=("extra",), recreate=("litellm",), start=("redis",), remove=("postgres",))
    assert plan(wanted, there) == expected
    assert expected.text == "create extra; recreate litellm; start redis; remove postgres"
    assert not plan({"ollama": "a"}, [container("ollama")])


def test_what_was_done_is_told_by_the_containers_not_by_the_plan() -> None:
    before = [container("litellm", identity="1"), container("ollama", identity="2"), container("redis", identity="3", state="exited")]
    after = [container("litellm", identity="9"), container("ollama", identity="2"), container("redis", identity="3")]
    assert done(before, after) == Plan(recreate=("litellm",), start=("redis",))
    assert not done(after, after)


def test_published_ports_are_found_with_their_address() -> None:
    configuration = {
        "services": {
            "litellm": {"ports": [{"target": 4000, "published": "8001", "host_ip": "127.0.0.1"}]},
            "ollama": {"ports": [{"target": 11434, "published": "11434"}, {"target": 1}]},
            "redis": {},
        }
    }
    assert list(ports(configuration)) == [Port("litellm", "127.0.0.1", 8001), Port("ollama", "0.0.0.0", 11434)]  # noqa: S104


def test_readiness_is_health_where_there_is_a_check_of_it() -> None:
    assert container("x").ready
    assert container("x", health="").ready
    assert not container("x", health="starting").ready
    assert not container("x", state="exited", health="").ready
    assert progress(["a", "b"], [container("a", health="starting")]) == "a starting, b not there yet"
