"""Asks LiteLLM through its Service, from inside one of its pods, and prints as JSON who answered what and what is wrong.

Runs in the container, so the master key stays there: it is read from the environment and goes nowhere but to the Service.
Standard library only. The one argument is a JSON object: url, models (to ask), served (to be listed), chains, timeout, overhead_ms,
strict.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import statistics
import sys
import time
import urllib.error
import urllib.request

KEY = os.environ.get("LITELLM_MASTER_KEY", "")

#: Seconds that the Service may go on leading to pods of the revision before.
PATIENCE = 10


class Service:
    """LiteLLM at one address. The Service is in the cluster, so a proxy for the Internet is not for it."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._patient_until = time.monotonic() + PATIENCE
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def send(self, path: str, body: dict | None = None, key: str = KEY) -> tuple[int, dict, str, float]:
        """Return status (0 when no answer came), headers in lower case, text and seconds."""
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, headers)  # noqa: S310  # the role writes the address
        started = time.monotonic()
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                status, received, text = answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, received, text = error.code, error.headers, error.read().decode(errors="replace")
        except (OSError, ValueError) as error:
            status, received, text = 0, {}, f"{type(error).__name__}: {error}"
        seconds = round(time.monotonic() - started, 3)
        return status, {name.lower(): value for name, value in received.items()}, text, seconds

    def send_with_key(self, path: str, body: dict | None = None) -> tuple[int, dict, str, float]:
        """Send, and for a while send again when no one is there or the key is refused.

        Right after a rollout the Service may still lead some connections to a pod that leaves, which has another key when that was
        changed; another connection a moment before may well have led to the new one.
        """
        while True:
            status, headers, text, seconds = self.send(path, body)
            # Without a database LiteLLM answers a wrong key with 400.
            settled = status not in (0, 401) and not (status == 400 and "no_db_connection" in text)
            if settled or time.monotonic() > self._patient_until:
                return status, headers, text, seconds
            time.sleep(0.2)

    def models(self) -> tuple[list[str] | None, str]:
        """Return the names served, or None and why not."""
        status, _headers, text, _seconds = self.send_with_key("/v1/models")
        try:
            return sorted(each["id"] for each in json.loads(text)["data"]), ""
        except (ValueError, KeyError, TypeError):
            return None, f"GET /v1/models answered {status}: {without_key(text)[:300]}"

    def chat(self, model: str) -> dict:
        """Ask one model one question. `answered_by` is the model group that LiteLLM says has answered."""
        body = {"model": model, "messages": [{"role": "user", "content": "Answer with the word OK."}], "max_tokens": 32}
        status, headers, text, seconds = self.send_with_key("/v1/chat/completions", body)
        answer = {"model": model, "status": status, "seconds": seconds}
        try:
            message = json.loads(text)["choices"][0]["message"]
            content = str(message.get("content") or message.get("reasoning_content") or "")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return {**answer, "error": without_key(text)[:300]}
        overhead = headers.get("x-litellm-overhead-duration-ms")
        return {
            **answer,
            "content": without_key(content)[:80],
            "answered_by": headers.get("x-litellm-model-group"),
            "backend": headers.get("x-litellm-model-api-base"),
            "fallbacks": int(headers.get("x-litellm-attempted-fallbacks") or 0),
            "overhead_ms": round(float(overhead), 1) if overhead else None,
        }


def without_key(text: str) -> str:
    return text.replace(KEY, "********") if KEY else text


def judge(ask: dict, found: dict) -> list[str]:
    """What is not as it was asked for, one sentence each."""
    problems = []
    if sorted(ask["served"]) != found["served"]:
        missing, more = sorted(set(ask["served"]) - set(found["served"])), sorted(set(found["served"]) - set(ask["served"]))
        problems.append(f"the models served are not those configured: missing {missing or 'none'}, not configured {more or 'none'}")
    if found["without_key"] not in (400, 401, 403):
        problems.append(f"a request without a key was answered with {found['without_key']} instead of being refused")
    if not found["metrics"]:
        problems.append("GET /metrics shows no litellm_ metric")
    for answer in found["answers"]:
        chain = ask["chains"].get(answer["model"], [answer["model"]])
        if "error" in answer:
            problems.append(f"{answer['model']} gave no answer ({answer['status']} after {answer['seconds']} s): {answer['error']}")
        elif not answer["content"].strip():
            problems.append(f"{answer['model']} answered nothing")
        elif answer["answered_by"] not in chain:
            problems.append(f"{answer['model']} was answered by {answer['answered_by']}, which is not in its chain {' → '.join(chain)}")
        elif ask["strict"] and answer["answered_by"] != answer["model"]:
            problems.append(f"{answer['model']} was answered by its fallback {answer['answered_by']}")
    if found["overhead_ms"] is not None and found["overhead_ms"] > ask["overhead_ms"]:
        problems.append(f"LiteLLM added {found['overhead_ms']:.0f} ms to a request (median), more than {ask['overhead_ms']}")
    return problems


def told(found: dict) -> list[str]:
    """What a person wants to read when all is well."""
    lines = [f"{len(found['served'])} models served"]
    for answer in found["answers"]:
        if "error" not in answer:
            by = "" if answer["answered_by"] == answer["model"] else f" by {answer['answered_by']}"
            lines.append(f"{answer['model']} answered{by} in {answer['seconds']:.2f} s ({answer['backend']})")
    return lines


def overhead(service: Service, answers: list[dict], limit: float) -> float | None:
    """Median of what LiteLLM says it added. The first requests after a start pay for imports, so too much is measured again, warm."""
    direct = [answer for answer in answers if answer.get("overhead_ms") is not None and not answer["fallbacks"]]
    if not direct:
        return None
    median = statistics.median(answer["overhead_ms"] for answer in direct)
    if median <= limit:
        return median
    again = [service.chat(min(direct, key=lambda answer: answer["seconds"])["model"]).get("overhead_ms") for _each in range(3)]
    return statistics.median([median if each is None else each for each in again])


def main(ask: dict) -> None:
    service = Service(ask["url"], ask["timeout"])
    served, why_not = service.models()
    if served is None:
        print(json.dumps({"problems": [why_not]}))
        return
    found = {"served": served, "without_key": service.send("/v1/models", key="")[0]}
    found["metrics"] = "litellm_" in service.send("/metrics/")[2]
    if ask["models"]:
        service.chat(ask["models"][0])  # the first requests after a start take a second each
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found["answers"] = list(pool.map(service.chat, ask["models"]))
    found["overhead_ms"] = overhead(service, found["answers"], ask["overhead_ms"])
    print(json.dumps({**found, "problems": judge(ask, found), "lines": told(found)}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
