# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/rotate.yml with the real LiteLLM and the real OpenClaw: under load, to its end, back again, and cut off in the middle."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kubernetes import client
from open_webui_site import OpenWebuiSite
from openclaw_site import ANTHROPIC
from rotated_site import RotatedSite, rotated_site
from site_under_test import Played

pytestmark = pytest.mark.cluster

MASTER, NEXT, RETIRED = "LITELLM_MASTER_KEY", "LITELLM_MASTER_KEY_NEXT", "LITELLM_MASTER_KEY_RETIRED"


#: A turn of a conversation, and what the gateway knows of it later.
SAY = """
const said = { message: 'the word is Rhabarber', sessionKey: 'agent:main:kept', idempotencyKey: crypto.randomUUID() };
const { error } = ended(await (await connect(process.env.OPENCLAW_GATEWAY_TOKEN)).call('agent', said, 120));
if (error) throw new Error(error);
process.exit(0);
"""
READ = """
const client = await connect(process.env.OPENCLAW_GATEWAY_TOKEN);
console.log(JSON.stringify(await client.call('chat.history', { sessionKey: 'agent:main:kept' })));
process.exit(0);
"""


@pytest.fixture(scope="module")
def site(core: client.CoreV1Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RotatedSite]:
    yield from rotated_site(core, tmp_path_factory.mktemp("rotate"))


def flat(output: str) -> str:
    """The output with lines that are wrapped for people made one again."""
    return re.sub(r"\s+", " ", output)


def keys(site: RotatedSite) -> dict[str, str]:
    """Every key of both, by its name."""
    return {**site.keys("litellm-secrets"), **site.keys("openclaw-secrets")}


def assert_none_is_told(output: str, *values: str) -> None:
    for value in values:
        assert value not in output
        assert base64.b64encode(value.encode()).decode() not in output


def assert_site_is_content(site: RotatedSite) -> None:
    """Nothing is left to do after a rotation, and nothing is left over of it."""
    again = site.played("site")
    assert (again.code, again.recap["changed"]) == (0, 0), again.output
    assert not [name for name in keys(site) if name.endswith(("_NEXT", "_PREVIOUS", "_RETIRED"))]


def said_once(played: Played, told: str) -> None:
    """It failed with this one error. `failed` counts what was not mended; the error that led to it is `rescued`."""
    assert played.code != 0, played.output
    assert played.recap["failed"] == 1, played.output
    assert told in flat(played.output)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("litellm_masterkey", "litellm_masterkey cannot be rotated. Known are: anthropic_token, gateway_token, litellm_master_key"),
        ("", "Say what to rotate: -e rotate=NAME"),
        ("anthropic_token", "Nothing was changed: the new token is not in ANTHROPIC_OAUTH_TOKEN"),
        ("OPENAI_API_KEY", "Nothing was changed: the new value of OPENAI_API_KEY is not in the environment"),
        ("provider_keys", "Nothing was changed: no new key of a provider is in the environment"),
    ],
)
def test_what_cannot_be_rotated_is_one_error(site: RotatedSite, asked: str, told: str) -> None:
    before = keys(site)
    said_once(site.rotate(asked), told)
    assert keys(site) == before


def test_a_value_that_could_not_be_put_back_is_refused(site: RotatedSite) -> None:
    for wins in ({"openclaw_anthropic_token": site.tokens[1]}, {"open_webui_litellm_key": {"name": "litellm-secrets"}}):
        said_once(site.rotate("gateway_token", **wins), "is given with -e, which wins over everything")


def test_check_mode_tells_what_would_happen_and_changes_nothing(site: RotatedSite) -> None:
    before, pods = keys(site), {pod.metadata.uid for pod in site.core.list_namespaced_pod(site.namespace).items}
    given: dict[str, str | None] = {"ANTHROPIC_OAUTH_TOKEN": site.tokens[1], "OPENAI_API_KEY": site.provider_keys[1]}
    names = ("anthropic_token", "gateway_token", "OPENAI_API_KEY", "litellm_master_key")
    told = site.rotate(*names, options=("--check", "--diff", "-vvvv"), environ=given)
    assert told.code == 0, told.output
    assert told.recap["changed"] >= 2
    for part in ("gateway_token: a new one is made", "litellm_master_key: a new one is made", "homelab.llm.openclaw gets the new one"):
        assert part in flat(told.output)
    assert keys(site) == before
    assert {pod.metadata.uid for pod in site.core.list_namespaced_pod(site.namespace).items} == pods
    assert_none_is_told(told.output, *before.values(), site.tokens[1], site.provider_keys[1])


def test_no_request_fails_while_the_master_key_is_rotated(site: RotatedSite, record_property: Any) -> None:
    """Cut off three times, once in each of its parts: what is harmless then is harmless without."""
    old = site.keys("litellm-secrets")[MASTER]
    with site.clients() as clients:
        clients.tell("stranger", old)
        with clients.follow("consumer", site):
            began = time.time()
            for part in ("Let LiteLLM take both keys", "Let the consumers follow"):
                cut_off(site, part)
                assert site.keys("litellm-secrets")[MASTER] == old
            made = site.keys("litellm-secrets")[NEXT]
            kept = site.rotate("litellm_master_key", rotate_keep_old=True)
            assert kept.code == 0, kept.output
            assert (site.keys("litellm-secrets")[MASTER], site.keys("openclaw-secrets")["LITELLM_API_KEY"]) == (old, made)
            dropping = time.time()
            cut_off(site, "Let LiteLLM take only its own")
            left = site.keys("litellm-secrets")
            assert (left[MASTER], left[RETIRED]) == (made, old), "the old key is there until it was seen to be refused"
            rotated = site.rotate("litellm_master_key", options=("-vvvv", "--diff"))
            ended = time.time()
            time.sleep(2)
        seen = clients.finish()
    assert rotated.code == 0, rotated.output
    assert "A rotation that has begun is finished" in flat(rotated.output)
    assert "LiteLLM refuses the key in LITELLM_MASTER_KEY_RETIRED" in flat(rotated.output)
    assert site.keys("litellm-secrets")[MASTER] == made, "the key that was made at first is the one that is used"
    assert site.keys("openclaw-secrets")["LITELLM_API_KEY"] == made, "the consumer follows"
    assert_none_is_told(rotated.output, old, made)
    asked = [outcome for at, outcome in seen["consumer"] if began <= at <= ended]
    assert [outcome for _at, outcome in seen["consumer"] if outcome != "answered"] == []
    assert len(asked) > 100
    # Whoever nobody told of the new key is served until LiteLLM drops the old one, and refused afterwards.
    refused = [at for at, outcome in seen["stranger"] if outcome != "answered"]
    assert refused
    assert min(refused) > dropping
    assert {outcome[:3] for at, outcome in seen["stranger"] if at > ended} <= {"400", "401"}
    record_property(
        "table",
        f"{ended - began:.0f} s, {len(asked)} requests of a consumer, all answered; the old key was good for {min(refused) - began:.0f} s",
    )
    assert_site_is_content(site)


def cut_off(site: RotatedSite, part: str) -> None:
    """Begin a rotation and press Ctrl-C in this part of it."""
    with site.rotating("litellm_master_key") as process:
        assert process.stdout
        output = []
        for line in process.stdout:
            output.append(line)
            if part in line:
                break
        else:
            raise AssertionError("".join(output))
        time.sleep(1)
        # Ansible was seen to go on after one: a person presses it again.
        for _each in range(180):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                assert process.wait(1) != 0
                return
        raise AssertionError("it goes on for three minutes")


def test_a_litellm_that_does_not_start_with_a_second_key_keeps_the_old_one(site: RotatedSite) -> None:
    before = keys(site)
    failed = site.rotate("litellm_master_key", litellm_node_selector={"not": "there"}, litellm_rollout_timeout=5)
    said_once(failed, "LiteLLM did not take a second master key, so the next one was dropped; the rollout without it failed as well")
    assert keys(site) == before
    with site.clients() as clients:
        clients.tell("anybody", before[MASTER])
        seen = clients.finish()
    assert {outcome for _at, outcome in seen["anybody"]} == {"answered"}
    mended = site.played("site")
    assert mended.code == 0, mended.output
    assert_site_is_content(site)


def test_a_database_that_could_not_be_read_any_more_is_no_price(site: RotatedSite) -> None:
    before = keys(site)
    said_once(site.rotate("litellm_master_key", litellm_database=True), "Nothing was changed: without a LITELLM_SALT_KEY")
    assert keys(site) == before


def test_a_token_that_anthropic_refuses_is_not_even_written(site: RotatedSite) -> None:
    before, gateway = keys(site), site.gateway().metadata.uid
    wrong = f"sk-ant-oat01-{'7' * 40}"
    refused = site.rotate("anthropic_token", options=("-vvvv", "--diff"), environ={"ANTHROPIC_OAUTH_TOKEN": wrong})
    said_once(refused, "OpenClaw's tokens were not rotated, and the tokens are what they were. The reason: Nothing was applied:")
    assert "Anthropic refuses the token ANTHROPIC_OAUTH_TOKEN that was given" in flat(refused.output)
    assert_none_is_told(refused.output, wrong)
    assert (keys(site), site.gateway().metadata.uid) == (before, gateway)


def test_a_token_with_which_claude_does_not_answer_is_taken_back(site: RotatedSite) -> None:
    before, over = keys(site), threading.Event()

    def fail_once_it_is_written() -> bool:
        while site.keys("openclaw-secrets")["ANTHROPIC_OAUTH_TOKEN"] != site.tokens[1]:
            if over.wait(0.2):
                return False
        site.admin("PUT", f"/hosts/{ANTHROPIC}/fault", {"kind": "status", "status": 403})
        return True

    with ThreadPoolExecutor() as pool:
        failing = pool.submit(fail_once_it_is_written)
        try:
            refused = site.rotate("anthropic_token", environ={"ANTHROPIC_OAUTH_TOKEN": site.tokens[1]})
        finally:
            over.set()
            was_written = failing.result(60)
            site.admin("PUT", f"/hosts/{ANTHROPIC}/fault", {"kind": "none"})
    assert was_written, refused.output
    said_once(refused, "OpenClaw's tokens were not rotated, and the tokens are what they were. The reason: OpenClaw runs but is not right")
    assert keys(site) == before
    assert_site_is_content(site)


def test_new_tokens_of_openclaw_are_used_and_the_old_ones_looked_after(site: RotatedSite) -> None:
    before = site.keys("openclaw-secrets")
    given: dict[str, str | None] = {"ANTHROPIC_OAUTH_TOKEN": site.tokens[1]}
    site.in_gateway(SAY)
    rotated = site.rotate("anthropic_token", "gateway_token", options=("-vvvv", "--diff"), environ=given)
    assert rotated.code == 0, rotated.output
    after = site.keys("openclaw-secrets")
    assert after["OPENCLAW_GATEWAY_TOKEN"] != before["OPENCLAW_GATEWAY_TOKEN"]
    assert after["ANTHROPIC_OAUTH_TOKEN"] == site.tokens[1]
    for told in ("The gateway takes the new token", "The gateway refuses the token before", "The token before is still valid at Anthropic"):
        assert told in flat(rotated.output)
    assert "the word is Rhabarber" in site.in_gateway(READ), "the conversation is still there"
    assert_none_is_told(rotated.output, *before.values(), *after.values())
    assert_site_is_content(site)
    same = site.rotate("anthropic_token", environ=given)
    said_once(same, "Nothing was changed: the token that is given is the one that is in use")


def test_a_providers_key_is_tried_before_it_is_written_and_told_when_it_is_old(site: RotatedSite) -> None:
    before, wrong = keys(site), f"sk-{'8' * 40}"
    refused = site.rotate("OPENAI_API_KEY", environ={"OPENAI_API_KEY": wrong})
    said_once(refused, "Nothing was changed, for a new key is refused: OPENAI_API_KEY by provider-model:")
    assert keys(site) == before
    assert_none_is_told(refused.output, wrong)
    rotated = site.rotate("OPENAI_API_KEY", options=("-vvvv", "--diff"), environ={"OPENAI_API_KEY": site.provider_keys[1]})
    assert rotated.code == 0, rotated.output
    assert "provider-model answers with the new OPENAI_API_KEY" in flat(rotated.output)
    assert "The old OPENAI_API_KEY still works: only its provider can revoke it" in flat(rotated.output)
    assert_none_is_told(rotated.output, *site.provider_keys)
    assert_site_is_content(site)


def test_who_is_signed_in_to_open_webui_goes_on_with_another_master_key(site: RotatedSite) -> None:
    people, old = OpenWebuiSite(site.core, site.namespace), keys(site)[MASTER]
    # Whose key it has, the inventory says: with -e nothing else could be said.
    given = ("open_webui_litellm_key", "open_webui_litellm_url")
    own = {name: value for name, value in people.variables.items() if name not in given} | {"open_webui_verify_models": ["vllm-qwen"]}
    deployed = site.played("site", "--tags", "open_webui", **own)
    assert deployed.code == 0, deployed.output
    session, pod = people.sign_in(), people.wait().metadata.uid
    rotated = site.rotate("litellm_master_key", options=("-vvvv", "--diff"), **own)
    assert rotated.code == 0, rotated.output
    new = keys(site)[MASTER]
    assert new != old
    assert people.ask("GET", "/openai/config", token=session)["OPENAI_API_KEYS"] == [new]
    question = {"model": "vllm-qwen", "stream": False, "messages": [{"role": "user", "content": "Are you there?"}]}
    assert people.ask("POST", "/api/chat/completions", question, session)["choices"]
    assert people.wait().metadata.uid == pod, "no pod starts anew, so nobody's page is gone"
    assert_none_is_told(rotated.output, old, new)
