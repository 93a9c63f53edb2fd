# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transport, between a client and a backend that are both in this process."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator, Callable

import pytest
from openai_chunks import DONE, ROLE, STOP, USAGE, WORD, chunk, event

from first_token.bounds import Bounds
from first_token.deployment import Deployment, called

httpx = pytest.importorskip("httpx", reason="LiteLLM brings httpx, the collection does not need it")

from first_token.transport import FirstTokenTransport  # noqa: E402

CHAT = "http://vllm/v1/chat/completions"
#: Long enough that a busy machine is none of it.
BOUNDS = Bounds(first_token=0.9, gap=0.7, connect=0.1)
ALL = (event(ROLE), event(WORD), event(STOP), event(USAGE), DONE)
SSE = {"content-type": "text/event-stream; charset=utf-8"}


class Body(httpx.AsyncByteStream):
    """Bytes to send, seconds to wait, an error to fail with; knows whether it was closed."""

    def __init__(self, *steps: bytes | float | Exception) -> None:
        self.steps = steps
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for step in self.steps:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, bytes):
                yield step
            else:
                await asyncio.sleep(step)

    async def aclose(self) -> None:
        self.closed = True


class Backend:
    """Answers each request the same way, and keeps what it was asked."""

    def __init__(self, body: Body | bytes = b"", status: int = 200, headers: dict[str, str] | None = None, delay: float = 0) -> None:
        self.body, self.status, self.headers, self.delay = body, status, SSE if headers is None else headers, delay
        self.asked: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        await asyncio.sleep(self.delay)
        content = {"stream": self.body} if isinstance(self.body, Body) else {"content": self.body}
        return httpx.Response(self.status, headers=self.headers, **content)


class BrokenError(Exception):
    pass


def client(backend: Backend) -> httpx.AsyncClient:
    inner = httpx.AsyncClient(transport=httpx.MockTransport(backend))
    transport = FirstTokenTransport(lambda: inner, lambda name, what: BrokenError(what), logging.getLogger("test"))  # noqa: ARG005
    return httpx.AsyncClient(transport=transport, timeout=30)


def ask(backend: Backend, body: object = None, watched: bool = True, url: str = CHAT, **more: object) -> httpx.Response:
    async def run() -> httpx.Response:
        called.set(Deployment("vllm-qwen", BOUNDS) if watched else None)
        async with client(backend) as asking:
            return await asking.post(url, json={"model": "m"} if body is None else body, **more)

    return asyncio.run(run())


def test_a_whole_answer_is_joined_from_a_stream():
    backend = Backend(Body(*ALL))
    answer = ask(backend)
    assert json.loads(backend.asked[0].content)["stream"] is True
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.json()["choices"][0]["message"]["content"] == "word"
    assert answer.json()["usage"]["completion_tokens"] == 2
    assert backend.body.closed


def test_a_stream_is_passed_on_as_it_is():
    backend = Backend(Body(*ALL))
    answer = ask(backend, {"model": "m", "stream": True})
    assert json.loads(backend.asked[0].content) == {"model": "m", "stream": True}
    assert answer.content == b"".join(ALL)
    assert answer.headers["content-type"] == "text/event-stream"
    assert backend.body.closed


@pytest.mark.parametrize("stream", [False, True])
def test_a_packed_stream_is_unpacked(stream):
    headers = {**SSE, "content-encoding": "gzip", "x-request-id": "7"}
    answer = ask(Backend(Body(gzip.compress(b"".join(ALL))), headers=headers), {"stream": stream})
    assert answer.headers["x-request-id"] == "7"
    assert "content-encoding" not in answer.headers
    assert "word" in answer.text


def test_a_body_that_is_changed_has_its_own_length():
    backend = Backend(Body(*ALL))
    ask(backend, {"model": "m"}, headers={"authorization": "Bearer x"})
    (asked,) = backend.asked
    assert int(asked.headers["content-length"]) == len(asked.content)
    assert asked.headers["authorization"] == "Bearer x"


def test_connecting_has_its_bound_and_reading_is_bounded_by_events():
    backend = Backend(Body(*ALL))
    ask(backend)
    assert backend.asked[0].extensions["timeout"] == {"connect": 0.1, "pool": 0.9, "write": 0.9, "read": None}


@pytest.mark.parametrize(
    ("watched", "url", "body"),
    [
        (False, CHAT, {"model": "m"}),
        (True, "http://vllm/v1/embeddings", {"model": "m"}),
        (True, CHAT, {"model": "m", "prompt_logprobs": 1}),
        (True, CHAT, ["no question"]),
    ],
)
def test_what_is_not_watched_is_left_alone(watched, url, body):
    backend = Backend(b'{"raw":  1}', headers={"content-type": "application/json"}, delay=1.2)
    answer = ask(backend, body, watched, url)
    assert answer.content == b'{"raw":  1}'
    assert json.loads(backend.asked[0].content) == body
    assert backend.asked[0].extensions["timeout"]["read"] == 30


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "backend",
    [lambda: Backend(delay=9), lambda: Backend(Body(9.0)), lambda: Backend(Body(event(ROLE), 9.0)), lambda: Backend(Body(b":\n\n", 9.0))],
)
def test_no_first_token_in_time_is_a_read_timeout(stream: bool, backend: Callable[[], Backend]):
    backed = backend()
    with pytest.raises(httpx.ReadTimeout, match=r"vllm-qwen: no first token in 0\.9 s"):
        ask(backed, {"stream": stream})
    assert not isinstance(backed.body, Body) or backed.body.closed


def test_a_gap_in_a_whole_answer_is_a_read_timeout():
    backend = Backend(Body(event(WORD), 9.0))
    with pytest.raises(httpx.ReadTimeout, match=r"vllm-qwen: no token for 0\.7 s"):
        ask(backend)
    assert backend.body.closed


def test_a_gap_in_a_stream_is_the_error_that_cools_down():
    backend = Backend(Body(event(WORD), 9.0))
    with pytest.raises(BrokenError, match=r"vllm-qwen: no token for 0\.7 s"):
        ask(backend, {"stream": True})
    assert backend.body.closed


def test_a_whole_answer_has_the_timeout_of_its_deployment():
    steady = [step for _ in range(40) for step in (event(WORD), 0.05)]
    with pytest.raises(httpx.ReadTimeout, match=r"no whole answer in 0\.5 s"):
        ask(Backend(Body(*steady)), timeout=0.5)


def test_a_stream_has_none():
    steady = [step for _ in range(12) for step in (event(WORD), 0.05)]
    answer = ask(Backend(Body(*steady, event(STOP), DONE)), {"stream": True}, timeout=0.3)
    assert answer.content.endswith(DONE)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("steps", [(), (DONE,), (event(ROLE),), (event(ROLE), DONE)])
def test_a_stream_without_a_token_is_a_broken_connection(stream, steps):
    with pytest.raises(httpx.RemoteProtocolError, match="ended before its first token"):
        ask(Backend(Body(*steps)), {"stream": stream})


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_of_the_connection_is_passed_on(stream):
    backend = Backend(Body(event(ROLE), httpx.ReadError("reset")))
    with pytest.raises(httpx.ReadError, match="reset"):
        ask(backend, {"stream": stream})
    assert backend.body.closed


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_event_at_the_beginning_is_the_error_it_would_have_been(stream):
    answer = ask(Backend(Body(event({"error": {"message": "full", "code": 503}}), DONE)), {"stream": stream})
    assert answer.status_code == 503
    assert answer.json() == {"error": {"message": "full", "code": 503}}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [307, 400, 429, 500])
def test_a_status_is_passed_on_with_its_body_and_headers(stream, status):
    headers = {"content-type": "application/json", "retry-after": "7"}
    answer = ask(Backend(b'{"error": "no"}', status, headers), {"stream": stream})
    assert (answer.status_code, answer.content, answer.headers["retry-after"]) == (status, b'{"error": "no"}', "7")


def test_an_error_whose_body_hangs_is_late():
    with pytest.raises(httpx.ReadTimeout):
        ask(Backend(Body(b"{", 9.0), 500))


def test_a_server_that_knows_no_streams_is_passed_on():
    answer = ask(Backend(b'{"object": "chat.completion"}', headers={"content-type": "application/json"}))
    assert answer.json() == {"object": "chat.completion"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("steps", [(9.0,), (event(WORD), *[0.1, event(WORD)] * 90)])
def test_a_client_that_leaves_ends_the_request(stream, steps):
    backend = Backend(Body(*steps))

    async def run() -> None:
        called.set(Deployment("vllm-qwen", Bounds(9, 9)))
        async with client(backend) as asking:
            task = asyncio.create_task(asking.post(CHAT, json={"stream": stream}))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert backend.body.closed

    asyncio.run(run())


def test_a_stream_that_is_closed_ends_the_request():
    backend = Backend(Body(event(WORD), 9.0))

    async def run() -> None:
        called.set(Deployment("vllm-qwen", Bounds(9, 9)))
        async with client(backend) as asking, asking.stream("POST", CHAT, json={"stream": True}) as answer:
            async for _ in answer.aiter_bytes():
                break
        assert backend.body.closed

    asyncio.run(run())


def test_tools_let_the_role_count_as_a_token():
    backend = Backend(Body(event(ROLE), 0.5, 0.5, 0.0))
    with pytest.raises(httpx.ReadTimeout, match="no token for"):
        ask(backend, {"tools": [{}]})


def test_each_failure_is_told_in_the_log(caplog):
    with pytest.raises(httpx.ReadTimeout):
        ask(Backend(Body(9.0)))
    assert [record.getMessage() for record in caplog.records if record.name == "test"] == [
        "first_token: vllm-qwen: no first token in 0.9 s"
    ]


def test_the_choices_of_several_answers_are_joined():
    answer = ask(Backend(Body(*(event(chunk({"content": text}, "stop", index=index)) for index, text in enumerate("ab")), DONE)))
    assert [choice["message"]["content"] for choice in answer.json()["choices"]] == ["a", "b"]
