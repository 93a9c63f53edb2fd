# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""One outage of a model group, request by request, as LiteLLM's router lives through it: attempts, back-off, cooldowns, no clock.

Follows litellm 1.106.2: router.py (async_function_with_retries, should_retry_this_error, _time_to_sleep_before_retry), utils.py
(calculate_retry_after) and router_utils/cooldown_handlers.py. Where LiteLLM leaves it to chance the longer way is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.homelab.llm.plugins.module_utils._litellm.deployment import Bound, Deployment, Router

#: constants.py, INITIAL_RETRY_DELAY, MAX_RETRY_DELAY and JITTER; the last is drawn anew for each wait, so its maximum is the bound.
INITIAL_DELAY, MAX_DELAY, JITTER = 0.5, 8.0, 0.75

#: Nobody waits for more, and a config may hold any number.
MOST_RETRIES = 100

#: The longest `retry-after` that LiteLLM obeys (utils.py, calculate_retry_after).
LONGEST_RETRY_AFTER = 60.0

#: aiohttp rounds a connect timeout up to a whole second when it is longer than this (aiohttp.helpers.ceil_timeout).
ROUNDED_ABOVE = 5.0

#: Providers whose refused connection LiteLLM reports as InternalServerError. Of the others it says APIConnectionError, which no
#: policy can name and no cooldown follows (exception_mapping_utils.py; cooldown_handlers.py, _is_cooldown_required).
OPENAI_LIKE = frozenset({"openai", "hosted_vllm", "groq", "mistral", "text-completion-openai", "custom_openai"})

CONNECTION_ERROR, NO_DEPLOYMENT = "APIConnectionError", "RouterRateLimitError"


@dataclass(frozen=True)
class Fault:
    """A way for a backend to fail: what LiteLLM makes of it, by the exception's name in its policies, and what the failing itself takes."""

    name: str
    exception: str
    status: int
    waits: bool = False
    connecting: bool = False
    began: bool = False
    midway: bool = False
    retry_after: float = 0

    @property
    def ways(self) -> tuple[bool, ...]:
        """Streamed or not. A stream whose text has begun is not failed over: it ends in an error."""
        return (False,) if self.midway else (False, True)

    def begun_stream(self, deployment: Deployment, streamed: bool) -> bool:
        """Whether the router has handed the stream on already: then nobody asks again or cools down, and the fallback follows at once.

        router.py, _acompletion_streaming_iterator. It gets none of a deployment that is watched before the first token is there.
        """
        return self.began and streamed and deployment.watch is None

    def exception_of(self, deployment: Deployment) -> str:
        refused = self.connecting and not self.waits
        return CONNECTION_ERROR if refused and deployment.provider not in OPENAI_LIKE else self.exception

    def bound(self, deployment: Deployment, streamed: bool) -> Bound:
        """What ends an attempt that waits. A bound on the first token comes before the timeout, which is longer."""
        if deployment.watch is None:
            return deployment.streamed if streamed else deployment.plain
        return deployment.watch.gap if self.midway else deployment.watch.first_token

    def seconds(self, deployment: Deployment, streamed: bool) -> float:
        """How long one attempt takes, from its beginning or, when it breaks midway, at most from its last token."""
        if not self.waits:
            return 0
        bound = max(0, self.bound(deployment, streamed).seconds)
        return bound + 1 if self.connecting and bound > ROUNDED_ABOVE and deployment.watch is None else bound


#: An error is taken to come at once: a backend that thinks before it answers 500 takes as long as it takes, at most as a hang.
FAULTS = (
    Fault("refused", "InternalServerError", 500, connecting=True),
    Fault("blackhole", "TimeoutError", 408, waits=True, connecting=True),
    Fault("500", "InternalServerError", 500),
    Fault("503", "ServiceUnavailableError", 503),
    Fault("404", "NotFoundError", 404),
    Fault("429", "RateLimitError", 429),
    Fault("429 with retry-after", "RateLimitError", 429, retry_after=LONGEST_RETRY_AFTER),
    Fault("401", "AuthenticationError", 401),
    Fault("hang before headers", "TimeoutError", 408, waits=True),
    Fault("hang after headers", "TimeoutError", 408, waits=True, began=True),
    Fault("hang in mid-answer", "TimeoutError", 408, waits=True, midway=True),
)


@dataclass(frozen=True)
class Spent:
    """Where the seconds of one request went before the next tier was asked."""

    waiting: float = 0
    sleeping: float = 0
    attempts: int = 0

    @property
    def seconds(self) -> float:
        return self.waiting + self.sleeping


class Outage:
    """All deployments of a group fail in one way, and one request follows the other."""

    def __init__(self, model_group: str, deployments: Sequence[Deployment], router: Router, fault: Fault, streamed: bool, of: int) -> None:
        """`of` is how many deployments the model group has, with those of other orders."""
        self._model_group = model_group
        self._deployments = deployments
        self._router = router
        self._fault = fault
        self._streamed = streamed
        self._group_size = of
        self._now = 0.0
        self._cooled_until: dict[int, float] = {}
        self._failures: dict[int, int] = {}

    def choices(self) -> tuple[int, ...]:
        """Positions of the deployments that may be asked first: one of each kind."""
        return tuple({self._deployments[position]: position for position in reversed(self._healthy())}.values())

    def request(self, first: int | None) -> Spent:
        """Live through a request that is sent to the deployment `first`, or to none because all of them cool down."""
        waiting, sleeping, attempts = self._attempt(first), 0.0, 1
        if first is None or self._fault.begun_stream(self._deployments[first], self._streamed):
            return Spent(waiting, 0, attempts)
        # Only the first failure of a request is counted: its retries share one logging object, which reports once.
        self._count(first)
        error = self._fault.exception_of(self._deployments[first])
        policy = self._router.retries_of_policy(self._model_group, error)
        own = self._deployments[first].retries
        retries = policy if policy is not None else self._router.retries if own is None else own
        if retries <= 0 or (policy is None and self._gives_up()):
            return Spent(waiting, 0, attempts)
        sleeping += self._sleep(0, asked=True)
        for made in range(1, min(retries, MOST_RETRIES) + 1):
            chosen = self._slowest(self._healthy())
            waiting += self._attempt(chosen)
            attempts += 1
            if policy is None and self._gives_up():
                break
            # Also after the last attempt: the sleep stands at the end of the loop.
            sleeping += self._sleep(made, asked=chosen is not None)
        return Spent(waiting, sleeping, attempts)

    def _attempt(self, position: int | None) -> float:
        seconds = 0 if position is None else self._fault.seconds(self._deployments[position], self._streamed)
        self._now += seconds
        return seconds

    def _healthy(self) -> list[int]:
        return [each for each in range(len(self._deployments)) if self._cooled_until.get(each, 0) <= self._now]

    def _slowest(self, positions: Iterable[int]) -> int | None:
        return max(positions, key=lambda each: self._fault.seconds(self._deployments[each], self._streamed), default=None)

    def _gives_up(self) -> bool:
        """router.py, should_retry_this_error, for a group that has fallbacks."""
        return not self._healthy() or self._fault.status == 404 or (self._fault.status == 401 and self._group_size <= 1)

    def _sleep(self, made: int, *, asked: bool) -> float:
        """router.py, _time_to_sleep_before_retry; utils.py, calculate_retry_after."""
        if self._group_size > 1 and self._healthy():
            return 0
        if asked and 0 < self._fault.retry_after <= LONGEST_RETRY_AFTER:
            delay = self._fault.retry_after
        else:
            delay = min(max(INITIAL_DELAY * 2**made, self._router.retry_after), MAX_DELAY)
        self._now += delay + JITTER
        return delay + JITTER

    def _count(self, position: int) -> None:
        """Count a failure, and cool the deployment down when it is one too many."""
        deployment = self._deployments[position]
        cooldown = deployment.cooldown_time
        if cooldown is None or cooldown < 0:
            cooldown = self._fault.retry_after or self._router.cooldown_time
        if self._router.disable_cooldowns or cooldown <= 0:
            return
        allowed = self._allowed_fails(deployment)
        if allowed is not None:
            self._failures[position] = self._failures.get(position, 0) + 1
            if self._failures[position] > allowed:
                self._cooled_until[position] = self._now + cooldown

    def _allowed_fails(self, deployment: Deployment) -> int | None:
        """How many failures of this kind pass before a cooldown; None when none ever follows (or only after hundreds of requests).

        cooldown_handlers.py, _should_cooldown_deployment and what it calls.
        """
        error = self._fault.exception_of(deployment)
        if error == CONNECTION_ERROR:
            return None
        router, named = self._router, deployment.allowed(error)
        of_router = (router.allowed_fails_policy or {}).get(f"{error}AllowedFails", router.allowed_fails)
        if deployment.allowed_fails_policy is not None or deployment.allowed_fails is not None:
            if named is None and deployment.allowed_fails is not None and self._group_size == 1:
                return None
            return next((each for each in (named, deployment.allowed_fails) if each is not None), of_router)
        if router.allowed_fails_policy is not None or router.allowed_fails_set:
            return of_router
        # Neither says anything: a wrong key always, too many requests only where somebody else can answer.
        return 0 if self._fault.status == 401 or (self._fault.status == 429 and self._group_size > 1) else None
