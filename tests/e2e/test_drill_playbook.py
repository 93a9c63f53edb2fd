# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/drill.yml as a person sees it: what it refuses, announces, shows while it goes on and leaves behind; and its code for a CI."""

from __future__ import annotations

import json
import re
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import drilled_site
import pytest
import switched_site
from kubernetes import client
from playing import Playing, playing_playbook
from site_under_test import Site
from switched_site import FALLBACK, MODEL

pytestmark = pytest.mark.cluster

KEY = f"sk-{secrets.token_hex(16)}"
JOURNAL = "homelab.llm/failover-probe"
SECONDS = {"steady": 3, "fault": 6, "recovery": 5}


@pytest.mark.parametrize(
    ("options", "variables", "told", "passed"),
    [
        ((), {}, "This breaks backends in namespace nowhere", 0),
        (("--tags", "NFR65"), {"drill_confirm": "maybe"}, "If that is what you want: -e drill_confirm=yes. To only look: --check", 0),
        ((), {"drill_confirm": "yes", "drill_only": "failover-hang, melt"}, "drill_only: there is no drill melt; there are failover", 1),
    ],
    ids=["not confirmed", "confirmed with a word of one's own", "no such drill"],
)
def test_what_nobody_asked_for_is_refused_first(options: tuple[str, ...], variables: dict[str, Any], told: str, passed: int) -> None:
    played = Site("nowhere").play("drill", *options, **variables)
    assert played.code == 2
    assert told in re.sub(r"\s+", " ", played.output)
    # Not even what an earlier run has left is looked for.
    assert (played.recap["ok"], played.recap["failed"]) == (passed, 1), played.output


@dataclass
class Drilled:
    """A site, and the folder of its reports."""

    core: client.CoreV1Api
    namespace: str
    reports: Path

    @contextmanager
    def playing(self, only: str, *options: str, **variables: Any) -> Iterator[Playing]:
        given = {
            **switched_site.variables(self.namespace),
            "litellm_namespace": self.namespace,
            "litellm_secret_name": "litellm",
            "openclaw_enabled": False,
            "open_webui_enabled": False,
            "drill_only": only,
            "drill_durations": SECONDS,
            "drill_counters": [],
            "drill_report": str(self.reports),
            **variables,
        }
        with playing_playbook("drill", given, *options) as playing:
            yield playing

    def play(self, only: str, *options: str, **variables: Any) -> tuple[int, str]:
        """Its code, and what it said in one line, for sentences are wrapped."""
        with self.playing(only, *options, **variables) as playing:
            code = playing.wait()
        assert KEY not in playing.output
        return code, " ".join(playing.output.split())

    def deployment(self) -> Any:
        return client.AppsV1Api(self.core.api_client).read_namespaced_deployment(MODEL, self.namespace)

    def is_as_it_was(self) -> bool:
        found = self.deployment()
        return found.spec.replicas == 1 and JOURNAL not in (found.metadata.annotations or {})

    def ready(self) -> None:
        drilled_site.wait_until_ready(self.core.api_client, self.namespace)


@pytest.fixture(scope="module")
def site(core: client.CoreV1Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drilled]:
    with switched_site.switched_site(core, KEY) as namespace:
        yield Drilled(core, namespace, tmp_path_factory.mktemp("reports"))


def test_check_mode_looks_and_breaks_nothing(site: Drilled) -> None:
    before = site.deployment().metadata.generation
    code, said = site.play("failover", "--check")
    assert code == 0, said
    assert f"The first tier is scaled to zero: asks {MODEL}" in said
    assert "will break" not in said
    assert re.search(r"\+\d+ s steady ", said)
    assert not re.search(r"\+\d+ s fault ", said)
    assert site.deployment().metadata.generation == before


def test_each_drill_is_announced_shown_while_it_goes_on_restored_and_held_against_its_limit(site: Drilled) -> None:
    code, said = site.play("failover,failover-silence", drill_confirm=True)
    assert code == 0, said
    announced = re.findall(r"will break after 3 s: (.+?) of Deployment (\S+), for 6 s; then restores it", said)
    assert [where for _what, where in announced] == [f"{site.namespace}/{MODEL}"] * 2, said
    for phase in ("steady", "fault", "recovery"):
        assert re.search(rf"\+\d+ s {phase} +\d+ requests?: ", said), f"a line each second of {phase}"
    assert re.search(rf"\+\d+ s fault +\d+ requests?: .{{0,60}}{FALLBACK}", said), "who answers"
    assert site.is_as_it_was()
    # The table: id, limit, what was measured, verdict.
    assert re.search(r"NFR65 +\S* *< 5 s \S* *\d+\.\d+ s \S* *pass", said), said
    assert "Every drill passed. The report: " in said
    report = json.loads((site.reports / "drills.json").read_text())
    assert (report["verdict"], [drill["name"] for drill in report["drills"]]) == ("pass", ["failover", "failover-silence"])
    assert {path.name for path in site.reports.iterdir()} >= {"drills.html", "drills.md", "drills.xml", "failover.jsonl"}


def test_a_tag_picks_one_and_what_is_not_kept_fails_the_play_and_is_restored(site: Drilled) -> None:
    """Whoever should answer meanwhile does not: requests are lost."""
    site.ready()
    fault = [{"deployment": name, "service": name} for name in (MODEL, FALLBACK)]
    both = {
        "drilled_litellm_drills": {
            "gaming-mode": {
                "title": "Gaming Mode",
                "models": [{"model": MODEL, "chain": [MODEL, FALLBACK]}],
                "fault": {"kind": "refuse", "backends": fault},
            }
        }
    }
    code, said = site.play("", "--tags", "NFR67", drill_confirm=True, **both)
    assert code == 2, said
    assert "gaming-mode is fail: " in said
    assert re.search(r"NFR67 .{1,80} fail", said)
    assert str(site.reports / "drills.html") in said
    assert site.is_as_it_was()


def test_ctrl_c_restores_what_is_broken(site: Drilled) -> None:
    site.ready()
    with site.playing("failover", drill_confirm=True, drill_durations={**SECONDS, "fault": 60}) as playing:
        playing.wait_for_line(r"\+\d+ s +fault ")
        playing.end(signal.SIGINT)
        assert playing.wait(60) != 0
    assert site.is_as_it_was(), playing.output
    code, said = site.play("", drill_confirm="restore")
    assert code == 0, said
