# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""More than one tier down, keys that are wrong, documents instead of chats: who answers then, and what a client gets when nobody can."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import drilled_site
import pytest
from drills import NONE_LOST, Job, Site, reasons
from enforcer import Enforcer
from forwarded import forwarded
from playing import Ran

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

BOTH = [{"deployment": name, "service": name} for name in ("first", "second")]
#: What the drills of each place can change.
OWN = {"pair": ("first", "second"), "cloud": ("standing", "cloud")}
#: Several models of one provider share its server, and that is no trick.
CLOUD = ["kimi", {"model_group": "minimax", "same_server_as": "kimi"}, "one-next"]


@dataclass
class Done:
    ran: Ran
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def by_phase(self) -> dict[str, dict[str, int]]:
        return dict(self.ran.result["drill"]["requests"]["by_phase"])


def drilled(place: str, model: str, fault: Mapping[str, Any], **changes: Any) -> Job:
    def run(site: Site, _place: str) -> Done:
        before = site.state()
        ran = site.drill(model, fault, **changes)
        for backend in [each["deployment"] for each in fault.get("backends", ())]:
            site.wait_until_answering(backend)
        left = site.state()
        # Others are broken meanwhile.
        names = [name for name in before if name.split()[1] in OWN[place]]
        return Done(ran, {name: before[name] for name in names}, {name: left.get(name) for name in names})

    return Job(run, place)


def in_cloud(model: str, **changes: Any) -> Job:
    """The cloud's own admin API makes the fault: of one of its models, or of all."""

    def run(site: Site, place: str) -> Done:
        fault = site.admin_fault("cloud", {"kind": "status", "status": 503, **({"model": model} if model else {})})
        return drilled(place, "kimi", fault, chain=CLOUD, **changes).run(site, place)

    return Job(run, "cloud")


THIRD = drilled("pair", "first", {"kind": "refuse", "backends": BOTH}, chain=["first", "second", "third"], down=["first", "second"])
GONE = drilled("pair", "long", {"kind": "scale", "backends": BOTH}, chain=["long", "patient", "third"], down=["long", "patient"], rate=8)
NOBODY = drilled("pair", "upper", {"kind": "refuse", "backends": BOTH}, chain=["upper", "lower"], down=["upper", "lower"])
SECOND_CLOUD = in_cloud("kimi-k2.5", down=["kimi"])
LOCAL = in_cloud("", down=["kimi", "minimax"])
DOCUMENT = Job(
    lambda site, lane: site.drill(lane, {"kind": "scale"}, prompt_tokens=8200, rate=2, durations={"steady": 5, "fault": 6, "recovery": 5})
)


@pytest.mark.parametrize("job", [THIRD])
def test_with_both_local_tiers_down_the_third_answers_and_nobody_else(outcome: Done, job: Job) -> None:
    del job
    assert outcome.ran.result.get("verdict") == "pass", outcome.ran.output
    assert outcome.by_phase["fault"].get("third", 0) >= 5
    assert "third" not in outcome.by_phase["steady"]
    assert outcome.after == outcome.before


@pytest.mark.parametrize("job", [GONE])
def test_services_without_pods_let_no_client_wait_longer_than_connecting_may_take(outcome: Done, job: Job) -> None:
    """They refuse six connections and then one a second; the others wait, and a minute at the second where nothing bounds connecting."""
    del job
    assert outcome.ran.result.get("verdict") == "pass", outcome.ran.output
    assert outcome.by_phase["fault"].get("third", 0) >= 10
    assert outcome.after == outcome.before


@pytest.mark.parametrize("job", [NOBODY])
def test_with_every_tier_down_each_client_gets_a_clear_error_in_time(outcome: Done, job: Job) -> None:
    del job
    ran = outcome.ran
    assert ran.result.get("verdict") == "pass", ran.output
    assert ran.result["drill"]["requests"]["by_finish"]["status"] >= 10
    assert ran.result["drill"]["metrics"]["worst_wait"] < 5
    assert outcome.after == outcome.before


@pytest.mark.parametrize(("job", "who"), [(SECOND_CLOUD, "minimax"), (LOCAL, "one-next")], ids=["one model", "the whole cloud"])
def test_a_cloud_model_is_followed_by_another_and_then_by_the_machine_at_home(outcome: Done, job: Job, who: str) -> None:
    del job
    assert outcome.ran.result.get("verdict") == "pass", outcome.ran.output
    assert outcome.by_phase["fault"].get(who, 0) >= 5
    assert outcome.after == outcome.before


@pytest.mark.parametrize("job", [DOCUMENT])
def test_documents_are_answered_while_the_gpu_is_away(outcome: Ran, job: Job) -> None:
    del job
    assert outcome.result.get("verdict") == "pass", outcome.output
    assert outcome.result["drill"]["loads"][0]["prompt_tokens"] == 8200


def from_this_machine(site: Site, _place: str) -> Ran:
    """Two models at once that lose their first tier together, asked from the controller by a way into the cluster."""
    models = [{"model": "first", "chain": ["first", "second"], "rate": 4}, {"model": "upper", "chain": ["upper", "lower"], "rate": 2}]
    with forwarded(f"{site.namespace}/litellm") as url:
        return site.drill("first", {"kind": "refuse"}, vantage="controller", url=f"{url}v1", models=models)


@pytest.mark.parametrize("job", [Job(from_this_machine, "pair")])
def test_several_models_are_asked_at_once_from_the_controller_and_each_is_judged(outcome: Ran, job: Job, key: str) -> None:
    del job
    assert outcome.result.get("verdict") == "pass", outcome.output
    drill = outcome.result["drill"]
    assert [(load["name"], load["rate"]) for load in drill["loads"]] == [("first", 4), ("upper", 2)]
    assert drill["environment"]["asked from"] == "the controller"
    assert drill["requests"]["by_phase"]["fault"].keys() >= {"second", "lower"}
    assert drill["requests"]["by_phase"]["recovery"].keys() >= {"first", "upper"}
    assert key not in outcome.output


def spoil(site: Site, _place: str) -> tuple[Ran, Any, Any, list[str]]:
    before = site.state()
    fault = {"kind": "secret", "secret": "litellm", "key": "PROVIDER_KEY", "restart": ["litellm-b"]}
    # A LiteLLM that has just started is slow: this is about who answers, not how fast.
    durations = {"steady": 7, "fault": 4, "recovery": 4}
    ran = site.drill("guarded", fault, url=site.url("litellm-b"), thresholds=[NONE_LOST], durations=durations)
    after = site.state()
    names = ["Secret litellm", "Secret accepted", "Deployment litellm-b"]
    return ran, {name: before[name] for name in names}, {name: after[name] for name in names}, sorted(set(after) - set(before))


@pytest.mark.parametrize("job", [Job(spoil, "guarded")])
def test_a_spoilt_secret_is_answered_by_the_next_tier_and_its_value_comes_back(outcome: tuple[Ran, Any, Any, list[str]], job: Job) -> None:
    del job
    ran, before, after, made = outcome
    assert ran.result.get("verdict") == "pass", ran.output
    assert ran.result["drill"]["requests"]["by_phase"]["fault"]["guarded-next"] >= 5
    assert after == before
    assert [name for name in made if name.startswith("Secret")] == []
    assert drilled_site.RIGHT_KEY not in ran.output
    assert base64.b64encode(drilled_site.RIGHT_KEY.encode()).decode() not in ran.output


@dataclass
class Forbidden:
    """The same fault twice: on a network that enforces policies, and on the sandbox's, which enforces none."""

    enforced: Done
    ignored: Done


def forbid(site: Site, lane: str) -> Forbidden:
    with Enforcer(site.core, site.namespace):
        enforced = forbidden(site, lane, "pass", effect=20)
    return Forbidden(enforced, forbidden(site, lane, "inconclusive", effect=3))


def forbidden(site: Site, lane: str, wanted: str, effect: float) -> Done:
    before = site.state()
    durations = {"steady": 2.5, "fault": 4, "recovery": 6, "effect": effect}
    ran = site.drill(lane, {"kind": "egress", "clients": ["litellm"]}, wanted=wanted, durations=durations)
    after = site.state()
    names = [f"Deployment {lane}", f"Service {lane}", "Deployment litellm"]
    policies = {name: each for name, each in after.items() if name.startswith("NetworkPolicy failover")}
    return Done(ran, {name: before[name] for name in names}, {**{name: after[name] for name in names}, **policies})


FORBIDDEN = Job(forbid)


@pytest.mark.parametrize("job", [FORBIDDEN])
def test_a_way_that_a_policy_takes_is_a_fault_where_the_network_enforces_it(outcome: Forbidden, job: Job) -> None:
    del job
    ran = outcome.enforced.ran
    assert ran.result.get("verdict") == "pass", ran.output
    assert ran.result["drill"]["metrics"]["worst_wait"] > 1, "what waited for an open connection was failed over too"
    assert outcome.enforced.after == outcome.enforced.before


@pytest.mark.parametrize("job", [FORBIDDEN])
def test_where_the_network_enforces_no_policy_nothing_was_shown(outcome: Forbidden, job: Job, site: Site, record_property: Any) -> None:
    del job
    record_property("table", "\n".join(site.again()))
    ran = outcome.ignored.ran
    assert (ran.result.get("verdict"), reasons(ran)) == ("inconclusive", ["fault_did_not_take"]), ran.output
    assert outcome.ignored.after == outcome.ignored.before
