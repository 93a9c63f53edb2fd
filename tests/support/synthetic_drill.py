# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill that never was: vLLM fails at 10 s, Ollama stands in, vLLM is back. Each test spoils one thing in it."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import Chain, Counter, Expectation, Threshold
from ansible_collections.homelab.llm.plugins.module_utils._probe.judgement import Verdict, judge
from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import Phases
from ansible_collections.homelab.llm.plugins.module_utils._probe.record import Beat, Recording, Request
from ansible_collections.homelab.llm.plugins.module_utils._probe.tier import Tier

VLLM = Tier("vllm", "vllm-qwen", "http://vllm-api.ml.svc.cluster.local:8000/v1", ("openai/Qwen/Qwen2.5-7B-Instruct-AWQ",))
OLLAMA = Tier("ollama", "ollama-qwen", "http://ollama.ml.svc.cluster.local:11434", ("ollama_chat/qwen2.5:3b",))
OPENAI = Tier("openai", "openai-gpt4o", "https://api.openai.com", ("gpt-4o-mini",))
CHAIN = Chain("vllm-qwen", (VLLM, OLLAMA), frozenset({"vllm"}))
NFR65 = Threshold("NFR65", "worst_wait", 5, "s", aim=3.3, sentence="LiteLLM answers from the next tier within 5 s after a tier fails.")
NFR67 = Threshold("NFR67", "lost", 0, "requests", inclusive=True, sentence="Document processing goes on during Gaming Mode.")
EXPECTATION = Expectation(chains=(CHAIN,), thresholds=(NFR65, NFR67), others=(OPENAI,))
#: The worker's clock starts anywhere.
ZERO = 1000.0
PHASES = Phases(ZERO, ZERO + 60, ZERO + 10, ZERO + 10.4, ZERO + 40, ZERO + 46)


def answer(number: int, tier: Tier, start: float, wait: float, stream: bool = False, **changes: Any) -> Request:
    """An answer by `tier` through LiteLLM, as 1.106.2 sends it."""
    fell_back = tier is not VLLM
    whole = Request(
        id=f"chat-{number}",
        load="chat",
        asked="vllm-qwen",
        stream=stream,
        t_due=start - 0.0005,
        t_start=start,
        t_connected=start + 0.0004,
        t_headers=start + wait,
        t_first=start + wait,
        t_end=start + wait + (0.05 if stream else 0.0),
        finish="done",
        status=200,
        answer_id=f"chatcmpl-{number}",
        model=(tier.models[0] if not stream else tier.model_group) if fell_back else "vllm-qwen",
        chunks=5 if stream else 1,
        chars=40,
        said=f"Answer {number} from {tier.name}",
        model_group=tier.model_group,
        model_name=tier.models[0],
        api_base=tier.api_base,
        fallbacks=str(int(fell_back)),
        retries="0",
        version="1.106.2",
    )
    return dataclasses.replace(whole, **changes)


def failure(request: Request, finish: str, **changes: Any) -> Request:
    """The same request without an answer."""
    empty = {"answer_id": "", "model": "", "chunks": 0, "chars": 0, "said": "", "model_group": "", "api_base": "", "t_first": None}
    return dataclasses.replace(request, **{**empty, "finish": finish, **changes})


@dataclass
class Drill:
    """Everything that judge() takes, to be changed by a test before it is judged."""

    requests: list[Request] = field(default_factory=list)
    beats: list[Beat] = field(default_factory=list)
    begun: Beat | None = None
    ended: Beat | None = None
    phases: Phases = PHASES
    expectation: Expectation = EXPECTATION
    counters: list[Counter] = field(default_factory=list)
    clock_error: float | None = 0.004
    broken_lines: int = 0

    @property
    def recording(self) -> Recording:
        ended = self.ended and dataclasses.replace(self.ended, sent=len(self.requests))
        return Recording(tuple(self.requests), tuple(self.beats), self.begun, ended, self.broken_lines)

    def judged(self) -> Verdict:
        return judge(self.recording, self.phases, self.expectation, self.counters, self.clock_error)

    def change(self, which: Callable[[Request], bool], what: Callable[[Request], Request], most: int = 10**9) -> None:
        """Replace the first `most` requests that are `which`; there must be one."""
        found = [at for at, request in enumerate(self.requests) if which(request)][:most]
        assert found
        for at in found:
            self.requests[at] = what(self.requests[at])


def good(rate: float = 10.0, first_wait: float = 0.39, recovery: float = 8.0, end: float = 60.0, seed: int = 1) -> Drill:
    """A drill without a fault in it: every second answer a stream."""
    chance = random.Random(seed)  # noqa: S311 - a picture, not a key
    drill = Drill(
        beats=[Beat(ZERO + second, 1795268238.0 + second, 0.001) for second in range(1, int(end))],
        begun=Beat(ZERO, 1795268238.0),
        ended=Beat(ZERO + end, 1795268238.0 + end),
    )
    waited = False
    for number in range(int((end - 0.1) * rate)):
        start = ZERO + 0.05 + number / rate
        broken = PHASES.fault_effective <= start < PHASES.backend_ready + recovery  # type: ignore[operator]
        wait = 0.02 + chance.expovariate(1 / 0.01)
        if broken and not waited:
            wait, waited = first_wait, True
        drill.requests.append(answer(number, OLLAMA if broken else VLLM, start, wait, number % 2 == 1))
    return drill


def in_fault(request: Request) -> bool:
    """Whether a request of good() started while vLLM was gone."""
    return bool(ZERO + 11 <= request.t_start < ZERO + 40)


def before_fault(request: Request) -> bool:
    return request.t_end < ZERO + 10


def verdict_of(drill: Drill) -> tuple[str, str]:
    """The verdict, and the code and text of its first reason."""
    verdict = drill.judged()
    return verdict.word, " ".join(f"[{finding.code}] {finding.text}" for finding in verdict.findings)


def changed(drill: Drill, **changes: object) -> Drill:
    return dataclasses.replace(drill, **changes)


def with_expectation(drill: Drill, **changes: object) -> Drill:
    return changed(drill, expectation=dataclasses.replace(EXPECTATION, **changes))
