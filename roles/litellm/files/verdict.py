"""What the answers that verify.py got mean: plain data in, sentences out. verify.py is given this source as its second argument."""

from __future__ import annotations

import math


def judge(ask: dict, found: dict) -> list[str]:
    """What is not as it was asked for, one sentence each."""
    problems = []
    if sorted(ask["served"]) != found["served"]:
        missing, more = sorted(set(ask["served"]) - set(found["served"])), sorted(set(found["served"]) - set(ask["served"]))
        problems.append(f"the models served are not those configured: missing {missing or 'none'}, not configured {more or 'none'}")
    if found["without_key"] not in (400, 401, 403):
        problems.append(f"a request without a key was answered with {found['without_key']} instead of being refused")
    for name in ask["explicit_only"]:
        chains = [group for group, chain in ask["chains"].items() if name in chain[1:]]
        if chains:
            problems.append(f"{name} is to answer only whoever asks for it by name, but is in the chain of {', '.join(chains)}")
    for answer in found["answers"]:
        problems += _judge_answer(ask, answer)
    return [*problems, *_judge_overhead(ask, found), *_judge_metrics(found)]


def _judge_answer(ask: dict, answer: dict) -> list[str]:
    model, seconds = answer["model"], answer["seconds"]
    chain = ask["chains"].get(model, [model])
    if "error" in answer:
        return [f"{model} gave no answer ({answer['status']} after {seconds} s): {answer['error']}"]
    if not answer["content"].strip():
        return [f"{model} answered nothing"]
    if answer["answered_by"] not in chain:
        return [f"{model} was answered by {answer['answered_by']}, which is not in its chain {' → '.join(chain)}"]
    if ask["strict"] and answer["answered_by"] != model:
        return [f"{model} was answered by its fallback {answer['answered_by']}"]
    if answer["answered_by"] in ask["cloud"] and seconds >= ask["cloud_seconds"]:
        return [f"{model} took {seconds:.1f} s to answer, and {ask['cloud_seconds']} are too many"]
    return []


def _judge_overhead(ask: dict, found: dict) -> list[str]:
    limit, pairs = ask["overhead_ms"], found["pairs"]
    problems = []
    if pairs and pairs["added_ms"] >= limit:
        problems.append(
            f"LiteLLM added {pairs['added_ms']:.0f} ms to a request to {pairs['model']} (median of {pairs['count']} pairs), "
            f"and {limit} are too many"
        )
    if found["overhead_ms"] is not None and found["overhead_ms"] >= limit:
        problems.append(f"LiteLLM says that it added {found['overhead_ms']:.0f} ms to a request (median), and {limit} are too many")
    return problems


def _judge_metrics(found: dict) -> list[str]:
    if found["counted"] is None:
        return ["GET /metrics shows no litellm_ metric"]
    return [
        f"{model} was asked {asked} times, and LiteLLM's metrics count {max(rose, 0)} requests for it"
        for model, (asked, rose) in found["counted"].items()
        if rose < asked
    ]


def told(ask: dict, found: dict) -> list[str]:
    """What a person wants to read when all is well."""
    lines = [f"{len(found['served'])} models served"]
    for answer in found["answers"]:
        if "error" not in answer:
            by = "" if answer["answered_by"] == answer["model"] else f" by {answer['answered_by']}"
            lines.append(f"{answer['model']} answered{by} in {answer['seconds']:.2f} s ({answer['backend']})")
    cloud = [answer["seconds"] for answer in found["answers"] if answer.get("answered_by") in ask["cloud"]]
    if cloud:
        lines.append(f"Cloud models answer in {percentile(cloud, 50):.2f} s (p50) and {percentile(cloud, 95):.2f} s (p95)")
    pairs, own = found["pairs"], found["overhead_ms"]
    if pairs:
        by_itself = "" if own is None else f"; by its own count {own:.0f} ms"
        lines.append(
            f"LiteLLM adds {pairs['added_ms']:.0f} ms to a request ({pairs['model']}, median of {pairs['count']} pairs{by_itself})"
        )
    elif own is not None:
        lines.append(f"LiteLLM adds {own:.0f} ms to a request by its own count; no backend could be asked straight")
    explicit = [name for name in ask["explicit_only"] if name in found["served"]]
    if explicit:
        lines.append(f"In no chain: {', '.join(explicit)}")
    if found["counted"]:
        lines.append(f"Metrics counted the requests for {len(found['counted'])} models")
    return lines


def percentile(values: list[float], percent: int) -> float:
    """The smallest value that so many percent are not above (nearest rank)."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]
