"""Asks LiteLLM through its Service, from inside one of its pods, and prints as JSON who answered what and what is wrong.

Runs in the container, so the master key stays there: it is read from the environment and goes nowhere but to the Service.
Standard library only. The first argument is a JSON object: url (of the Service), own_url (of this pod), alone (no other pod serves),
models (to ask), served (to be listed), chains, explicit_only, cloud (models of others), direct (backends that want no key: model, kind,
api_base, name), timeout, cloud_seconds, overhead_ms, strict. The second one is the source of verdict.py.
"""

from __future__ import annotations

import collections
import concurrent.futures
import json
import os
import re
import statistics
import sys
import time
import urllib.error
import urllib.request

KEY = os.environ.get("LITELLM_MASTER_KEY", "")

#: Seconds that the Service may go on leading to pods of the revision before.
PATIENCE = 20

#: How many times a backend is asked straight and through LiteLLM, by turns, and after how many seconds three times are enough.
PAIRS, LONG = 7, 5

#: The counters with the requested model as a label. The first has the name of the model that answered there, the second has the name of
#: the one that was asked, once for each answer of another in its place: together they count what a model was asked.
COUNTERS = ("litellm_proxy_total_requests_metric_total", "litellm_deployment_successful_fallbacks_total")

#: Seconds that a counter may take to show a request that was answered.
LAG = 10

QUESTION = [{"role": "user", "content": "Answer with the word OK."}]


#: So many connections in a row have to lead to a new pod after a rollout: two seconds of them.
SETTLED = 10


class Service:
    """LiteLLM at one address. It is in the cluster, so a proxy for the Internet is not for it. `asked` counts what it answered."""

    def __init__(self, url: str, timeout: float) -> None:
        self.asked: collections.Counter[str] = collections.Counter()
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

    def models_when_settled(self, expected: list[str], times: int) -> tuple[list[str] | None, str]:
        """Return the names served, or None and why not.

        After a rollout it takes some seconds until no connection leads to a pod that leaves, whose config is the one before: so the
        expected names have to come so many times in a row, each on a connection of its own.
        """
        in_a_row = 0
        while True:
            served, why_not = self.models()
            in_a_row = in_a_row + 1 if served == sorted(expected) else 0
            if in_a_row >= times or time.monotonic() > self._patient_until:
                return served, why_not
            time.sleep(0.2)

    def models(self) -> tuple[list[str] | None, str]:
        """Return the names served by whichever pod answers, or None and why not."""
        status, _headers, text, _seconds = self.send_with_key("/v1/models")
        try:
            return sorted(each["id"] for each in json.loads(text)["data"]), ""
        except (ValueError, KeyError, TypeError):
            return None, f"GET /v1/models answered {status}: {without_key(text)[:300]}"

    def chat(self, model: str, max_tokens: int = 32) -> dict:
        """Ask one model one question. `answered_by` is the model group that LiteLLM says has answered."""
        body = {"model": model, "messages": QUESTION, "max_tokens": max_tokens}
        status, headers, text, seconds = self.send_with_key("/v1/chat/completions", body)
        answer = {"model": model, "status": status, "seconds": seconds}
        try:
            message = json.loads(text)["choices"][0]["message"]
            content = str(message.get("content") or message.get("reasoning_content") or "")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return {**answer, "error": without_key(text)[:300]}
        self.asked[model] += 1
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


def straight(backend: dict, timeout: float) -> float | None:
    """Seconds of the shortest answer of a backend that is asked without LiteLLM; None when it gives none."""
    if backend["kind"] == "openai":
        path, limit = "/chat/completions", {"max_tokens": 1}
    else:
        path, limit = "/api/chat", {"stream": False, "options": {"num_predict": 1}}
    body = {"model": backend["name"], "messages": QUESTION, **limit}
    status, _headers, _text, seconds = Service(backend["api_base"].rstrip("/"), timeout).send(path, body, key="none")
    return seconds if status == 200 else None


def compare(service: Service, ask: dict, answers: list[dict]) -> dict | None:
    """What LiteLLM adds to a request, by asking a backend that answered for itself straight and through LiteLLM, by turns."""
    well = {each["model"] for each in answers if each.get("answered_by") == each["model"] and not each["fallbacks"]}
    # A server for GPUs first: its answers differ less among themselves than what is to be measured.
    for backend in sorted(ask["direct"], key=lambda each: each["kind"] != "openai"):
        if backend["model"] in well:
            # What was busy for a moment is not slow: the better of two.
            found = [_pairs(service, backend, ask["timeout"])]
            if found[0] and found[0]["added_ms"] >= ask["overhead_ms"]:
                found.append(_pairs(service, backend, ask["timeout"]))
            usable = [each for each in found if each]
            if usable:
                return min(usable, key=lambda each: each["added_ms"])
    return None


def _pairs(service: Service, backend: dict, timeout: float) -> dict | None:
    """The first pair warms both ways up and does not count."""
    pairs, until = [], time.monotonic() + LONG
    while len(pairs) <= PAIRS and (len(pairs) <= 3 or time.monotonic() < until):
        direct, through = straight(backend, timeout), service.chat(backend["model"], max_tokens=1)
        if direct is None or through.get("answered_by") != backend["model"]:
            return None
        pairs.append((direct, through["seconds"], through["overhead_ms"]))
    added = statistics.median(through - direct for direct, through, _own in pairs[1:])
    own = [each for _direct, _through, each in pairs[1:] if each is not None]
    return {
        "model": backend["model"],
        "count": len(pairs) - 1,
        "added_ms": round(added * 1000, 1),
        "own_ms": statistics.median(own) if own else None,
    }


def counts(pod: Service) -> collections.Counter[str] | None:
    """How many requests for each model the metrics of one pod show, None when it has no metrics."""
    text = pod.send("/metrics/")[2]
    if "litellm_" not in text:
        return None
    found: collections.Counter[str] = collections.Counter()
    for labels, value in re.findall(rf"^(?:{'|'.join(COUNTERS)})\{{(.*)\}} (\S+)$", text, re.MULTILINE):
        for model in re.findall(r'(?:^|,)requested_model="((?:[^"\\]|\\.)*)"', labels):
            found[model] += int(float(value))
    return found


def main(ask: dict, verdict: str) -> None:
    judging: dict = {}
    exec(verdict, judging)  # noqa: S102  # the file beside this one
    # Each pod counts for itself. So what is asked of this one is looked for, and what goes through the Service only if no other serves.
    service, pod = Service(ask["url"], ask["timeout"]), Service(ask["own_url"], ask["timeout"])
    served, why_not = service.models_when_settled(ask["served"], SETTLED if ask["rolled_out"] else 1)
    if served is None:
        print(json.dumps({"problems": [why_not]}))
        return
    found = {"served": served, "without_key": service.send("/v1/models", key="")[0]}
    before = counts(pod)
    if ask["models"]:
        pod.chat(ask["models"][0])  # the first requests after a start take a second each
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found["answers"] = list(pool.map(service.chat, ask["models"]))
    found["pairs"] = compare(service, ask, found["answers"])
    # One request at a time says more than several at once.
    found["overhead_ms"] = found["pairs"]["own_ms"] if found["pairs"] else overhead(service, found["answers"], ask["overhead_ms"])
    asked = pod.asked + (service.asked if ask["alone"] else collections.Counter())
    found["counted"] = None if before is None else risen(pod, before, asked)
    print(json.dumps({**found, "problems": judging["judge"](ask, found), "lines": judging["told"](ask, found)}))


def risen(pod: Service, before: collections.Counter[str], asked: collections.Counter[str]) -> dict[str, tuple[int, int]]:
    """How often each model was asked, and by how much its counter rose. LiteLLM counts a moment after it has answered."""
    until = time.monotonic() + LAG
    while True:
        after = counts(pod) or collections.Counter()
        found = {model: (times, after[model] - before[model]) for model, times in asked.items()}
        if all(rose >= times for times, rose in found.values()) or time.monotonic() > until:
            return found
        time.sleep(0.1)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2])
