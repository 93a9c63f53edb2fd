# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LiteLLMClient without a network: what it sends, and what it makes of each kind of answer. With LiteLLM itself: tests/local."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import requests

from ansible_collections.homelab.llm.plugins.module_utils import litellm_client
from ansible_collections.homelab.llm.plugins.module_utils.litellm_client import LiteLLMClient, call_llm

FILE = Path(litellm_client.__file__)
MESSAGES = [{"role": "user", "content": "Say hello"}]
ANSWER = {"model": "gpt-4-turbo", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}}]}
HEADERS = {
    "x-litellm-model-group": "gpt-4-turbo",
    "x-litellm-model-id": "gpt-4-turbo-1",
    "x-litellm-attempted-fallbacks": "1",
    "x-litellm-response-cost": "0.00016",
}


class Wire:
    """What takes the place of the network: it keeps each request, and answers with what it was told."""

    def __init__(self) -> None:
        self.requests: list[requests.PreparedRequest] = []
        self.options: list[dict[str, Any]] = []
        self.answer: Exception | requests.Response = answer(ANSWER)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        self.requests.append(request)
        self.options.append(options)
        if isinstance(self.answer, Exception):
            raise self.answer
        self.answer.url = str(request.url)
        self.answer.request = request
        return self.answer

    @property
    def body(self) -> Any:
        return json.loads(self.requests[-1].body or b"null")


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update({"content-type": "application/json", **(HEADERS if headers is None else headers)})
    response.raw = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    return response


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    monkeypatch.delenv("LITELLM_MASTER_KEY", raising=False)
    there = Wire()
    with mock.patch.object(requests.adapters.HTTPAdapter, "send", lambda _self, request, **options: there.send(request, **options)):
        yield there


def test_call_llm_success(wire: Wire):
    wire.answer = answer(ANSWER, headers=HEADERS)
    found = LiteLLMClient().call_llm("claude-opus-4.5", MESSAGES)
    assert found == ANSWER
    assert isinstance(found, dict)
    assert found["choices"][0]["message"]["content"] == found.text == "Hello"
    assert wire.requests[0].method == "POST"
    assert wire.requests[0].url == "http://localhost:8001/v1/chat/completions"
    assert wire.body == {"model": "claude-opus-4.5", "messages": MESSAGES, "temperature": 0.7, "stream": False}
    assert wire.options[0]["timeout"] == 30


def test_the_answer_tells_who_gave_it(wire: Wire):
    wire.answer = answer(ANSWER, headers={**HEADERS, "x-litellm-cache-key": "0a1b", "x-litellm-model-api-base": "https://api.openai.com"})
    found = LiteLLMClient().call_llm("claude-opus-4.5", MESSAGES)
    assert (found.answered_by, found.fallbacks) == ("gpt-4-turbo", 1)
    origin = found.origin
    assert (origin.model_id, origin.api_base, origin.cached, origin.cost, origin.retries) == (
        "gpt-4-turbo-1",
        "https://api.openai.com",
        True,
        0.00016,
        0,
    )


def test_an_answer_without_litellms_headers_is_one_all_the_same(wire: Wire):
    wire.answer = answer(ANSWER, headers={})
    found = LiteLLMClient().call_llm("claude-opus-4.5", MESSAGES)
    assert (found.answered_by, found.fallbacks, found.origin.cached, found.origin.cost) == ("", 0, False, 0.0)


def test_other_parameters_are_sent_on(wire: Wire):
    LiteLLMClient("http://litellm/v1/", timeout=5).call_llm("m", MESSAGES, 0, max_tokens=7)
    assert wire.requests[0].url == "http://litellm/v1/chat/completions"
    assert (wire.body["temperature"], wire.body["max_tokens"]) == (0, 7)
    assert wire.options[0]["timeout"] == 5


def test_the_key_comes_from_the_environment(wire: Wire, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-from-the-environment\n")
    call_llm("m", MESSAGES)
    assert wire.requests[0].headers["Authorization"] == "Bearer sk-from-the-environment"
    LiteLLMClient(api_key="sk-told").call_llm("m", MESSAGES)
    assert wire.requests[1].headers["Authorization"] == "Bearer sk-told"


def test_no_key_is_no_header(wire: Wire):
    call_llm("m", MESSAGES, base_url="http://elsewhere:4000")
    assert "Authorization" not in wire.requests[0].headers
    assert wire.requests[0].url == "http://elsewhere:4000/v1/chat/completions"


def test_what_netrc_has_does_not_take_the_place_of_the_key(wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login somebody password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    LiteLLMClient(api_key="sk-told").call_llm("m", MESSAGES)
    assert wire.requests[0].headers["Authorization"] == "Bearer sk-told"


@pytest.mark.parametrize("error", [requests.Timeout("read timed out"), requests.ConnectionError("refused")])
@pytest.mark.parametrize("ask", ["call_llm", "stream_llm", "get_available_models"])
def test_call_llm_timeout(wire: Wire, error: Exception, ask: str):
    wire.answer = error
    arguments = [] if ask == "get_available_models" else ["m", MESSAGES]
    with pytest.raises(requests.RequestException) as caught:
        getattr(LiteLLMClient(), ask)(*arguments)
    assert caught.value is error


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "No deployments available for selected model"}}, "429: No deployments available for selected model"),
        ({"error": "busy"}, "429: busy"),
        (b"<html>gateway</html>", "429: <html>gateway</html>"),
        ({"error": {"message": "x" * 2000}}, f"429: {'x' * 500} …"),
        ([], "429: []"),
    ],
)
def test_a_status_that_is_no_success_is_an_http_error_with_litellms_words(wire: Wire, body: Any, said: str):
    wire.answer = answer(body, 429)
    with pytest.raises(requests.HTTPError) as caught:
        LiteLLMClient().call_llm("m", MESSAGES)
    assert str(caught.value) == f"http://localhost:8001/v1/chat/completions answered {said}"
    assert caught.value.response.status_code == 429


def test_the_key_is_in_no_error(wire: Wire):
    key = "sk-" + "k" * 30
    wire.answer = answer({"error": {"message": f"wrong key {key}"}}, 401)
    with pytest.raises(requests.HTTPError) as caught:
        LiteLLMClient(api_key=key).call_llm("m", MESSAGES)
    assert key not in str(caught.value)
    with pytest.raises(requests.RequestException) as refused:
        LiteLLMClient(api_key=f"{key}\r\nx: y")
    assert key not in str(refused.value)


def test_a_redirect_is_not_followed_with_the_key(wire: Wire):
    wire.answer = answer(b"", 302, {"location": "http://elsewhere/"})
    with pytest.raises(requests.HTTPError, match="answered 302"):
        LiteLLMClient(api_key="sk-told").call_llm("m", MESSAGES)
    assert len(wire.requests) == 1


def test_a_body_that_is_not_json_is_a_request_exception(wire: Wire):
    wire.answer = answer(b"<html>hello</html>")
    with pytest.raises(requests.exceptions.JSONDecodeError, match="answered what is not JSON"):
        LiteLLMClient().call_llm("m", MESSAGES)


@pytest.mark.parametrize("body", [{}, [], {"choices": []}, {"choices": None}, {"choices": ["hello"]}, "hello", None])
def test_a_body_without_choices_is_a_request_exception(wire: Wire, body: Any):
    wire.answer = answer(body)
    with pytest.raises(requests.RequestException, match="answered without choices"):
        LiteLLMClient().call_llm("m", MESSAGES)


def test_an_answer_without_text_has_an_empty_one(wire: Wire):
    wire.answer = answer({"choices": [{"message": {"content": None, "tool_calls": []}}]})
    assert LiteLLMClient().call_llm("m", MESSAGES).text == ""


def test_get_models(wire: Wire):
    names = ["claude-opus-4.5", "gpt-4-turbo", "ollama/neural-chat"]
    wire.answer = answer({"data": [{"id": name, "object": "model"} for name in names]})
    assert LiteLLMClient().get_available_models() == names
    assert wire.requests[0].url == "http://localhost:8001/v1/models"


@pytest.mark.parametrize("body", [{}, {"data": [{}]}, {"data": None}, []])
def test_what_is_no_list_of_models_is_a_request_exception(wire: Wire, body: Any):
    wire.answer = answer(body)
    with pytest.raises(requests.RequestException, match="without a list of models"):
        LiteLLMClient().get_available_models()


def test_get_health(wire: Wire):
    assert LiteLLMClient().get_health() is True
    # /health itself asks every backend.
    assert wire.requests[0].url == "http://localhost:8001/health/readiness"


@pytest.mark.parametrize("there", [requests.ConnectionError("refused"), requests.Timeout("late"), answer({}, 503)])
def test_who_is_not_ready_or_not_there_is_not_healthy(wire: Wire, there: Exception | requests.Response):
    wire.answer = there
    assert LiteLLMClient().get_health() is False


def events(*data: Any) -> bytes:
    lines = [each if isinstance(each, str) else json.dumps(each) for each in data]
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def piece(text: str | None) -> Any:
    return {"choices": [{"index": 0, "delta": {"content": text}}]}


def test_a_stream_is_an_iterator_of_text(wire: Wire):
    wire.answer = answer(b": a comment\n\n" + events(piece(None), piece("Hel"), piece("lo"), {"choices": [], "usage": {}}, "[DONE]"))
    stream = LiteLLMClient().stream_llm("m", MESSAGES)
    assert (stream.answered_by, stream.fallbacks) == ("gpt-4-turbo", 1)
    assert list(stream) == ["Hel", "lo"]
    assert wire.body["stream"] is True
    assert wire.options[0]["stream"] is True


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (events(piece("Hel")), "the stream ended before its end was told"),
        (events(piece("Hel"), {"error": {"message": "backend is gone"}}), "the stream broke off: backend is gone"),
        (events(piece("Hel"), {"error": "gone"}), "the stream broke off: gone"),
        (events(piece("Hel"), "{"), "a part of the stream is not JSON"),
        (events(piece("Hel"), "[]"), "the stream broke off: None"),
    ],
)
def test_a_stream_that_breaks_off_is_a_request_exception_after_what_came(wire: Wire, body: bytes, said: str):
    wire.answer = answer(body)
    pieces: list[str] = []
    with pytest.raises(requests.RequestException, match=said):
        pieces.extend(noted(LiteLLMClient().stream_llm("m", MESSAGES), pieces))
    assert pieces == ["Hel"]


def noted(stream: Iterable[str], pieces: list[str]) -> list[str]:
    """Keep each piece at once: what came before an error is not lost."""
    for piece_of_text in stream:
        pieces.append(piece_of_text)  # noqa: PERF402
    return []


def test_a_stream_can_be_left_early(wire: Wire):
    wire.answer = answer(events(piece("Hel"), piece("lo"), "[DONE]"))
    with LiteLLMClient().stream_llm("m", MESSAGES) as stream:
        assert next(iter(stream)) == "Hel"
    assert wire.answer.raw.closed


def test_an_error_before_the_first_piece_is_raised_by_the_call(wire: Wire):
    wire.answer = answer({"error": {"message": "no"}}, 400)
    with pytest.raises(requests.HTTPError, match="answered 400: no"):
        LiteLLMClient().stream_llm("m", MESSAGES)


def test_it_needs_no_ansible_and_can_be_loaded_by_its_path():
    program = (
        "import importlib.util, sys\n"
        "sys.modules['ansible'] = sys.modules['ansible_collections'] = None\n"
        f"spec = importlib.util.spec_from_file_location('litellm_client', {str(FILE)!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "print(module.LiteLLMClient().base_url, module.call_llm.__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("http://localhost:8001 call_llm\n", "")


def test_without_requests_it_says_what_to_install():
    program = (
        "import importlib.util, sys\n"
        "sys.modules['requests'] = None\n"
        f"spec = importlib.util.spec_from_file_location('litellm_client', {str(FILE)!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "try:\n    module.LiteLLMClient()\nexcept ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("LiteLLMClient needs the Python package requests: python3 -m pip install requests\n", "")
