# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""How a drill can look good and prove nothing, and how answers can be wrong though they came: found here, a finding each."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator, Sequence

from ansible_collections.homelab.llm.plugins.module_utils._probe import measure
from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import Chain, Counter, Expectation
from ansible_collections.homelab.llm.plugins.module_utils._probe.finding import Finding, some
from ansible_collections.homelab.llm.plugins.module_utils._probe.measure import Sight
from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import Phases

#: Seconds after its answer within which a request is counted.
COUNTED_AFTER = 0.5


def find_wrong_answers(sights: Sequence[Sight], expectation: Expectation) -> Iterator[Finding]:
    """Yield answers that are none: lost, from a cache, from a server or model that was not to be."""
    for chain in expectation.chains:
        for one, other in chain.shared_servers():
            yield Finding(
                "same_server", f"{other.name} is the same server as {one.name} under another name ({one.api_base}): it falls with it."
            )
    lost = [sight for sight in sights if sight.lost]
    if lost:
        ways = ", ".join(f"{count} {_how(finish)}" for finish, count in sorted(Tally(sight.request.finish for sight in lost).items()))
        first = next((f" The first said: {sight.request.error}" for sight in lost if sight.request.error), "")
        yield Finding("lost", f"{some(len(lost), 'request')} of {len(sights)} got no whole, right answer: {ways}.{first}")
    cached = [sight for sight in sights if sight.request.cache_key]
    # Within a phase: a backend that counts its answers begins anew with its process, so after an outage the same ids may come again.
    ids = Tally((sight.phase, sight.request.answer_id) for sight in sights if sight.request.answer_id)
    repeated = sum(count for count in ids.values() if count > 1)
    if cached or repeated:
        how = f"{len(cached)} with LiteLLM's cache key" if cached else f"{repeated} share an id with another"
        yield Finding(
            "cached",
            f"Answers came from a cache, not from a model ({how}): it proves nothing about a backend. Switch the cache off for the drill.",
        )
    texts = {
        "same_server": "answered under another name by a server that had its own: {claimed}.",
        "wrong_model": "answered by the wrong model: {claimed}.",
        "unknown_answerer": "answered by somebody who is in no chain: {claimed}.",
    }
    for code, text in texts.items():
        found = [sight for sight in sights if sight.served.problem == ("unknown" if code == "unknown_answerer" else code)]
        if found:
            claimed = found[0].served.claimed or "the answer does not say who gave it"
            yield Finding(code, f"{some(len(found), 'request')} of {len(sights)}: {text.format(claimed=claimed)}")


def _how(finish: str) -> str:
    return {
        "done": "with the wrong model",
        "empty": "empty with status 200",
        "cut": "cut before the end",
        "error": "with an error inside a 200",
        "status": "with an error status",
        "no_answer": "without any answer",
        "timeout": "until the client gave up",
        "unfinished": "unfinished when the probe stopped",
    }[finish]


def find_unneeded(sights: Sequence[Sight], expectation: Expectation, counters: Sequence[Counter]) -> Iterator[Finding]:
    """Yield tiers that answered without need: by the answers, and by their own counters."""
    who = Tally((sight.served.tier, sight.phase) for sight in sights if measure.unneeded(sight))
    for (tier, phase), count in sorted(who.items()):
        yield Finding("unneeded", f"{tier} answered {some(count, 'request')} in phase {phase} though a tier before it was there.")
    for counter in measure.unneeded_counted(counters, expectation):
        yield Finding(
            "unneeded",
            f"{counter.tier} itself counted {some(counter.requests, 'request')} in phase {counter.phase} and had no business with any.",
        )


def find_no_proof(sights: Sequence[Sight], phases: Phases, expectation: Expectation) -> Iterator[Finding]:
    """Yield, per chain, why what was seen does not show a failover."""
    for chain in expectation.chains:
        own = [sight for sight in sights if sight.chain is chain]
        yield from _find_unsteady(chain, own, expectation)
        if not phases.has_fault:
            continue
        if chain.loses_primary:
            yield from _find_no_fault(chain, own, phases)
        yield from _find_few(chain, own, phases, expectation)


def _find_unsteady(chain: Chain, own: Sequence[Sight], expectation: Expectation) -> Iterator[Finding]:
    before = [sight for sight in own if sight.phase == "steady"]
    by_primary = [sight for sight in before if sight.served.tier == chain.primary.name]
    if not by_primary:
        asked = f"{some(len(before), 'request')} for {chain.asked} before the fault"
        yield Finding("no_primary_traffic", f"{chain.primary.name} answered none of {asked}: that it is missed later shows nothing.")
        return
    for kind in sorted({sight.request.kind for sight in own}):
        count = sum(sight.request.kind == kind for sight in by_primary)
        if count < expectation.minimum.steady:
            yield Finding(
                "too_few_samples",
                _few(kind, chain, count, expectation.minimum.steady, f"answered by {chain.primary.name} before the fault"),
            )
    if len(by_primary) < len(before):
        others = len(before) - len(by_primary)
        yield Finding(
            "not_steady",
            f"{others} of {len(before)} requests for {chain.asked} were not answered by {chain.primary.name} before anything was broken.",
        )


def find_other_hands(sights: Sequence[Sight], phases: Phases, counters: Sequence[Counter]) -> Iterator[Finding]:
    """Yield tiers that are named by more answers than they counted requests."""
    all_phases = set(phases.spans())
    for tier in sorted({counter.tier for counter in counters}):
        told = {counter.phase: counter for counter in counters if counter.tier == tier}
        # A request of the fault may reach its tier after the restore: but for the steady state, whose requests have all ended by then,
        # only a count of the whole drill can be compared; and not one that was lost with its process.
        is_whole = all_phases <= set(told) and not any(counter.restarted for counter in told.values())
        span = all_phases if is_whole else {"steady"} & set(told)
        read = [counter for phase, counter in told.items() if phase in span]
        since, until = min((each.since for each in read), default=0.0), max((each.until for each in read), default=0.0) - COUNTED_AFTER
        own = [sight.request for sight in sights if sight.served.tier == tier and sight.phase in span]
        named = sum(since <= request.t_start and request.t_end <= until for request in own)
        counted = sum(counter.requests for counter in read)
        if counted < named:
            when = "" if span == all_phases else " before the fault"
            text = f"{tier} is named by {some(named, 'answer')}{when} and itself counted {counted}: somebody else answers in its name."
            yield Finding("counter_disagrees", text)


def _find_no_fault(chain: Chain, own: Sequence[Sight], phases: Phases) -> Iterator[Finding]:
    """The fault must have taken, and lasted: no tier it takes answers between its effect and the restore."""
    name = " and ".join(tier.name for tier in chain.tiers if tier.name in chain.down)
    if phases.fault_effective is None:
        yield Finding("fault_did_not_take", f"The fault on {name} was commanded, and nothing shows that it took effect.")
        return
    until = phases.restore_commanded if phases.restore_commanded is not None else phases.ended
    during = [sight for sight in own if phases.fault_effective <= sight.request.t_start < until]
    # An answer that came after the restore is no sign: a request may have hung, or LiteLLM tried again, until the backend was back.
    answered = [sight for sight in during if sight.served.tier in chain.down and sight.request.t_answer < until]
    if not answered:
        return
    name = " and ".join(sorted({sight.served.tier for sight in answered}))
    missed = [sight for sight in during if sight.served.tier not in chain.down and sight.request.t_start < answered[-1].request.t_start]
    if missed:
        after = answered[-1].request.t_start - phases.fault_effective
        yield Finding(
            "came_back_by_itself",
            f"{name} answered {some(len(answered), 'request')} during the fault, the last {after:.1f} s after its effect: "
            "it came back by itself, so the outage was not what was judged.",
        )
    else:
        yield Finding(
            "fault_did_not_take",
            f"{name} went on answering ({len(answered)} of {len(during)} requests) after the fault should have taken: "
            "a pooled connection, or the wrong Service.",
        )


def _find_few(chain: Chain, own: Sequence[Sight], phases: Phases, expectation: Expectation) -> Iterator[Finding]:
    for kind in sorted({sight.request.kind for sight in own}):
        mine = [sight for sight in own if sight.request.kind == kind]
        begin = phases.fault_effective if phases.fault_effective is not None else phases.fault_commanded
        until = phases.restore_commanded if phases.restore_commanded is not None else phases.ended
        count = sum(begin is not None and begin <= sight.request.t_start < until for sight in mine)
        if count < expectation.minimum.fault:
            yield Finding("too_few_samples", _few(kind, chain, count, expectation.minimum.fault, "while the fault was on"))
        after = sum(sight.served.tier == chain.primary.name and sight.phase == "recovery" for sight in mine)
        if phases.backend_ready is not None and after < expectation.minimum.recovery:
            yield Finding(
                "too_few_samples",
                _few(kind, chain, after, expectation.minimum.recovery, f"answered by {chain.primary.name} after its return"),
            )


def _few(kind: str, chain: Chain, count: int, least: int, when: str) -> str:
    return f"{some(count, f'{kind} request')} for {chain.asked} {when}; fewer than {least} show nothing."


def find_not_back(sights: Sequence[Sight], phases: Phases, expectation: Expectation) -> Iterator[Finding]:
    """Yield what is not as it was: the restore, then the primary of each chain."""
    if phases.restore_error:
        yield Finding("restore_failed", f"THE RESTORE FAILED, the cluster is not as it was: {phases.restore_error}")
        return
    if phases.has_fault and phases.restore_commanded is None:
        yield Finding("not_restored", "THE FAULT WAS NEVER UNDONE: the drill ended before its restore. Run it again with state: restored.")
        return
    for chain in expectation.chains:
        if not (phases.has_fault and chain.loses_primary):
            continue
        own = [sight for sight in sights if sight.chain is chain]
        if phases.backend_ready is None:
            waited = phases.ended - (phases.restore_commanded or phases.ended)
            yield Finding("not_recovered", f"{chain.primary.name} was not ready again {waited:.0f} s after the restore.")
        elif measure.back_at(own, phases) is None:
            waited = phases.ended - phases.backend_ready
            yield Finding(
                "not_recovered",
                f"{chain.primary.name} was ready again, and {waited:.0f} s later still not every request for {chain.asked} was sent there.",
            )
