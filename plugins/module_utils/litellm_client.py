# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client for LiteLLM's proxy, for programs and for modules: it needs the Python package `requests` and nothing else, no Ansible.

    from ansible_collections.homelab.llm.plugins.module_utils.litellm_client import LiteLLMClient

    client = LiteLLMClient()  # http://localhost:8001, the key from LITELLM_MASTER_KEY
    answer = client.call_llm("claude-opus-4.5", [{"role": "user", "content": "Say hello"}])
    print(answer["choices"][0]["message"]["content"], answer.answered_by, answer.fallbacks)

It may also be copied, or loaded by its path. Whatever goes wrong is a `requests.RequestException`: no connection, no answer in time, a
status that is no success (`requests.HTTPError`, with LiteLLM's own words and the response), a body that is not JSON
(`requests.exceptions.JSONDecodeError`) or is no answer, a key that no header can hold. The key is in none of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

try:
    import requests
except ImportError:  # told by the client's constructor: whoever only imports this, such as a check of the collection, needs no requests
    requests = None  # type: ignore[assignment]

DEFAULT_BASE_URL = "http://localhost:8001"
#: Where the key is looked for when none is given.
KEY_VARIABLE = "LITELLM_MASTER_KEY"

#: LiteLLM's words in an error may be a provider's whole answer.
_LONGEST_MESSAGE = 500

Message = Mapping[str, Any]


class Origin:
    """Who answered, out of the headers of LiteLLM's answer."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        """Keep the `x-litellm-` headers. What LiteLLM did not tell is an empty text, or 0."""
        self._headers = {name.lower(): value for name, value in headers.items() if name.lower().startswith("x-litellm-")}

    def _number(self, name: str) -> int:
        value = self._headers.get(name, "")
        return int(value) if value.isdigit() else 0

    @property
    def answered_by(self) -> str:
        """The model group that answered: the requested one, or one of its fallbacks."""
        return self._headers.get("x-litellm-model-group", "")

    @property
    def model_id(self) -> str:
        """The deployment that answered: `model_info.id` in LiteLLM's config, or the hash that LiteLLM makes when there is none."""
        return self._headers.get("x-litellm-model-id", "")

    @property
    def api_base(self) -> str:
        """Where that deployment is."""
        return self._headers.get("x-litellm-model-api-base", "")

    @property
    def fallbacks(self) -> int:
        """How many fallbacks LiteLLM says it took. 0: the requested model answered.

        It counts along one list: where `a` falls back to `[b, c]` and `b` to `[c]`, an answer of `c` is 1, because `b` has taken it there.
        """
        return self._number("x-litellm-attempted-fallbacks")

    @property
    def retries(self) -> int:
        """How often the one that answered was asked again."""
        return self._number("x-litellm-attempted-retries")

    @property
    def cached(self) -> bool:
        """Whether it was answered from LiteLLM's cache. LiteLLM names the cache's key in these answers only."""
        return bool(self._headers.get("x-litellm-cache-key"))

    @property
    def cost(self) -> float:
        """US dollars, by LiteLLM's price table; 0 when it knows no price."""
        try:
            return float(self._headers.get("x-litellm-response-cost", "0"))
        except ValueError:
            return 0.0


class ChatAnswer(dict[str, Any]):
    """The answer's JSON, as a dictionary, and what its headers tell: `answer["choices"]`, `answer.text`, `answer.origin.cached`."""

    def __init__(self, body: Mapping[str, Any], origin: Origin) -> None:
        """Make one of a body that has `choices`."""
        super().__init__(body)
        self.origin = origin

    @property
    def text(self) -> str:
        """The text of the first choice; empty when it has none, as with a call of a tool."""
        message = self["choices"][0].get("message") or {}
        return str(message.get("content") or "")

    @property
    def answered_by(self) -> str:
        """The model group that answered: the requested one, or one of its fallbacks."""
        return self.origin.answered_by

    @property
    def fallbacks(self) -> int:
        """How many fallbacks LiteLLM says it took; 0: the requested model answered. See `Origin.fallbacks`."""
        return self.origin.fallbacks


class ChatStream:
    """The text of an answer as it comes: iterate over it once, and leave early by `close()` or at the end of a `with`."""

    def __init__(self, response: requests.Response) -> None:
        """Take over a response whose body has not been read."""
        self._response = response
        self.origin = Origin(response.headers)

    @property
    def answered_by(self) -> str:
        """The model group that answers: the requested one, or one of its fallbacks."""
        return self.origin.answered_by

    @property
    def fallbacks(self) -> int:
        """How many fallbacks LiteLLM says it took; 0: the requested model answers. See `Origin.fallbacks`."""
        return self.origin.fallbacks

    def __enter__(self) -> ChatStream:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. LiteLLM then leaves its backend too."""
        self._response.close()

    def __iter__(self) -> Iterator[str]:
        """Yield pieces of text. Raises `requests.RequestException` for an error in mid-answer, and for a stream that just ends."""
        try:
            for line in self._response.iter_lines():
                # Lines that begin otherwise are comments and names of events.
                if line.startswith(b"data:"):
                    data = line[5:].strip()
                    if data == b"[DONE]":
                        return
                    yield from _pieces(data, self._response)
            raise requests.exceptions.ChunkedEncodingError("the stream ended before its end was told", response=self._response)
        finally:
            self.close()


class LiteLLMClient:
    """Asks one LiteLLM. Its connections are kept and used again; it may be a context manager, which closes them."""

    def __init__(self, base_url: str = DEFAULT_BASE_URL, timeout: float = 30, api_key: str | None = None) -> None:
        """Ask at `base_url`, with or without `/v1`.

        `timeout` is in seconds, for connecting and again for each wait for a part of the answer. A whole answer comes in one part, after
        all fallbacks: where LiteLLM may take longer to try them, so should this.
        `api_key` is LiteLLM's master key or a virtual key; LITELLM_MASTER_KEY from the environment when None, and no key at all when that
        is not set either. Raises ImportError without the package `requests`, and a RequestException for a key that no header can hold.
        """
        if requests is None:
            raise ImportError("LiteLLMClient needs the Python package requests: python3 -m pip install requests")
        self.base_url = base_url.rstrip("/").removesuffix("/v1")
        self.timeout = timeout
        key = (os.environ.get(KEY_VARIABLE, "") if api_key is None else api_key).strip()
        if not (key.isascii() and key.isprintable()):
            # http.client's own error would quote it.
            raise requests.exceptions.InvalidHeader(f"the key has a character in it that no header can have: look at {KEY_VARIABLE}")
        self._key = key
        self._session = requests.Session()
        # As `auth` and not as a header of the session: such a one is replaced by what ~/.netrc has for this host.
        self._session.auth = _Bearer(key)

    def __enter__(self) -> LiteLLMClient:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept."""
        self._session.close()

    def call_llm(self, model: str, messages: Sequence[Message], temperature: float = 0.7, **parameters: Any) -> ChatAnswer:
        """Return the whole answer of `model`, or of what it falls back to.

        `messages` are those of OpenAI's protocol: `[{"role": "user", "content": "Say hello"}]`. `parameters` are its other ones, such as
        `max_tokens`, and are sent as they are. Raises `requests.RequestException`.
        """
        body = {**parameters, "model": model, "messages": list(messages), "temperature": temperature, "stream": False}
        response = self._ask("POST", "/v1/chat/completions", body)
        answer = _json_of(response)
        if not _has_choices(answer):
            raise requests.RequestException(f"{response.url} answered without choices: {_shortened(response.text)}", response=response)
        return ChatAnswer(answer, Origin(response.headers))

    def stream_llm(self, model: str, messages: Sequence[Message], temperature: float = 0.7, **parameters: Any) -> ChatStream:
        """Return the answer as an iterator of pieces of text; otherwise as `call_llm`.

        Errors before the first piece are raised here, those in mid-answer while it is iterated.
        """
        body = {**parameters, "model": model, "messages": list(messages), "temperature": temperature, "stream": True}
        return ChatStream(self._ask("POST", "/v1/chat/completions", body, stream=True))

    def get_available_models(self) -> list[str]:
        """Return the names of the models that this key may ask for. Raises `requests.RequestException`."""
        response = self._ask("GET", "/v1/models")
        try:
            return [str(each["id"]) for each in _json_of(response)["data"]]
        except (KeyError, TypeError):
            raise requests.RequestException(f"{response.url} answered without a list of models", response=response) from None

    def get_health(self) -> bool:
        """Return whether LiteLLM is there and takes requests; False also when it cannot be reached. Needs no key.

        This asks `/health/readiness`. LiteLLM's `/health` is another thing: it sends a request to every backend, which takes long and costs
        money, and is 200 whatever they say.
        """
        try:
            self._ask("GET", "/health/readiness").close()
        except requests.RequestException:
            return False
        return True

    def _ask(self, method: str, path: str, body: object = None, *, stream: bool = False) -> requests.Response:
        url = f"{self.base_url}{path}"
        # The key is for this address: whoever answers from elsewhere does not get it.
        response = self._session.request(method, url, json=body, timeout=self.timeout, stream=stream, allow_redirects=False)
        if not response.ok or response.is_redirect:
            with response:
                message = _message_of(response)
                message = message.replace(self._key, "********") if self._key else message
                raise requests.HTTPError(f"{url} answered {response.status_code}: {message}", response=response)
        return response


def call_llm(
    model: str, messages: Sequence[Message], temperature: float = 0.7, base_url: str = DEFAULT_BASE_URL, **parameters: Any
) -> ChatAnswer:
    """Ask once; see `LiteLLMClient.call_llm`. Whoever asks more than once saves connections with a client."""
    with LiteLLMClient(base_url) as client:
        return client.call_llm(model, messages, temperature, **parameters)


class _Bearer:
    """Sets the key, for `requests` to call for each request."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _has_choices(answer: Any) -> bool:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    return isinstance(choices, list) and bool(choices) and isinstance(choices[0], dict)


def _json_of(response: requests.Response) -> Any:
    try:
        return response.json()
    except requests.exceptions.JSONDecodeError as error:
        raise requests.exceptions.JSONDecodeError(f"{response.url} answered what is not JSON: {error.msg}", error.doc, error.pos) from None


def _message_of(response: requests.Response) -> str:
    """What LiteLLM says is wrong, or the beginning of whatever came."""
    try:
        error = response.json()["error"]
        return _shortened(str(error["message"] if isinstance(error, dict) else error))
    except (requests.RequestException, KeyError, TypeError):
        return _shortened(response.text)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]} …"


def _pieces(data: bytes, response: requests.Response) -> Iterator[str]:
    try:
        chunk = json.loads(data)
    except ValueError:
        raise requests.exceptions.InvalidJSONError("a part of the stream is not JSON", response=response) from None
    if not isinstance(chunk, dict) or "error" in chunk:
        error = chunk.get("error") if isinstance(chunk, dict) else None
        message = error.get("message") if isinstance(error, dict) else error
        raise requests.RequestException(f"the stream broke off: {_shortened(str(message))}", response=response)
    for choice in chunk.get("choices") or []:
        if text := (choice.get("delta") or {}).get("content"):
            yield str(text)
