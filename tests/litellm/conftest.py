# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real LiteLLM on the loopback device, before a simulated vLLM and a simulated Ollama. `LITELLM=…/bin/litellm pytest tests/litellm`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import running_litellm
from running_litellm import LiteLLM
from running_simulator import VLLM_MODEL, Running, until

from upstream.host import Keys, parse_host
from upstream.simulator import Simulator

FIRST_TOKEN, GAP, CONNECT = 3.0, 4.0, 1.0
COOLDOWN = 3
#: At its first failure out of the rotation, as the role has it.
POLICY = {
    f"{kind}ErrorAllowedFails": 0
    for kind in ("Authentication", "BadGateway", "InternalServer", "NotFound", "RateLimit", "ServiceUnavailable", "Timeout")
}
#: What was measured: a row per fault.
TABLE: list[tuple[str, str, str]] = []


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    keys = tmp_path_factory.mktemp("keys")
    lines: list[str] = []
    hosts = [parse_host(text, {}) for text in ("vllm-api=vllm:0", "ollama=ollama:0")]
    simulator = Simulator(hosts, "127.0.0.1", 0, Keys(keys), None, lines.append)
    loop, ended, started = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    async def serve() -> None:
        async with simulator:
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(5)
    yield Running(simulator, lines, keys)
    loop.call_soon_threadsafe(ended.set)
    thread.join(5)
    assert not thread.is_alive()
    loop.close()


def vllm(upstream: Running, name: str, **model_info: Any) -> dict[str, Any]:
    """A deployment on the simulated vLLM as the role writes it."""
    params = {
        "model": f"openai/{VLLM_MODEL}",
        "api_base": f"http://127.0.0.1:{upstream.port('vllm-api')}/v1",
        "api_key": "sk-none",
        "timeout": 600,
        "stream_timeout": 600,
        "cooldown_time": COOLDOWN,
    }
    return {"model_name": name, "litellm_params": params, "model_info": {"allowed_fails_policy": POLICY, **model_info}}


def configured(upstream: Running) -> dict[str, Any]:
    """One model of one backend under three names: bounded, bounded otherwise, and not."""
    # Without a price LiteLLM looks for one in its whole list at each answer: 25 ms of CPU instead of 10.
    free = {"input_cost_per_token": 0, "output_cost_per_token": 0}
    ollama = {"model": "ollama_chat/qwen2.5:3b", "api_base": f"http://127.0.0.1:{upstream.port('ollama')}", "timeout": 120, **free}
    return {
        "model_list": [
            vllm(upstream, "vllm-qwen", first_token_timeout=FIRST_TOKEN, gap_timeout=GAP, connect_timeout=CONNECT),
            vllm(upstream, "vllm-patient", first_token_timeout=20, gap_timeout=20),
            vllm(upstream, "vllm-alone", first_token_timeout=FIRST_TOKEN),
            vllm(upstream, "vllm-unwatched"),
            {"model_name": "ollama-qwen", "litellm_params": ollama},
        ],
        "litellm_settings": {
            "num_retries": 0,
            "callbacks": ["prometheus", "first_token.entry.callback"],
            "require_auth_for_metrics_endpoint": False,
            "disable_hf_tokenizer_download": True,
        },
        "router_settings": {"num_retries": 0, "fallbacks": [{"vllm-qwen": ["ollama-qwen"]}]},
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY", "cancel_on_disconnect": True},
    }


@pytest.fixture(scope="session")
def running(upstream: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiteLLM]:
    if running_litellm.program() is None:
        pytest.skip("needs the real LiteLLM: set LITELLM to its program")
    folder: Path = tmp_path_factory.mktemp("litellm")
    with running_litellm.running(folder, configured(upstream)) as server:
        for model in ("vllm-qwen", "ollama-qwen"):  # the first requests take a second
            for stream in (False, True):
                server.ask(model, "[tokens=3]", stream=stream)
        yield server


@pytest.fixture
def litellm(running: LiteLLM, upstream: Running) -> LiteLLM:
    """LiteLLM with all its backends well, and none cooled down."""
    well_again(running, upstream)
    return running


def well_again(server: LiteLLM, upstream: Running) -> None:
    """End all faults, and return when LiteLLM asks the first tier again."""
    upstream.admin("POST", "/reset")
    until(lambda: "vllm-api" in server.ask("vllm-qwen", "[tokens=6]").text, COOLDOWN + 8)
    upstream.admin("POST", "/reset")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if TABLE:
        terminalreporter.section("seconds: first request / later ones")
        for fault, plain, streaming in TABLE:
            terminalreporter.line(f"{fault:42} {plain:34} {streaming}")
