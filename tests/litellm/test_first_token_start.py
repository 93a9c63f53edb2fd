# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LiteLLM does not start with a bound that it would not keep, and its last words say why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import running_litellm
from running_litellm import ROOT, free_port, lay_out, spawn
from running_simulator import Running

from .conftest import configured

Change = Callable[[dict[str, Any]], None]


def last_words(folder: Path, config: dict[str, Any], **environ: str) -> str:
    """Start LiteLLM, which must end by itself, and return its log."""
    if running_litellm.program() is None:
        pytest.skip("needs the real LiteLLM: set LITELLM to its program")
    log = folder / "litellm.log"
    process = spawn(lay_out(folder / "etc", config), free_port(), log, **environ)
    try:
        assert process.wait(90) != 0
    finally:
        process.kill()
        process.wait()
    return log.read_text()


def set_first(config: dict[str, Any], part: str, **values: Any) -> None:
    config["model_list"][0][part] |= values


WRONG: dict[str, tuple[Change, str]] = {
    "a provider that is not asked through the transport": (
        lambda config: set_first(config, "litellm_params", model="ollama_chat/qwen2.5:3b"),
        "vllm-qwen: model_info.first_token_timeout has no effect on 'ollama_chat/qwen2.5:3b'",
    ),
    "vLLM by its own provider": (
        lambda config: set_first(config, "litellm_params", model="hosted_vllm/qwen"),
        "write openai/ instead",
    ),
    "a text": (lambda config: set_first(config, "model_info", gap_timeout="soon"), "model_info.gap_timeout must be a number of seconds"),
    "a timeout that ends first": (lambda config: set_first(config, "litellm_params", timeout=3), "ends before first_token_timeout"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_config_that_cannot_be_kept_is_refused(upstream: Running, tmp_path: Path, wrong: str) -> None:
    change, sentence = WRONG[wrong]
    config = configured(upstream)
    change(config)
    assert sentence in last_words(tmp_path, config)


def test_a_litellm_that_asks_in_another_way_is_refused(upstream: Running, tmp_path: Path) -> None:
    # A switch of its own that lets openai/ models pass by: what an upgrade may make the default.
    log = last_words(tmp_path, configured(upstream), EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER="True")
    assert "it does not ask openai/ models through litellm.aclient_session" in log
    assert "take first_token.entry.callback out of litellm_settings.callbacks" in log


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
    "another error for a hang": (
        "import litellm\nlitellm.Timeout = type('Timeout', (Exception,), {})",
        "a backend that hangs is a Timeout to it and no Timeout",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_litellm_that_has_changed_is_refused(upstream: Running, tmp_path: Path, change: str) -> None:
    code, sentence = CHANGES[change]
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "changed.py").write_text(
        f"{code}\nfrom litellm.integrations.custom_logger import CustomLogger\nnone = CustomLogger()\n"
    )
    config = configured(upstream)
    config["litellm_settings"]["callbacks"] = ["changed.none", "first_token.entry.callback"]
    log = last_words(tmp_path, config)
    assert "it cannot work with this LiteLLM" in log
    assert sentence in log
    assert "litellm_first_token_timeout: 0" in log


def test_the_version_it_was_written_for_is_the_one_the_role_installs() -> None:
    written_for = (running_litellm.FIRST_TOKEN / "loaded.py").read_text().split('WRITTEN_FOR = "')[1].split('"')[0]
    assert f":v{written_for}\n" in (ROOT / "roles" / "litellm" / "defaults" / "main.yml").read_text()
