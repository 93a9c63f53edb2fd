# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import http.server
import itertools
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from own_certificate import own_certificate
from running_simulator import VLLM_MODEL, Running

from ansible_collections.homelab.llm.plugins.module_utils._probe import asking, load, record

KEY = "sk-a-key-that-nobody-may-see-4711"


def spec_of(simulator: Running, **changes: Any) -> dict[str, Any]:
    load = {
        "name": "chat",
        "url": f"http://127.0.0.1:{simulator.port('vllm-api')}/v1",
        "model": VLLM_MODEL,
        "key_env": "PROBE_KEY",
        "rate": 20,
    }
    load |= {
        name: changes.pop(name)
        for name in ("rate", "stream", "prompt_suffix", "prompt_tokens", "url", "protocol", "key_env")
        if name in changes
    }
    return {"loads": [load], "seconds": 0.5, "grace_s": 3, "timeout_s": 10, **changes}


def start(spec: Any, **environ: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", load.program()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PROBE_KEY": KEY, **environ},
    )
    assert process.stdin
    process.stdin.write(json.dumps(spec) + "\n")
    process.stdin.flush()
    return process


def run(spec: Any) -> record.Recording:
    """Run a worker to the end of its time; nothing may be on its standard error."""
    process = start(spec)
    # Its input stays open: the end of it would be a stop.
    assert process.stdout
    assert process.stderr
    lines = process.stdout.read().splitlines()
    error = process.stderr.read()
    process.communicate()
    assert (process.returncode, error) == (0, "")
    assert KEY not in "".join(lines)
    recording = record.parse(lines)
    assert recording.broken_lines == 0
    assert recording.begun
    assert recording.ended
    assert recording.ended.sent == recording.ended.done == len(recording.requests)
    return recording


def test_notes_who_answered_what_when_and_how(simulator: Running):
    requests = run(spec_of(simulator)).requests
    assert [request.stream for request in requests[:4]] == [False, True, False, True]
    for request in requests:
        assert (request.finish, request.status, request.model, request.error) == ("done", 200, VLLM_MODEL, "")
        assert request.said.endswith(f"from vllm-api ({VLLM_MODEL})")
        assert request.t_due <= request.t_start <= request.t_connected <= request.t_headers <= request.t_first <= request.t_end
        assert request.chunks == (5 if request.stream else 1)
    assert simulator.counters()["requests"] == len(requests)


@pytest.mark.parametrize(
    ("fault", "whole", "stream"),
    [
        ({"kind": "status", "status": 503}, "status", "status"),
        ({"kind": "hang", "where": "before_headers"}, "timeout", "timeout"),
        ({"kind": "hang", "where": "after_headers"}, "timeout", "timeout"),
        ({"kind": "hang", "where": "mid_stream"}, "timeout", "timeout"),
        ({"kind": "reset", "where": "before_headers"}, "no_answer", "no_answer"),
        ({"kind": "reset", "where": "mid_stream"}, "no_answer", "cut"),
        ({"kind": "cut", "end": "clean"}, "cut", "cut"),
        ({"kind": "cut", "end": "torn"}, "cut", "cut"),
        ({"kind": "error_event"}, "status", "error"),
        ({"kind": "empty"}, "empty", "empty"),
        ({"kind": "refuse"}, "no_answer", "no_answer"),
        ({"kind": "wrong_model", "answers_as": "llama"}, "done", "done"),
        ({"kind": "echo_credential"}, "status", "status"),
    ],
)
def test_tells_apart_how_an_answer_fails(simulator: Running, fault: dict[str, Any], whole: str, stream: str):
    simulator.fault(**fault)
    requests = run(spec_of(simulator, seconds=0.5, timeout_s=1.5)).requests
    assert {request.finish for request in requests if not request.stream} == {whole}
    assert {request.finish for request in requests if request.stream} == {stream}
    for request in requests:
        assert (request.error == "") == (request.finish in ("done", "empty"))
        assert request.model == {"wrong_model": "llama"}.get(fault["kind"], request.model)


def test_takes_every_fragment_of_a_key_out_of_what_a_server_says(simulator: Running):
    simulator.fault(kind="echo_credential")
    for request in run(spec_of(simulator)).requests:
        assert "********" in request.error
        assert not any(KEY[at : at + 12] in request.error for at in range(len(KEY) - 11))


def test_a_slow_answer_does_not_slow_the_load(simulator: Running):
    simulator.fault(kind="hang", where="before_headers")
    requests = run(spec_of(simulator, seconds=1, rate=40, timeout_s=0.8)).requests
    # 39, for the first comes after 0.05 s. On a busy machine the last ones are late, and then there is no time left for them.
    assert 30 <= len(requests) <= 39
    gaps = [after.t_due - before.t_due for before, after in itertools.pairwise(requests)]
    assert gaps == pytest.approx([0.025] * (len(requests) - 1), abs=1e-6)
    assert all(after.t_start < before.t_end for before, after in itertools.pairwise(requests)), "each began while the one before hung"


def test_what_the_limit_of_concurrency_keeps_back_is_in_the_record(simulator: Running):
    simulator.fault(kind="hang", where="before_headers")
    requests = run(spec_of(simulator, concurrency=3, timeout_s=1)).requests
    assert Counter(request.finish for request in requests) == {"timeout": 3, "skipped": len(requests) - 3}


def test_what_takes_longer_than_the_grace_is_unfinished(simulator: Running):
    simulator.fault(kind="hang", where="before_headers")
    requests = run(spec_of(simulator, grace_s=0.1)).requests
    assert {request.finish for request in requests} == {"unfinished"}


def test_keeps_connections_only_when_told_to(simulator: Running):
    # Few, so that each is answered before the next is sent.
    kept = run(spec_of(simulator, keep_alive=True, rate=2, seconds=2)).requests
    assert len(kept) > 1
    assert sum(request.reused for request in kept) == len(kept) - 1
    assert {request.finish for request in kept} == {"done"}
    assert not any(request.reused for request in run(spec_of(simulator)).requests)


def test_a_stream_is_waited_for_until_its_first_token_and_a_whole_answer_until_its_end(simulator: Running):
    """How exact that is `scripts/bench probe` tells; here a busy machine would be measured."""
    requests = run(spec_of(simulator, seconds=1, rate=10, prompt_suffix="[tokens=5 rate=50 first=0.2]")).requests
    assert {request.finish for request in requests} == {"done"}
    # A stream's first token is due after 0.2 s, the end of both four tokens of 20 ms later.
    assert all(request.wait >= (0.2 if request.stream else 0.28) for request in requests)
    assert all((request.wait < request.t_end - request.t_start) == request.stream for request in requests)


def test_a_prompt_has_about_as_many_tokens_as_asked_for(simulator: Running):
    one = asking.Load(spec_of(simulator, prompt_tokens=8000, key_env="")["loads"][0], {}, None)
    body = json.loads(one.request(0, stream=False).partition(b"\r\n\r\n")[2])
    assert len(body["messages"][0]["content"].split()) == pytest.approx(8000, abs=2)


def test_no_two_prompts_are_alike_so_that_no_cache_can_answer(simulator: Running):
    one = asking.Load(spec_of(simulator, key_env="")["loads"][0], {}, None)
    assert one.request(0, stream=False) != one.request(0, stream=False)


def test_trusts_the_given_ca_only(tmp_path: Path):
    certificate, key = own_certificate(tmp_path, "IP:127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"id": "1", "model": "m", "choices": [{"message": {"content": "hi"}}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.handle_error = lambda *_words: None  # type: ignore[method-assign]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        load = {"name": "a", "url": f"https://127.0.0.1:{server.server_port}/v1", "model": "m", "rate": 10, "stream": False}
        found = [run({"loads": [load], "seconds": 0.5, **more}).requests for more in ({"ca_file": str(certificate)}, {}, {"verify": False})]
        server.shutdown()
    assert [{request.finish for request in requests} for requests in found] == [{"done"}, {"no_answer"}, {"done"}]
    assert "CERTIFICATE_VERIFY_FAILED" in found[1][0].error


@pytest.mark.parametrize("end", ["stop", "abort", "end of input", "SIGTERM", "SIGINT"])
def test_ends_with_a_last_line_however_it_is_ended(simulator: Running, end: str):
    process = start(spec_of(simulator, seconds=60))
    assert process.stdin
    assert process.stdout
    first = [json.loads(process.stdout.readline()) for _ in range(3)]
    assert [line["kind"] for line in first] == ["hello", "request", "request"]
    if end.startswith("SIG"):
        process.send_signal(signal.Signals[end])
        rest = process.stdout.read()
        process.communicate()
    elif end == "end of input":
        rest = process.communicate()[0]
    else:
        process.stdin.write(end + "\n")
        process.stdin.flush()
        rest = process.stdout.read()
        process.communicate()
    last = json.loads(rest.splitlines()[-1])
    assert (process.returncode, last["kind"], last["why"]) == (0, "end", "abort" if end == "abort" else "stop")
    assert last["sent"] == last["done"]


def test_answers_a_ping_with_its_clock(simulator: Running):
    process = start(spec_of(simulator, seconds=60, rate=0.01))
    assert process.stdin
    assert process.stdout
    process.stdout.readline()
    sent = time.monotonic()
    process.stdin.write("ping 17\n")
    process.stdin.flush()
    line = json.loads(process.stdout.readline())
    while line["kind"] != "pong":
        line = json.loads(process.stdout.readline())
    # The same host: the same clock.
    assert line["id"] == "17"
    assert sent <= line["t_mono"] <= time.monotonic()
    process.communicate("stop\n")


def test_takes_its_spec_from_the_environment_without_needing_an_input(simulator: Running):
    spec = json.dumps(spec_of(simulator, seconds=0.2))
    environ = {**os.environ, "PROBE_KEY": KEY, "FAILOVER_PROBE_SPEC": spec}
    done = subprocess.run(
        [sys.executable, "-c", load.program()], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environ, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1])["why"] == "seconds"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"url": "ftp://x"}, "'ftp://x' is no http:// or https:// address"),
        ({"protocol": "gopher"}, "protocol 'gopher' is none of openai"),
        ({"key_env": "NO_SUCH_KEY"}, "the environment variable NO_SUCH_KEY holds no key"),
        ({"rate": 0}, "rate must be above 0"),
        ({"rate": "fast"}, "the spec cannot be used: ValueError"),
        ({"seconds": None}, "the spec cannot be used: TypeError"),
        ({"ca_file": "/no/such/file"}, "the spec cannot be used: FileNotFoundError"),
    ],
)
def test_refuses_a_spec_that_cannot_be_used_before_it_sends_anything(simulator: Running, change: dict[str, Any], text: str):
    process = start(spec_of(simulator, **change))
    out, error = process.communicate()
    assert (process.returncode, error) == (2, "")
    assert text in json.loads(out)["text"]
    assert simulator.counters()["requests"] == 0


def test_needs_nothing_beside_the_standard_library():
    imported = {line.split()[1].partition(".")[0] for line in load.program().splitlines() if line.startswith(("import ", "from "))}
    assert imported <= set(sys.stdlib_module_names)
