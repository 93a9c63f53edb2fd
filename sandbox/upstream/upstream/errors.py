# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How each provider words its errors. The texts are those that the real ones send."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import responses
from typing import Any

#: Builds a body from status, type, message and code.
Envelope = Callable[[int, str, str, Any], Any]
BAD_GATEWAY = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "<hr><center>{server}</center>\r\n</body>\r\n</html>\r\n"
)


@dataclass(frozen=True)
class ErrorAnswer:
    """What goes over the wire instead of an answer."""

    status: int
    body: bytes
    content_type: str = "application/json"


@dataclass(frozen=True)
class Words:
    """Type, message and code of one error. `{model}` in the message is the model asked for."""

    status: int
    type: str
    message: str
    code: Any = None


@dataclass(frozen=True)
class ErrorStyle:
    """All errors of one provider."""

    envelope: Envelope
    by_status: Mapping[int, Words]
    no_key: Words
    wrong_key: Words
    unknown_model: Words
    other_type: str  # the type of a status that is not in the table
    gateway: str = "cloudflare"  # who answers 502 in the provider's place
    whole: Mapping[int, Any] | None = None  # bodies that do not follow the envelope

    def of_status(self, status: int, model: str) -> ErrorAnswer:
        """Return the provider's answer with this status."""
        if status == HTTPStatus.BAD_GATEWAY and status not in self.by_status:
            return ErrorAnswer(status, BAD_GATEWAY.format(server=self.gateway).encode(), "text/html")
        if self.whole and status in self.whole:
            return self.custom(status, self.whole[status])
        return self.of_words(self._words(status), model)

    def of_words(self, words: Words, model: str = "") -> ErrorAnswer:
        """Return an answer with these words."""
        if self.whole and words.message == "" and words.status in self.whole:
            return self.custom(words.status, self.whole[words.status])
        return self.custom(words.status, self.envelope(words.status, words.type, words.message.replace("{model}", model), words.code))

    def bad_request(self, message: str) -> ErrorAnswer:
        """Return the answer to a request that cannot be understood."""
        words = self._words(400)
        return self.of_words(Words(400, words.type, message, words.code))

    def echo(self, status: int, credential: str) -> ErrorAnswer:
        """Return what a careless provider sends: the credential it received, in clear."""
        words = self._words(status)
        message = f"Authentication Error, invalid token passed. Received API Key = {credential} (authorization: Bearer {credential})"
        return self.of_words(Words(status, words.type, message, words.code))

    @staticmethod
    def custom(status: int, body: Any) -> ErrorAnswer:
        """Return an answer with this body: a text as it is, anything else as JSON."""
        if isinstance(body, str):
            return ErrorAnswer(status, body.encode(), "text/plain")
        return ErrorAnswer(status, json.dumps(body).encode())

    def _words(self, status: int) -> Words:
        phrase = responses.get(status, "Site is overloaded" if status == 529 else "Error")
        return self.by_status.get(status, Words(status, self.other_type, phrase, None))


def _table(*words: Words) -> dict[int, Words]:
    return {one.status: one for one in words}


_INVALID = "invalid_request_error"
_NO_ACCESS = "The model `{model}` does not exist or you do not have access to it."
OPENAI = ErrorStyle(
    envelope=lambda _status, kind, message, code: {"error": {"message": message, "type": kind, "param": None, "code": code}},
    by_status=_table(
        Words(
            400,
            _INVALID,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "empty_array",
        ),
        Words(
            401,
            _INVALID,
            "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.",
            "invalid_api_key",
        ),
        Words(403, _INVALID, "Project does not have access to model `{model}`", "model_not_found"),
        Words(404, _INVALID, _NO_ACCESS, "model_not_found"),
        Words(
            429,
            "requests",
            "Rate limit reached for {model} on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.",
            "rate_limit_exceeded",
        ),
        Words(500, "server_error", "The server had an error while processing your request. Sorry about that!"),
        Words(503, "service_unavailable_error", "The engine is currently overloaded, please try again later"),
    ),
    no_key=Words(
        401,
        _INVALID,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth.",
    ),
    wrong_key=Words(
        401,
        _INVALID,
        "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.",
        "invalid_api_key",
    ),
    unknown_model=Words(404, _INVALID, _NO_ACCESS, "model_not_found"),
    other_type="server_error",
)

_VLLM_NOT_FOUND = "The model `{model}` does not exist."
VLLM = ErrorStyle(
    envelope=lambda status, kind, message, _code: {"error": {"message": message, "type": kind, "param": None, "code": status}},
    by_status=_table(
        Words(
            400,
            "BadRequestError",
            "This model's maximum context length is 8192 tokens. However, your request has more input "
            "tokens. Please reduce the length of the input messages.",
        ),
        Words(403, "PermissionDeniedError", "Forbidden"),
        Words(404, "NotFoundError", _VLLM_NOT_FOUND),
        Words(429, "TooManyRequests", "Too many requests"),
        Words(500, "InternalServerError", "EngineCore encountered an issue. See stack trace (above) for the root cause."),
        Words(503, "ServiceUnavailableError", "The server is overloaded, please try again later"),
    ),
    no_key=Words(401, "", ""),
    wrong_key=Words(401, "", ""),
    unknown_model=Words(404, "NotFoundError", _VLLM_NOT_FOUND),
    other_type="InternalServerError",
    gateway="nginx",
    whole={401: {"error": "Unauthorized"}},
)

GROQ = ErrorStyle(
    envelope=lambda _status, kind, message, code: {"error": {"message": message, "type": kind, **({"code": code} if code else {})}},
    by_status=_table(
        Words(400, _INVALID, "'messages' : minimum number of items is 1"),
        Words(401, _INVALID, "Invalid API Key", "invalid_api_key"),
        Words(403, "permissions_error", "The model `{model}` is blocked at the project level.", "model_permission_blocked_project"),
        Words(404, _INVALID, _NO_ACCESS, "model_not_found"),
        Words(
            429,
            "tokens",
            "Rate limit reached for model `{model}` on tokens per minute (TPM): Limit 6000, Used 5990, "
            "Requested 100. Please try again in 900ms.",
            "rate_limit_exceeded",
        ),
        Words(500, "internal_server_error", "Internal Server Error"),
        Words(
            503,
            "internal_server_error",
            "{model} is currently over capacity. Please try again and back off exponentially. Visit "
            "https://groqstatus.com to see if there is an active incident.",
        ),
    ),
    no_key=Words(401, _INVALID, "Invalid API Key", "invalid_api_key"),
    wrong_key=Words(401, _INVALID, "Invalid API Key", "invalid_api_key"),
    unknown_model=Words(404, _INVALID, _NO_ACCESS, "model_not_found"),
    other_type="internal_server_error",
)

# Mistral answers an unknown model with 400, not 404.
_MISTRAL_UNKNOWN = Words(400, "invalid_model", "Invalid model: {model}", "1500")
MISTRAL = ErrorStyle(
    envelope=lambda status, kind, message, code: {
        "object": "error",
        "message": message,
        "type": kind,
        "param": None,
        "code": code,
        "raw_status_code": status,
    },
    by_status=_table(
        Words(
            400,
            "invalid_request_message_order",
            "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant",
            "3230",
        ),
        Words(403, "forbidden", "You do not have access to this model.", "1901"),
        Words(404, "not_found", "Not found", "1400"),
        Words(429, "service_tier_capacity_exceeded", "Service tier capacity exceeded for this model.", "3505"),
        Words(500, "internal_server_error", "Internal server error", "3000"),
        Words(503, "unreachable_backend", "Service unavailable.", "1100"),
    ),
    no_key=Words(401, "", ""),
    wrong_key=Words(401, "", ""),
    unknown_model=_MISTRAL_UNKNOWN,
    other_type="internal_server_error",
    whole={401: {"detail": "Unauthorized"}},
)


def _google(status: int, kind: str, message: str, code: Any) -> Any:
    return {"error": {"code": status, "message": message, "status": kind, **({"details": code} if code else {})}}


# Google answers a wrong key with 400, and none at all with 403.
_GOOGLE_KEY = Words(
    400,
    "INVALID_ARGUMENT",
    "API key not valid. Please pass a valid API key.",
    [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        }
    ],
)

_GOOGLE_UNKNOWN = Words(
    404,
    "NOT_FOUND",
    "models/{model} is not found for API version v1beta, or is not supported for generateContent. "
    "Call ListModels to see the list of available models and their supported methods.",
)

GEMINI = ErrorStyle(
    envelope=_google,
    by_status=_table(
        Words(400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
        Words(
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login "
            "cookie or other valid authentication credential.",
        ),
        Words(403, "PERMISSION_DENIED", "The caller does not have permission"),
        _GOOGLE_UNKNOWN,
        Words(
            429,
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota, please check your plan and billing details.",
            [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "20s"}],
        ),
        Words(
            500,
            "INTERNAL",
            "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
        ),
        Words(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    ),
    no_key=Words(
        403,
        "PERMISSION_DENIED",
        "Method doesn't allow unregistered callers (callers without established identity). Please "
        "use API Key or other form of API consumer identity to call this API.",
    ),
    wrong_key=_GOOGLE_KEY,
    unknown_model=_GOOGLE_UNKNOWN,
    other_type="UNKNOWN",
    gateway="Google Frontend",
)

_OLLAMA_UNKNOWN = Words(404, "not_found_error", "model '{model}' not found")
OLLAMA = ErrorStyle(
    envelope=lambda _status, _kind, message, _code: {"error": message},
    by_status=_table(
        Words(400, "", "missing request body"),
        Words(401, "", "unauthorized"),
        Words(403, "", "this model requires a subscription, upgrade for access: https://ollama.com/upgrade"),
        _OLLAMA_UNKNOWN,
        Words(429, "", "you have reached your session usage limit, upgrade for higher limits: https://ollama.com/upgrade"),
        Words(500, "", "llama runner process has terminated: signal: killed"),
        Words(503, "", "server busy, please try again.  maximum pending requests exceeded"),
    ),
    no_key=Words(401, "", "unauthorized"),
    wrong_key=Words(401, "", "unauthorized"),
    unknown_model=_OLLAMA_UNKNOWN,
    other_type="api_error",
    gateway="nginx",
)

ANTHROPIC = ErrorStyle(
    envelope=lambda status, kind, message, _code: {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": f"req_{status}",
    },
    by_status=_table(
        Words(400, _INVALID, "messages: at least one message is required"),
        Words(401, "authentication_error", "invalid x-api-key"),
        Words(403, "permission_error", "Request not allowed"),
        Words(404, "not_found_error", "model: {model}"),
        Words(429, "rate_limit_error", "This request would exceed your account's rate limit. Please try again later."),
        Words(500, "api_error", "Internal server error"),
        Words(503, "api_error", "Service unavailable"),
        Words(529, "overloaded_error", "Overloaded"),
    ),
    no_key=Words(401, "authentication_error", "x-api-key header is required"),
    wrong_key=Words(401, "authentication_error", "invalid x-api-key"),
    unknown_model=Words(404, "not_found_error", "model: {model}"),
    other_type="api_error",
)
