# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The course of a switch: clients begin, the Deployment is suspended or resumed, and it is waited until the right one answers them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils import _signals
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._probe import measure, record, trust
from ansible_collections.homelab.llm.plugins.module_utils._probe.observation import Observation
from ansible_collections.homelab.llm.plugins.module_utils._probe.task import BadTask
from ansible_collections.homelab.llm.plugins.module_utils._probe.tier import server_of
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage import Lost
from ansible_collections.homelab.llm.plugins.module_utils._suspend import decision, verdict
from ansible_collections.homelab.llm.plugins.module_utils._suspend.backend import Backend
from ansible_collections.homelab.llm.plugins.module_utils._suspend.decision import Decision, Refused, Wanted
from ansible_collections.homelab.llm.plugins.module_utils._suspend.note import Note, Unreadable, note_of
from ansible_collections.homelab.llm.plugins.module_utils._suspend.task import Asked
from ansible_collections.homelab.llm.plugins.module_utils._suspend.verdict import Run, Tally

#: Seconds between two looks at the Deployment while it is waited for. A look costs the API server two reads.
LOOK = 1.0


class Unverified(Exception):
    """It is suspended or resumed and stays so, but what clients got is not known; the message says why."""

    def __init__(self, message: str, changed: bool) -> None:
        super().__init__(message)
        self.changed = changed


@dataclass
class Outcome:
    """What it brought. `answered_after`, `pods_after`: seconds from the command; None where that never came, or was not waited for.

    `is_overruled`: somebody else has made it otherwise meanwhile. `problems` are what must not have been, `remarks` what people should
    know.
    """

    changed: bool = False
    before: tuple[int, Note | None] = (0, None)
    after: tuple[int, Note | None] = (0, None)
    answered_by: str = ""
    answered_after: float | None = None
    pods_after: float | None = None
    pods: str = ""
    clients: Tally = field(default_factory=lambda: Tally(0, 0, 0.0, {}))
    sharing: list[str] = field(default_factory=list)
    is_overruled: bool = False
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


class Switch:
    """One run. `new`: what to write on the Deployment when it is suspended now."""

    def __init__(self, asked: Asked, new: Note, backend: Backend, seen: Observation, say: Callable[[str], None]) -> None:
        self._asked, self._new, self._backend, self._seen, self._say = asked, new, backend, seen, say
        self._outcome = Outcome()
        self._commanded = False
        self._run: Run | None = None
        self._overruled, self._looked = "", 0.0

    def examine(self) -> Decision | None:
        """Look at what is to be changed. Raises Refused, ApiError; None when there is nothing to decide."""
        found = self._backend.get()
        if self._asked.state == "reported":
            return None
        made = self._decide(found)
        if self._asked.state == "suspended" and made.patch:
            self._backend.refuse_without_service(found)
        return made

    def run(self, look: dict[str, Any], *, check_mode: bool) -> Outcome:
        """Do it. Raises Refused, BadTask, Lost, ApiError with nothing changed, or Unverified."""
        with _signals.raised():
            try:
                if self._asked.state == "reported":
                    self._report()
                self._seen.phase = "before"
                self._seen.begin(self._asked.plan(), look)
                self._before()
                if self._asked.state == "reported":
                    self._seen.wait(self._has_enough, self._asked.clients.patience + 5)
                else:
                    self._command(check_mode)
                self._seen.end()
                self._tell()
            except (BadTask, Lost) as error:
                if self._commanded:
                    text = f"{self._done()}, but what clients got meanwhile is not known: {error}"
                    raise Unverified(text, self._outcome.changed) from None
                if self._asked.state != "reported":
                    raise
                self._outcome.problems.append(f"who answers is not known: {error}")
            finally:
                self._seen.close()
        return self._outcome

    def _decide(self, found: dict[str, Any]) -> Decision:
        return decision.decide(found, self._wanted, self._new, self._asked.given)

    @property
    def _wanted(self) -> Wanted:
        return "resumed" if self._asked.state == "resumed" else "suspended"

    def _before(self) -> None:
        """Look whether the next model group serves at all, before everybody depends on it."""
        asked, seen = self._asked, self._seen
        chain = next(each for each in seen.expectation.chains if each.asked == asked.model)
        for one, other in chain.shared_servers():
            raise Refused(f"fallbacks: {other.name} is the same server as {one.name} ({one.api_base}): nobody would answer when it is gone")
        server = server_of(chain.primary.api_base)
        self._outcome.sharing = sorted({each.name for each in seen.expectation.others if server and server_of(each.api_base) == server})
        if asked.state != "suspended":
            return
        models = {asked.model, asked.fallback}

        def all_ended() -> bool:
            return {one.chain.asked for one in seen.live.sights()} == models

        seen.wait(all_ended, asked.clients.patience + 5)
        answered = {one.chain.asked for one in seen.live.sights() if not one.lost}
        for option, name in (("fallbacks", asked.fallback), ("model", asked.model)):
            if name not in answered:
                lost = next((one.request for one in seen.live.sights() if one.lost and one.chain.asked == name), None)
                why = (lost.error or lost.finish)[:200] if lost else f"no answer within {asked.clients.patience:g} s"
                raise Refused(
                    f"{option}: {name} does not answer at {asked.clients.url} ({why}), and {asked.fallback} is to answer for "
                    f"{asked.model}: repair that first. {asked.name} was left as it is"
                )

    def _command(self, check_mode: bool) -> None:
        seen, outcome = self._seen, self._outcome
        seen.moments["fault_commanded"] = seen.now()
        made, found = self._backend.converge(self._decide, dry_run=check_mode)
        outcome.before = decision.replicas_of(found), note_of(found)
        outcome.after = made.replicas, made.note
        outcome.changed = made.patch is not None
        outcome.remarks += made.remarks
        if outcome.changed and check_mode:
            outcome.pods = decision.NOT_WAITED
            return
        self._commanded, seen.phase = True, "switch"
        if outcome.changed:
            self._say(f"{self._done()}; waiting until {self._asked.answerer} answers and the pods are {self._pods_shall_be}")
        seen.wait(self._is_done, self._asked.timeout)

    @property
    def _pods_shall_be(self) -> str:
        return "gone" if self._wanted == "suspended" else "ready"

    def _is_done(self) -> bool:
        """Look once a second; True when it is as it shall be, or never will be."""
        if time.monotonic() - self._looked < LOOK:
            return False
        self._looked = time.monotonic()
        zero = self._seen.moments["fault_commanded"]
        is_hopeless = False
        try:
            found = self._backend.get()
            self._overruled = decision.overruled(found, self._wanted)
            self._outcome.after = decision.replicas_of(found), note_of(found)
            pods = self._backend.pods(found)
            is_hopeless = pods.hopeless or bool(self._overruled)
            if pods.there and self._outcome.pods_after is None:
                self._outcome.pods_after = max(0.0, self._seen.now() - zero) if self._outcome.changed else 0.0
            if pods.text != self._outcome.pods and not pods.there:
                self._say(f"{self._asked.name}: {pods.text}")
            self._outcome.pods = pods.text
        except (Refused, Unreadable) as error:
            self._overruled = str(error)
            return True
        except ApiError:  # an API server that is away says nothing; clients may go on
            return False
        self._run = verdict.unbroken(self._seen.live.sights(), self._asked.model, self._asked.answerer, zero)
        return is_hopeless or bool(self._run and pods.there)

    def _report(self) -> None:
        """Say what is written on the Deployment, whoever answers."""
        found = self._backend.get()
        self._outcome.before = self._outcome.after = decision.replicas_of(found), note_of(found)
        self._outcome.pods = self._backend.pods(found).text
        try:
            decision.refuse_a_drill(found)
        except Refused as error:
            self._outcome.remarks.append(str(error))
        if note_of(found) and decision.replicas_of(found):
            self._outcome.problems.append(decision.overruled(found, "suspended"))

    def _has_enough(self) -> bool:
        return len(self._seen.live.sights()) >= verdict.CONFIRM

    def _tell(self) -> None:
        seen, asked, outcome = self._seen, self._asked, self._outcome
        recording, phases = record.parse(seen.live.lines), seen.phases()
        sights = measure.sight(recording, phases, seen.expectation)
        zero = seen.moments.get("fault_commanded", phases.begun)
        outcome.clients = verdict.tally(sights)
        outcome.answered_by = verdict.newest_answerer(sights, asked.model)
        problems = outcome.problems
        answerer = asked.answerer if asked.state != "reported" else asked.fallback if outcome.after[1] else asked.model
        if self._commanded:
            # What ended after the last look belongs to it too.
            self._run = verdict.unbroken(sights, asked.model, answerer, zero) or self._run
            outcome.answered_after = max(0.0, self._run.answered - zero) if self._run and outcome.changed else 0.0 if self._run else None
            problems += self._find_undone()
        problems += verdict.find_problems(sights, asked.model, answerer, self._run, zero)
        if asked.state == "reported" and outcome.answered_by != answerer and not problems:
            problems.append(f"{outcome.answered_by or 'nobody'} answers requests for {asked.model}, and {answerer} is to")
        for finding in trust.find_distrust(recording, phases, seen.expectation, seen.clock_error):
            (problems if finding.code == "record_incomplete" else outcome.remarks).append(finding.text)

    def _find_undone(self) -> list[str]:
        """What was waited for and did not come."""
        asked, outcome = self._asked, self._outcome
        if self._overruled:
            outcome.is_overruled = True
            return [self._overruled]
        after = self._seen.phases().ended - self._seen.moments["fault_commanded"]
        found = []
        if outcome.pods_after is None:
            found.append(f"after {after:.0f} s the pods of {asked.name} are not {self._pods_shall_be}: {outcome.pods}")
        if self._run is None:
            found.append(
                f"after {after:.0f} s requests for {asked.model} are answered by {outcome.answered_by or 'nobody'} "
                f"and not by {asked.answerer}"
            )
        return found

    def _done(self) -> str:
        return f"{self._asked.name} is {self._wanted}"
