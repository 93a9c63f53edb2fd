# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/gaming_mode.yml and the module behind it, on a real cluster with the real LiteLLM and simulators as backends."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import drilled_site
import pytest
import switched_site
from api_proxy import ApiProxy
from kubernetes import client
from playing import Playing, playing_playbook
from switched_site import FALLBACK, MODEL

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
KEY = f"sk-{secrets.token_hex(16)}"
SUSPENDED, JOURNAL = "homelab.llm/suspended", "homelab.llm/failover-probe"
RUN = "homelab.llm/run=backend-suspend"


@dataclass(frozen=True)
class Played:
    """What a person sees."""

    code: int
    output: str

    @property
    def changed(self) -> int:
        found = re.search(r"^localhost +: .*changed=(\d)", self.output, re.MULTILINE)
        assert found, self.output
        return int(found[1])

    @property
    def text(self) -> str:
        """All of it in one line, for sentences are wrapped."""
        return " ".join(self.output.split())

    @property
    def lost(self) -> tuple[int, int]:
        """Requests that were sent, and lost."""
        found = re.search(r"(\d+) requests?, (\d+) lost, the longest wait \d+\.\d\d s", self.text)
        assert found, self.output
        return int(found[1]), int(found[2])


class Site:
    """One backend to switch, and the one that answers in its place."""

    def __init__(self, core: client.CoreV1Api, namespace: str) -> None:
        self.core, self.apps, self.namespace = core, client.AppsV1Api(core.api_client), namespace

    def params(self, **changes: Any) -> dict[str, Any]:
        return {
            "state": "suspended",
            "namespace": self.namespace,
            "deployment": MODEL,
            "service": MODEL,
            "model": MODEL,
            "fallbacks": [FALLBACK],
            "url": f"http://litellm.{self.namespace}.svc.cluster.local:4000/v1",
            "key_secret": {"name": "litellm", "key": "LITELLM_MASTER_KEY"},
            "image": drilled_site.SIMULATOR,
            **changes,
        }

    @contextmanager
    def playing(self, state: str, *options: str, kubeconfig: Path | None = None, **variables: Any) -> Iterator[Playing]:
        """The playbook as a process in a group of its own, as another machine would have it."""
        given = {**switched_site.variables(self.namespace), **variables, "state": state}
        with playing_playbook("gaming_mode", given, *options, environ={"KUBECONFIG": str(kubeconfig)} if kubeconfig else {}) as playing:
            yield playing

    def play(self, state: str, *options: str, **variables: Any) -> Played:
        with self.playing(state, *options, **variables) as playing:
            return self.ended(playing)

    @staticmethod
    def ended(playing: Playing) -> Played:
        """Wait for its end."""
        return Played(playing.wait(), playing.output)

    def deployment(self, name: str = MODEL) -> Any:
        return self.apps.read_namespaced_deployment(name, self.namespace)

    def state(self) -> tuple[int, int | None]:
        """The replicas, and those that are remembered."""
        found = self.deployment()
        note = (found.metadata.annotations or {}).get(SUSPENDED)
        return found.spec.replicas, json.loads(note)["replicas"] if note else None

    def write(self, replicas: int, note: str | None, manager: str = "pytest", **annotations: str | None) -> None:
        """Make it so at once, whatever it was."""
        body = {"metadata": {"annotations": {SUSPENDED: note, JOURNAL: None, **annotations}}, "spec": {"replicas": replicas}}
        self.apps.patch_namespaced_deployment(MODEL, self.namespace, body, field_manager=manager)

    def serving(self) -> None:
        self.write(1, None)
        drilled_site.wait_until_ready(self.core.api_client, self.namespace)

    def suspended(self) -> None:
        note = {"version": 1, "replicas": 1, "since": "2026-11-21T20:00:00+00:00", "by": "anna@desk", "run": "r1"}
        self.write(0, json.dumps(note))

    def pods(self, selector: str) -> list[str]:
        found = self.core.list_namespaced_pod(self.namespace, label_selector=selector).items
        return [pod.metadata.name for pod in found if not pod.metadata.deletion_timestamp]

    def fault(self, host: str, fault: Mapping[str, Any]) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/services/{host}:{drilled_site.ADMIN_PORT}/proxy/hosts/{host}/fault"
        api, headers = self.core.api_client, {"Content-Type": "application/json"}
        request = api.param_serialize("PUT", path, header_params=headers, body=dict(fault), auth_settings=["BearerToken"])
        assert api.call_api(*request).status < 300


@pytest.fixture(scope="module")
def site(core: client.CoreV1Api) -> Iterator[Site]:
    with switched_site.switched_site(core, KEY) as namespace:
        yield Site(core, namespace)


def test_check_mode_tells_what_would_be_and_changes_nothing(site: Site) -> None:
    site.serving()
    before = site.deployment()
    played = site.play("on", "--check", "--diff")
    assert (played.code, played.changed) == (0, 1), played.output
    assert "-replicas: 1" in played.output
    assert "+replicas: 0" in played.output
    assert "would be suspended" in played.text
    after = site.deployment()
    assert (after.metadata.generation, after.metadata.annotations) == (before.metadata.generation, before.metadata.annotations)


def test_on_frees_the_gpu_and_no_request_is_lost(site: Site) -> None:
    site.serving()
    played = site.play("on")
    assert (played.code, played.changed) == (0, 1), played.output
    assert site.state() == (0, 1)
    assert site.pods(f"app={MODEL}") == []
    sent, lost = played.lost
    assert sent >= 7
    assert lost == 0
    assert f"Requests for {MODEL} are answered by {FALLBACK}, since " in played.text
    assert re.search(r"^ +[+-]\d+ s  switch +\d+ requests: ", played.output, re.MULTILINE), "a line each second"
    assert "mask, masked: at the same server as one, so they are gone with it" in played.text, played.output
    assert site.pods(RUN) == []
    assert KEY not in played.output


def test_on_again_changes_nothing_and_still_asks_who_answers(site: Site) -> None:
    site.suspended()
    before = site.deployment().metadata.annotations
    played = site.play("on")
    assert (played.code, played.changed) == (0, 0), played.output
    assert site.deployment().metadata.annotations == before
    assert played.lost[1] == 0
    assert f"Requests for {MODEL} are answered by {FALLBACK};" in played.text


def test_status_says_which_it_is_since_when_by_whom_and_who_answers(site: Site, run_module: Callable[..., Any]) -> None:
    site.suspended()
    played = site.play("status")
    assert (played.code, played.changed) == (0, 0), played.output
    assert "is suspended, since 2026-11-21T20:00:00+00:00 by anna@desk, and gets 1 replica back" in played.text
    run = run_module("backend_suspend", site.params(state="reported"))
    told = {name: run.result[name] for name in ("changed", "suspended", "since", "by", "replicas", "answered_by", "problems")}
    assert told == {
        "changed": False,
        "suspended": True,
        "since": "2026-11-21T20:00:00+00:00",
        "by": "anna@desk",
        "replicas": 1,
        "answered_by": FALLBACK,
        "problems": [],
    }
    assert run.result["requests"]["lost"] == 0
    assert run.result["requests"]["answered"] == {FALLBACK: run.result["requests"]["total"]}


def test_a_drill_leaves_a_suspended_backend_alone(site: Site, run_module: Callable[..., Any]) -> None:
    site.suspended()
    run = run_module(
        "failover_probe",
        {
            "namespace": site.namespace,
            "url": site.params()["url"],
            "image": drilled_site.SIMULATOR,
            "models": [{"model": MODEL, "chain": [MODEL, FALLBACK]}],
            "fault": {"kind": "scale", "backends": [{"deployment": MODEL, "service": MODEL}]},
        },
    )
    assert run.failed
    assert "has 0 replicas already: it is suspended since 2026-11-21T20:00:00+00:00 by anna@desk" in run.message
    assert site.state() == (0, 1)


def test_off_brings_it_back_and_no_request_is_lost(site: Site) -> None:
    site.suspended()
    played = site.play("off")
    assert (played.code, played.changed) == (0, 1), played.output
    assert site.state() == (1, None)
    assert site.deployment().status.ready_replicas == 1
    assert played.lost[1] == 0
    assert f"Requests for {MODEL} are answered by {MODEL}, since " in played.text


def test_of_two_machines_at_once_one_does_it_and_both_see_it_done(site: Site) -> None:
    site.serving()
    with ThreadPoolExecutor(2) as pool:
        played = list(pool.map(site.play, ["on", "on"]))
    assert [each.code for each in played] == [0, 0], [each.output for each in played]
    assert sorted(each.changed for each in played) == [0, 1]
    assert site.state() == (0, 1)
    assert [each.lost[1] for each in played] == [0, 0]


@pytest.mark.parametrize(("moment", "left"), [("to be suspended; asks", (1, None)), ("is suspended; waiting until", (0, 1))])
def test_a_run_that_was_killed_is_finished_by_the_next(site: Site, moment: str, left: tuple[int, int | None]) -> None:
    site.serving()
    with site.playing("on") as playing:
        playing.wait_for_line(moment)
        playing.end(signal.SIGKILL)
    assert site.state() == left
    played = site.play("on")
    assert (played.code, played.changed) == (0, int(left == (1, None))), played.output
    assert site.state() == (0, 1)
    assert site.pods(RUN) == [], "what the killed run left is taken away"


def test_an_api_server_that_is_away_for_some_seconds_keeps_nobody_from_an_answer(site: Site, kubeconfig: Path, tmp_path: Path) -> None:
    site.serving()
    with ApiProxy(kubeconfig) as proxy, site.playing("on", kubeconfig=proxy.kubeconfig(tmp_path / "config")) as playing:
        playing.wait_for_line("is suspended; waiting until")
        proxy.go()
        time.sleep(4)
        proxy.come()
        played = site.ended(playing)
    assert (played.code, played.changed) == (0, 1), played.output
    assert played.lost[1] == 0
    assert site.state() == (0, 1)


def test_who_scales_it_back_is_named_and_the_play_fails(site: Site) -> None:
    site.serving()
    with site.playing("on") as playing:
        playing.wait_for_line("is suspended; waiting until")
        site.apps.patch_namespaced_deployment(MODEL, site.namespace, {"spec": {"replicas": 1}}, field_manager="kustomize-controller")
        played = site.ended(playing)
    assert played.code == 2, played.output
    assert "was scaled back to 1 replica, by kustomize-controller at 20" in played.text
    assert site.state() == (1, 1), "nobody scales against whoever does that"

    played = site.play("off")
    assert (played.code, played.changed) == (0, 1), played.output
    assert site.state() == (1, None)


def test_lost_requests_fail_the_play_and_it_stays_as_asked_for(site: Site) -> None:
    site.serving()
    try:
        with site.playing("on", gaming_mode_timeout=6) as playing:
            playing.wait_for_line("is suspended; waiting until")
            site.fault(FALLBACK, {"kind": "status", "status": 500})
            played = site.ended(playing)
    finally:
        site.fault(FALLBACK, {"kind": "none"})
    assert played.code == 2, played.output
    assert re.search(r"\d+ requests of \d+ were lost, the first for (one|one-next) [+-]\d", played.text), played.output
    assert "stays as asked for; the way back is state: resumed (in the playbook: -e state=off)" in played.text
    assert site.state() == (0, 1)


def test_what_was_scaled_by_hand_comes_back_when_one_says_how_much_of_it(site: Site) -> None:
    site.serving()
    site.write(0, None, manager="kubectl-scale")
    played = site.play("off")
    assert played.code == 2
    assert "has 0 replicas and nothing says how many it had: it was scaled by hand, by kubectl-scale at 20" in played.text
    assert "-e replicas=1" in played.text
    assert site.state() == (0, None)
    played = site.play("off", "-e", "replicas=1")
    assert (played.code, played.changed) == (0, 1), played.output
    assert site.state() == (1, None)


def test_a_state_that_there_is_not_is_refused(site: Site) -> None:
    played = site.play("maybe")
    assert played.code == 2
    assert "Say what is wanted: -e state=on, -e state=off or -e state=status" in played.text


BAD: list[tuple[dict[str, Any], str]] = [
    ({"deployment": "nothing"}, "There is no Deployment"),
    ({"deployment": "asleep"}, "has 0 replicas already and nothing says how many it had"),
    ({"deployment": "drilled"}, "is broken by a drill right now"),
    ({"deployment": "odd"}, "is none that this version wrote"),
    ({"service": "blind"}, "has no ready endpoint"),
    ({"service": "nothing"}, "There is no Service"),
    ({"service": FALLBACK}, "which is no pod of Deployment"),
    ({"model": "gone"}, "gone is not served at"),
    ({"fallbacks": ["nobody"]}, "fallbacks: nobody does not answer at"),
    ({"model": "masked", "fallbacks": ["mask"]}, "fallbacks: mask is the same server as masked"),
    ({"url": "http://nobody.default.svc.cluster.local:4000/v1"}, "cannot be reached"),
    ({"key_secret": {"name": "litellm", "key": "NONE"}}, "NONE"),
    ({"impersonate_user": "nobody"}, "may not"),
    ({"fallbacks": []}, "fallbacks: name the model groups"),
]


@pytest.fixture(scope="module")
def refused(site: Site, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Each bad input, two at a time, and what came of it."""
    site.serving()
    now = "2026-11-21T20:00:00+00:00"
    holder = {"who": "x", "machine": "y", "pid": 1, "started": "1"}
    journal = {"version": 1, "run": "d", "fault": "scale", "holder": holder, "began": now, "expires": now, "edits": [], "made": []}
    objects = [drilled_site.service("blind")]
    for name, note in {"asleep": {}, "drilled": {JOURNAL: json.dumps(journal)}, "odd": {SUSPENDED: "?"}}.items():
        made = drilled_site.deployment(name, {"image": drilled_site.SIMULATOR})
        made["spec"]["replicas"] = 0
        made["metadata"]["annotations"] = note
        objects.append(made)
    drilled_site.create(site.core.api_client, site.namespace, objects)

    def run(change: dict[str, Any]) -> Any:
        folder = tmp_path_factory.mktemp("bad")
        (folder / "params.json").write_text(json.dumps({"p": {"kubeconfig": str(kubeconfig), **site.params(patience=20, **change)}}))
        (folder / "play.yml").write_text(
            "[{hosts: localhost, gather_facts: false, tasks: [{name: Run, homelab.llm.backend_suspend: '{{ p }}'}]}]"
        )
        command = [sys.executable, "-m", "ansible.cli.playbook", "-e", f"@{folder}/params.json", str(folder / "play.yml")]
        env = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0"}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        return Played(done.returncode, done.stdout + done.stderr)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip([message for _change, message in BAD], pool.map(run, [change for change, _message in BAD]), strict=True))


@pytest.mark.parametrize("message", [message for _change, message in BAD])
def test_bad_input_is_one_clear_error(refused: dict[str, Any], message: str) -> None:
    played = refused[message]
    assert played.code == 2
    assert message in played.text, played.output
    assert "Traceback" not in played.output
    assert KEY not in played.output


def test_bad_input_changes_nothing_and_leaves_nothing(refused: dict[str, Any], site: Site) -> None:
    assert len(refused) == len(BAD)
    assert site.state() == (1, None)
    assert SUSPENDED not in (site.deployment("asleep").metadata.annotations or {})
    end = time.monotonic() + 60
    while site.pods(RUN) and time.monotonic() < end:
        time.sleep(0.3)
    assert site.pods(RUN) == []
