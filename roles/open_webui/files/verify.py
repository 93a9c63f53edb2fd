"""Asks Open-WebUI what people see and who answers them, and prints as JSON what is wrong (`problems`) and what was found (`lines`).

Runs in Open-WebUI's container, or in a pod beside it, so the password stays in the cluster: it is read from the environment and goes
nowhere but to Open-WebUI. Standard library only. The argument is a JSON object: url (of Open-WebUI), email, password_env (name of the
variable with the password), litellm_url (of the connection), declared (models that LiteLLM must list; empty: whatever it lists), models (to
ask), users (whether an ordinary user must see them all), strict (an answer by a fallback is a problem), timeout, sign_in_patience.
"""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.request

#: Enough for an answer, and for the first words of a model that thinks before it answers.
MOST_TOKENS = 32

QUESTION = {"role": "user", "content": "Answer with the word OK."}
AGAIN = {"role": "user", "content": "And once more, please."}

#: Whom the verification makes to see with an ordinary user's eyes, and removes. The domain can never be anybody's (RFC 2606).
DOMAIN = "homelab-llm.invalid"

#: Seconds after which such a user is one that a killed run left.
LEFT = 900


class Wrong(Exception):
    """What makes it useless to go on."""


class OpenWebUI:
    """Open-WebUI at one address, as one of its users. It is in the cluster, so a proxy for the Internet is not for it."""

    def __init__(self, url: str, timeout: float, token: str = "") -> None:
        self.url, self.timeout, self.token = url, timeout, token
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def open(self, method: str, path: str, body: dict | None = None):
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self.token}"} if self.token else {})}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310  # the role writes the address
        try:
            return self._opener.open(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            return error

    def send(self, method: str, path: str, body: dict | None = None) -> tuple[int, object]:
        """Return the status, 0 when no answer came, and the JSON, None when it was none: every unknown path answers 200 with a page."""
        try:
            with self.open(method, path, body) as answer:
                return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException) as error:
            return 0, {"detail": f"{type(error).__name__}: {error}"}
        except ValueError:
            return answer.status, None

    def models(self) -> list[str] | None:
        """Return the names in the selector. `refresh`, because without it an outage is hidden by the last list that was good."""
        status, found = self.send("GET", "/api/models?refresh=true")
        return sorted(each["id"] for each in found["data"]) if status == 200 and isinstance(found, dict) else None

    def ask(self, model: str, messages: list[dict], *, as_browser: bool = False) -> dict:
        """Ask one model, streaming: only then LiteLLM's headers, which say who answered, come through.

        With `session_id` Open-WebUI takes it for a browser, and adds what it adds to a person's message: its built-in tools.
        """
        body = {"model": model, "messages": messages, "stream": True, "max_tokens": MOST_TOKENS}
        started = time.monotonic()
        try:
            with self.open("POST", "/api/chat/completions", {**body, **({"session_id": "verify"} if as_browser else {})}) as answer:
                if answer.status != 200 or "event-stream" not in answer.headers.get("Content-Type", ""):
                    return {"model": model, "error": f"{answer.status} {sentence(answer.read())}"}
                words, first, error = read_stream(answer)
                headers = answer.headers
        except (OSError, http.client.HTTPException) as failure:
            return {"model": model, "error": f"no answer: {type(failure).__name__}"}
        return {
            "model": model,
            "error": error or ("" if words.strip() else "nothing was in the answer"),
            "words": words,
            "first": round((first or time.monotonic()) - started, 3),
            "answered_by": headers.get("x-litellm-model-group"),
            "fallbacks": int(headers.get("x-litellm-attempted-fallbacks") or 0),
        }


def read_stream(lines) -> tuple[str, float | None, str]:
    """Return the words of a stream of server-sent events, when the first came, and what went wrong on the way."""
    words, first = "", None
    for line in lines:
        text = line.decode(errors="replace").strip()
        if text == "data: [DONE]":
            return words, first, ""
        if not text.startswith("data: {"):
            continue
        event = json.loads(text[6:])
        if event.get("error"):
            return words, first, f"after {len(words)} characters: {sentence(json.dumps(event).encode())}"
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            words += delta.get("content") or delta.get("reasoning_content") or ""
            first = first or (time.monotonic() if words else None)
    return words, first, f"the answer broke off after {len(words)} characters"


def sentence(body: bytes) -> str:
    """Return what an error's body says."""
    try:
        found = json.loads(body)
    except ValueError:
        return body.decode(errors="replace")[:300]
    for name in ("detail", "error", "message"):
        if isinstance(found, dict) and found.get(name):
            found = found[name]
    return (found if isinstance(found, str) else json.dumps(found))[:300]


def sign_in(server: OpenWebUI, email: str, password: str, patience: float) -> str:
    """Return the version. Signs in once; waits once when there were too many attempts."""
    status, about = server.send("GET", "/api/config")
    if status != 200 or not isinstance(about, dict) or "version" not in about:
        raise Wrong(f"Open-WebUI does not answer at {server.url}: GET /api/config came to {status}")
    if about.get("onboarding"):
        raise Wrong("Open-WebUI has no user: whoever signs up first is its administrator")
    if not password:
        raise Wrong("The administrator's password is not in the environment of the pod that asks")
    login = {"email": email, "password": password}
    status, session = server.send("POST", "/api/v1/auths/signin", login)
    if status == 429 and patience:
        time.sleep(patience)
        status, session = server.send("POST", "/api/v1/auths/signin", login)
    if status == 429:
        raise Wrong(f"Open-WebUI lets nobody sign in as {email} for now, after too many attempts (429): run again in four minutes")
    if status != 200 or not isinstance(session, dict) or session.get("role") != "admin":
        raise Wrong(f"{email} cannot sign in to Open-WebUI as its administrator ({status}): a database keeps the password it was made with")
    server.token = session.get("token") or ""
    return str(about["version"])


def declared(server: OpenWebUI, litellm_url: str) -> list[str]:
    """Return the names that LiteLLM lists at this moment, asked by Open-WebUI with the key that it has."""
    status, page = server.send("GET", "/openai/config")
    urls = page.get("OPENAI_API_BASE_URLS") if status == 200 and isinstance(page, dict) else None
    if urls is None:
        raise Wrong(f"Open-WebUI does not show its connections ({status}): is this a version that this collection knows?")
    if not page["ENABLE_OPENAI_API"] or litellm_url not in urls:
        raise Wrong(f"Open-WebUI has no connection to {litellm_url} that is on: run the role, which makes it (it has {urls})")
    number = urls.index(litellm_url)
    status, found = server.send("GET", f"/openai/models/{number}")
    if status != 200:
        why = sentence(json.dumps(found).encode())
        raise Wrong(
            f"Open-WebUI gets no models from LiteLLM at {litellm_url} ({why}): its selector may go on showing the last ones, and none of "
            "them answers. See whether LiteLLM runs, is reached from this namespace, and takes the key that Open-WebUI has"
        )
    prefix = (page["OPENAI_API_CONFIGS"].get(str(number)) or {}).get("prefix_id")
    return sorted(f"{prefix}.{each['id']}" if prefix else each["id"] for each in found["data"])


class OrdinaryUser:
    """A user without any right, for as long as it is looked at with their eyes. Made by the administrator: sign-up stays closed."""

    def __init__(self, admin: OpenWebUI) -> None:
        self._admin, self._id = admin, ""

    def __enter__(self) -> OpenWebUI:
        self._remove_leftovers()
        name = f"verify-{secrets.token_hex(6)}"
        person = {"name": "Verification", "email": f"{name}@{DOMAIN}", "password": secrets.token_urlsafe(24), "role": "user"}
        status, made = self._admin.send("POST", "/api/v1/auths/add", person)
        if status != 200 or not isinstance(made, dict):
            raise Wrong(f"No user could be made to see with an ordinary user's eyes ({status}): {sentence(json.dumps(made).encode())}")
        self._id = made["id"]
        if not made.get("token"):
            self.__exit__()
            raise Wrong("What an ordinary user sees cannot be looked at, for everybody needs a second factor: set users to false")
        return OpenWebUI(self._admin.url, self._admin.timeout, made["token"])

    def __exit__(self, *_error: object) -> None:
        self._admin.send("DELETE", f"/api/v1/users/{self._id}")

    def _remove_leftovers(self) -> None:
        found = self._admin.send("GET", f"/api/v1/users/?query={DOMAIN}")[1]
        for each in found.get("users", ()) if isinstance(found, dict) else ():
            if each["email"].endswith(f"@{DOMAIN}") and time.time() - each["created_at"] > LEFT:
                self._admin.send("DELETE", f"/api/v1/users/{each['id']}")


def sign_up_is_open(server: OpenWebUI) -> bool:
    """Try to sign up with what is no address: refused for that reason only where sign-up is open, and nobody is made either way."""
    stranger = {"name": "x", "email": "no address", "password": secrets.token_hex(8)}
    return OpenWebUI(server.url, server.timeout).send("POST", "/api/v1/auths/signup", stranger)[0] != 403


def converse(server: OpenWebUI, models: list[str]) -> list[dict]:
    """Ask two models in one conversation, as a browser does: the second is told what the first said."""
    first = server.ask(models[0], [QUESTION], as_browser=True)
    if first["error"]:
        return [first]
    said = {"role": "assistant", "content": first["words"]}
    return [first, server.ask(models[1], [QUESTION, said, AGAIN], as_browser=True)]


def compare(what: str, shown: list[str] | None, expected: list[str]) -> list[str]:
    """Return what is wrong with a list of models, as sentences."""
    if shown is None:
        return [f"There is no list of models in {what}"]
    missing, extra = [each for each in expected if each not in shown], [each for each in shown if each not in expected]
    return [f"Missing in {what}: {', '.join(missing)}"] * bool(missing) + [f"Too much in {what}: {', '.join(extra)}"] * bool(extra)


def judge_answers(answers: list[dict], how: str, strict: bool) -> tuple[list[str], list[str]]:
    """Return problems and lines. An answer by a fallback is one, unless `strict`."""
    problems, lines = [], []
    for each in answers:
        if each["error"]:
            problems.append(f"{each['model']} gives no answer{how}: {each['error']}")
            continue
        by = each["answered_by"]
        other = by and by != each["model"] and each["fallbacks"]
        lines.append(f"{each['model']} answered{how} in {each['first']:.2f} s" + (f", by its fallback {by}" if other else ""))
        if other and strict:
            problems.append(f"The answer of {each['model']}{how} was its fallback's, {by}")
    return problems, lines


def verify(ask: dict, password: str) -> tuple[list[str], list[str]]:
    """Return problems and lines. Raises Wrong when it is useless to go on."""
    admin = OpenWebUI(ask["url"].rstrip("/"), ask["timeout"])
    version = sign_in(admin, ask["email"], password, ask["sign_in_patience"])
    problems, lines = [], [f"Open-WebUI {version}"]
    if sign_up_is_open(admin):
        problems.append("Anybody can sign up: set admin.ENABLE_SIGNUP to false")
    live = declared(admin, ask["litellm_url"])
    problems += compare("what LiteLLM lists to Open-WebUI", live, ask["declared"] or live)
    problems += compare("what an administrator is shown", admin.models(), live)
    lines.append(f"{len(live)} models in the selector, as LiteLLM lists them")
    problems += [f"{each} cannot be asked: LiteLLM does not list it to Open-WebUI" for each in ask["models"] if each not in live]
    models = [each for each in ask["models"] if each in live]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        rounds = [(list(pool.map(lambda model: admin.ask(model, [QUESTION]), models)), "")]
    if len(models) > 1:
        rounds.append((converse(admin, models), " in a conversation as in a browser"))
    if ask["users"]:
        with OrdinaryUser(admin) as user:
            problems += compare("what an ordinary user is shown", user.models(), live)
            rounds.append(([user.ask(model, [QUESTION]) for model in models[:1]], " to an ordinary user"))
    for answers, how in rounds:
        found = judge_answers(answers, how, ask["strict"])
        problems += found[0]
        lines += found[1]
    return problems, lines


def main(ask: dict) -> dict:
    password = os.environ.get(ask["password_env"], "")
    try:
        problems, lines = verify(ask, password)
    except Wrong as wrong:
        problems, lines = [str(wrong)], []
    told = json.dumps({"problems": problems, "lines": lines})
    return json.loads(told.replace(password, "********") if password else told)


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
