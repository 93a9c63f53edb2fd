# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""An outcome as people and playbooks read it: sentences, a dictionary, a diff."""

from __future__ import annotations

from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe.finding import some
from ansible_collections.homelab.llm.plugins.module_utils._suspend import decision
from ansible_collections.homelab.llm.plugins.module_utils._suspend.course import Outcome
from ansible_collections.homelab.llm.plugins.module_utils._suspend.task import Asked


def result(asked: Asked, outcome: Outcome) -> dict[str, Any]:
    """Return what the module returns: its RETURN describes it."""
    replicas, note = outcome.after
    clients = outcome.clients
    return {
        "changed": outcome.changed,
        "msg": message(asked, outcome),
        "suspended": note is not None and not replicas,
        "since": note.since if note else "",
        "by": note.by if note else "",
        "replicas": note.replicas if note and not replicas else replicas,
        "answered_by": outcome.answered_by,
        "answered_after": _rounded(outcome.answered_after),
        "pods_after": _rounded(outcome.pods_after),
        "requests": {
            "total": clients.requests,
            "lost": clients.lost,
            "worst_wait": round(clients.worst_wait, 3),
            "answered": dict(clients.answered),
        },
        "sharing": list(outcome.sharing),
        "problems": list(outcome.problems),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)


def message(asked: Asked, outcome: Outcome) -> str:
    """Return all of it in a few sentences: how it is, who answers, what clients got, what is wrong and what to do."""
    words = [_state(asked, outcome) + "."]
    if outcome.clients.requests:
        words.append(_clients(asked, outcome) + ".")
    if outcome.problems:
        problems = "; ".join(outcome.problems)
        words += [f"{problems[:1].upper()}{problems[1:]}.", _advice(asked, outcome)]
    return " ".join(filter(None, words))


def _state(asked: Asked, outcome: Outcome) -> str:
    replicas, note = outcome.after
    if note and not replicas:
        text = f"{asked.name} {_is(outcome)} suspended, since {note.since} by {note.by}, and gets {some(note.replicas, 'replica')} back"
    elif note:
        text = f"{asked.name} was suspended at {note.since} by {note.by} and has {some(replicas, 'replica')} all the same"
    elif replicas:
        text = f"{asked.name} {_is(outcome)} not suspended, with {some(replicas, 'replica')}"
    else:
        text = f"{asked.name} has 0 replicas, and nobody suspended it"
    if outcome.changed and outcome.pods_after is not None:
        text += f". Its pods were {'gone' if not replicas else 'ready'} after {outcome.pods_after:.1f} s"
    return text


def _is(outcome: Outcome) -> str:
    is_foreseen = outcome.changed and outcome.pods == decision.NOT_WAITED
    return "would be" if is_foreseen else "is"


def _clients(asked: Asked, outcome: Outcome) -> str:
    clients = outcome.clients
    since = f", since {outcome.answered_after:.1f} s after the command" if outcome.changed and outcome.answered_after is not None else ""
    return (
        f"Requests for {asked.model} are answered by {outcome.answered_by or 'nobody'}{since}; "
        f"{some(clients.requests, 'request')}, {clients.lost} lost, the longest wait {clients.worst_wait:.2f} s"
    )


def _advice(asked: Asked, outcome: Outcome) -> str:
    if asked.state == "reported" or outcome.is_overruled:
        return ""
    other = "resumed (in the playbook: -e state=off)" if asked.state == "suspended" else "suspended (in the playbook: -e state=on)"
    return (
        f"It stays as asked for; the way back is state: {other}. Run again to see whether it passes; homelab.llm.failover_probe, or "
        "playbooks/drill.yml, measures what LiteLLM does when this backend leaves."
    )


def warnings(asked: Asked, outcome: Outcome) -> list[str]:
    """Return what people should know though nothing is wrong."""
    found = []
    if outcome.sharing and asked.state == "suspended":
        names = ", ".join(outcome.sharing)
        found.append(
            f"{names}: at the same server as {asked.model}, so {'it is' if len(outcome.sharing) == 1 else 'they are'} gone with it."
        )
    if asked.state == "reported":
        found += outcome.problems
    return found


def diff(asked: Asked, outcome: Outcome) -> dict[str, str]:
    """Return the Deployment before and after, as far as this module is concerned."""
    before, after = (decision.shown(*each) for each in (outcome.before, outcome.after))
    return {"before": before, "after": after, "before_header": asked.name, "after_header": asked.name}
