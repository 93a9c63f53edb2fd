# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads the package first_token into a LiteLLM that has changed, or with a config that it cannot keep: `first_token_refusals.py CASES`.

CASES is JSON: per name `config`, perhaps `code` that changes LiteLLM before, perhaps `embeds` to try what comes after. Runs in a container
of LiteLLM's image, in a process of its own for each case: LiteLLM takes seconds to import, so it is imported once, and forked. Prints JSON
after RESULT, for LiteLLM prints too: per name the error, empty when it loaded.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
from typing import Any

import litellm
import litellm.proxy.proxy_server  # what the package is loaded by


def outcome(case: dict[str, Any]) -> str:
    exec(case.get("code", ""), {})  # noqa: S102  # the test's own
    from first_token.loaded import load

    async def start() -> None:  # LiteLLM loads its callbacks while its loop runs
        callback = load(case["config"])
        if case.get("embeds"):
            await embed_meanwhile(callback)

    try:
        asyncio.run(start())
    except Exception as error:  # whatever it is, it is what is asked for
        return f"{type(error).__name__}: {error}"
    return ""


async def embed_meanwhile(callback: Any) -> None:
    """What LiteLLM does with a semantic cache: between its choice of a deployment and the request it asks for an embedding."""
    from litellm.utils import async_pre_call_deployment_hook

    from first_token.deployment import called

    litellm.callbacks = [callback]
    await async_pre_call_deployment_hook({"model": "openai/m", "model_info": {"first_token_timeout": 3}}, "acompletion")
    await async_pre_call_deployment_hook({"model": "openai/e"}, "aembedding")
    if called.get() is None:
        raise AssertionError("an embedding took the bounds of the chat completion away")
    await async_pre_call_deployment_hook({"model": "openai/other"}, "acompletion")
    if called.get() is not None:
        raise AssertionError("a deployment without bounds is watched")


def told(case: dict[str, Any], to: Any) -> None:
    to.send(outcome(case))


if __name__ == "__main__":
    sys.path.append("/etc/litellm")
    forking = multiprocessing.get_context("fork")
    results = {}
    for name, given in json.loads(sys.argv[1]).items():
        receiver, sender = forking.Pipe(duplex=False)
        process = forking.Process(target=told, args=(given, sender))
        process.start()
        results[name] = receiver.recv() if receiver.poll(180) else "no answer in 180 s"
        process.kill()
        process.join()
    print("\nRESULT " + json.dumps(results), flush=True)
