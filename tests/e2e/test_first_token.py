# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role with its bound on the first token: on, off, told wrongly, and with a LiteLLM that it cannot work with."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from faulty_backends import output_of, pod, wait_for
from kubernetes import client
from site_under_test import Played, Site, fresh_site, is_ready, load_pod, result_of

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
CALLBACK = "first_token.entry.callback"
#: What the role has beside it.
MASKING = "masked_keys.callback"
#: At this level LiteLLM's log says what is bounded.
TALKING = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "INFO"}
#: LiteLLM asks openai/ models through another client with it: a self-check at the start finds that the bound would not hold.
UNFIT = {"EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER": "True"}


#: What an upgrade of LiteLLM might change, and the reason that it is refused with.
CHANGES = {
    "no aclient_session": ("import litellm; del litellm.aclient_session", "litellm.aclient_session is gone"),
    "a session of somebody else": (
        "import httpx, litellm; litellm.aclient_session = httpx.AsyncClient()",
        "litellm.aclient_session is gone, or somebody else uses it",
    ),
    "no hook": (
        "import litellm.utils\nasync def hook(kwargs, call_type):\n    return kwargs\nlitellm.utils.async_pre_call_deployment_hook = hook",
        "async_pre_call_deployment_hook",
    ),
    "no client of its own": (
        "from litellm.llms.openai.common_utils import BaseOpenAILLM; del BaseOpenAILLM.get_async_http_client",
        "get_async_http_client",
    ),
    "another transport": (
        "from litellm.llms.custom_httpx import aiohttp_transport; del aiohttp_transport.LiteLLMAiohttpTransport",
        "LiteLLMAiohttpTransport is gone",
    ),
    "a transport that is not used": (
        "import litellm; litellm.disable_aiohttp_transport = True",
        "it does not ask ollama_chat/ models through LiteLLMAiohttpTransport",
    ),
    "another error for a hang": (
        "import litellm\nlitellm.Timeout = type('Timeout', (Exception,), {})",
        "a backend that hangs is a Timeout to it and no Timeout",
    ),
}
VLLM = {
    "model_name": "vllm-qwen",
    "litellm_params": {"model": "openai/m", "api_base": "http://vllm:8000/v1", "api_key": "sk-none", "timeout": 600},
    "model_info": {"first_token_timeout": 3, "gap_timeout": 4},
}
OLLAMA = {
    "model_name": "ollama-qwen",
    "litellm_params": {"model": "ollama_chat/m", "api_base": "http://ollama:11434", "timeout": 120},
    "model_info": {"connect_timeout": 1},
}
#: What a config may ask for and would not get: the part of the entry that is changed, and the reason.
WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "a provider that is asked by another client": (
        "litellm_params",
        {"model": "ollama_chat/m"},
        "vllm-qwen: model_info.first_token_timeout has no effect on 'ollama_chat/m'",
    ),
    "vLLM by its own provider": ("litellm_params", {"model": "hosted_vllm/m"}, "write openai/ instead"),
    "a text": ("model_info", {"gap_timeout": "soon"}, "model_info.gap_timeout must be a number of seconds"),
    "a timeout that ends first": ("litellm_params", {"timeout": 3}, "ends before first_token_timeout"),
}


def config_with(part: str = "model_info", **values: Any) -> dict[str, Any]:
    entry = copy.deepcopy(VLLM)
    entry[part] |= values
    return {"model_list": [entry, OLLAMA], "general_settings": {"cancel_on_disconnect": True}}


@pytest.fixture(scope="module")
def site(core: client.CoreV1Api) -> Iterator[Site]:
    """In a namespace that takes nothing but restricted pods."""
    yield from fresh_site(core, {"pod-security.kubernetes.io/enforce": "restricted"})


@pytest.fixture(scope="module")
def running(site: Site) -> Played:
    played = site.play("site", litellm_env=TALKING)
    assert played.code == 0, played.output
    return played


def config_of(core: client.CoreV1Api, site: Site) -> dict[str, Any]:
    return dict(yaml.safe_load(core.read_namespaced_config_map("litellm-config", site.namespace).data["config.yaml"]))


def entry_of(config: dict[str, Any], model: str) -> dict[str, Any]:
    (found,) = [each for each in config["model_list"] if each["model_name"] == model]
    return dict(found)


def snapshot_of(pod: Any) -> str:
    (volume,) = [each for each in pod.spec.volumes if each.name == "config"]
    (source,) = volume.projected.sources
    return str(source.config_map.name)


@pytest.fixture(scope="module")
def refusals(running: Played, site: Site, core: client.CoreV1Api) -> dict[str, str]:  # noqa: ARG001
    """What the package says at each of these starts, in LiteLLM's image and from the snapshot that its pod mounts."""
    cache = "import litellm\nfrom litellm.caching.caching import Cache\nlitellm.cache = Cache(type='local')"
    cases: dict[str, Any] = {
        "well": {"config": config_with()},
        "embeds": {"config": config_with(), "embeds": True},
        "caches": {"config": config_with(), "code": cache},
    }
    cases |= {name: {"config": config_with(), "code": code} for name, (code, _reason) in CHANGES.items()}
    cases |= {name: {"config": config_with(part, **values)} for name, (part, values, _reason) in WRONG.items()}
    (served,) = site.pods(core)
    (volume,) = [each for each in served.spec.volumes if each.name == "config"]
    container = {
        "image": served.spec.containers[0].image,
        "command": ["python3", "-c", (ROOT / "tests/e2e/first_token_refusals.py").read_text(), json.dumps(cases)],
        "env": [{"name": name, "value": value} for name, value in (("LITELLM_LOCAL_MODEL_COST_MAP", "True"), ("HOME", "/tmp"))],  # noqa: S108
        "volumeMounts": [{"name": "config", "mountPath": "/etc/litellm"}],
    }
    volumes = [core.api_client.sanitize_for_serialization(volume)]
    core.create_namespaced_pod(site.namespace, pod("refusals", container, volumes=volumes))
    wait_for(core, site.namespace, "refusals", "Succeeded", 600)
    (line,) = [each for each in output_of(core, site.namespace, "refusals").splitlines() if each.startswith("RESULT ")]
    return dict(json.loads(line.removeprefix("RESULT ")))


def test_models_that_it_can_hold_for_are_bounded_and_others_are_not(running: Played, site: Site, core: client.CoreV1Api) -> None:
    assert "vllm-qwen answered in" in running.output
    config = config_of(core, site)
    assert config["litellm_settings"]["callbacks"] == ["prometheus", CALLBACK, MASKING]
    bounded = [each["model_name"] for each in config["model_list"] if "first_token_timeout" in each.get("model_info", {})]
    assert bounded == ["vllm-qwen"], "the others have no fallback or are asked through another client"
    assert entry_of(config, "vllm-qwen")["litellm_params"]["timeout"] == 600
    assert entry_of(config, "cloud-kimi")["litellm_params"]["timeout"] == 60
    (pod,) = site.pods(core)
    log = core.read_namespaced_pod_log(pod.metadata.name, site.namespace)
    assert "first_token: vllm-qwen has 3 s for its first token, 4 s between tokens" in log
    assert entry_of(config, "ollama-qwen")["model_info"]["connect_timeout"] == 1
    assert entry_of(config, "cloud-kimi")["model_info"]["connect_timeout"] == 3, "it is asked through the Internet"
    assert re.search(r"first_token: [^\n]*ollama-qwen[^\n]* have 1 s to connect", log)


@pytest.mark.usefixtures("running")
def test_the_package_is_in_the_snapshot_that_the_pod_mounts(site: Site, core: client.CoreV1Api) -> None:
    (pod,) = site.pods(core)
    snapshot = core.read_namespaced_config_map(snapshot_of(pod), site.namespace)
    assert snapshot.immutable
    for path in (ROOT / "roles/litellm/files/first_token").glob("*.py"):
        assert snapshot.data[path.name] == path.read_text(), path.name


@pytest.mark.usefixtures("running")
def test_a_second_run_changes_nothing(site: Site) -> None:
    again = site.play("site", litellm_env=TALKING)
    assert (again.code, again.recap["changed"]) == (0, 0), again.output


@pytest.mark.usefixtures("running")
def test_a_timeout_that_is_not_longer_is_refused_before_anything_is_changed(site: Site, core: client.CoreV1Api) -> None:
    before = core.read_namespaced_config_map("litellm-config", site.namespace).metadata.resource_version
    params = {"model": "openai/m", "api_base": "http://vllm-api.ml.svc.cluster.local:8000/v1", "api_key": "none"}
    models = [
        {"model_name": "vllm-qwen", "litellm_params": {**params, "timeout": 3}},
        {"model_name": "ollama-qwen", "litellm_params": {"model": "ollama_chat/m", "api_base": "http://ollama.ml.svc.cluster.local:11434"}},
    ]
    refused = site.play("site", litellm_models=models, litellm_fallbacks={"vllm-qwen": ["ollama-qwen"]}, litellm_explicit_only=[])
    assert refused.code != 0
    assert "model 'vllm-qwen' has timeout 3, which bounds the whole answer" in refused.output
    assert core.read_namespaced_config_map("litellm-config", site.namespace).metadata.resource_version == before


@pytest.mark.usefixtures("running")
def test_a_litellm_that_it_cannot_work_with_says_so_and_the_old_pod_goes_on_serving(site: Site, core: client.CoreV1Api) -> None:
    (before,) = site.pods(core)
    core.create_namespaced_pod(site.namespace, load_pod(site.namespace, seconds=35, rate=5))
    broken = site.play("site", litellm_env={**TALKING, **UNFIT})
    assert broken.code != 0
    assert "first_token: it cannot work with this LiteLLM" in broken.output, broken.output
    assert "it does not ask openai/ models through litellm.aclient_session" in broken.output
    assert "litellm_first_token_timeout: 0" in broken.output, "the way out"
    (old,) = [pod for pod in site.pods(core) if is_ready(pod)]
    assert old.metadata.name == before.metadata.name
    assert list(result_of(core, site.namespace, "load")["status"]) == ["answered"]
    assert site.play("site").code == 0


@pytest.mark.parametrize("change", CHANGES)
def test_a_litellm_that_has_changed_is_refused_with_the_way_out(refusals: dict[str, str], change: str) -> None:
    said = refusals[change]
    assert "first_token: it cannot work with this LiteLLM" in said
    assert CHANGES[change][1] in said
    assert "litellm_first_token_timeout: 0" in said


@pytest.mark.parametrize("wrong", WRONG)
def test_a_config_that_cannot_be_kept_is_refused(refusals: dict[str, str], wrong: str) -> None:
    assert WRONG[wrong][2] in refusals[wrong]


@pytest.mark.parametrize("case", ["well", "embeds", "caches"])
def test_a_litellm_as_it_is_is_taken_also_one_that_embeds_before_it_asks_or_that_has_a_cache(refusals: dict[str, str], case: str) -> None:
    assert refusals[case] == ""


@pytest.mark.usefixtures("running")
def test_switched_off_nothing_of_it_is_left_in_config_or_pod(site: Site, core: client.CoreV1Api) -> None:
    off = site.play("site", litellm_first_token_timeout=0, litellm_over_budget="warn")
    assert off.code == 0, off.output
    config = config_of(core, site)
    assert config["litellm_settings"]["callbacks"] == ["prometheus", MASKING]
    assert "first_token_timeout" not in entry_of(config, "vllm-qwen")["model_info"]
    (pod,) = site.pods(core)
    assert list(core.read_namespaced_config_map(snapshot_of(pod), site.namespace).data) == ["config.yaml", "masked_keys.py"]


@pytest.mark.usefixtures("running")
def test_nothing_of_it_is_left_after_a_teardown(site: Site, core: client.CoreV1Api) -> None:
    assert site.play("teardown", teardown_confirm=True).code == 0
    until = time.monotonic() + 300
    while True:  # what belongs to another object goes after it
        left = [each.metadata.name for each in core.list_namespaced_config_map(site.namespace).items]
        if not [name for name in left if name.startswith("litellm")]:
            break
        assert time.monotonic() < until, left
        time.sleep(1)
