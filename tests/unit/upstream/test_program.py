# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program itself: its command line, TLS, its output and its end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from own_certificate import own_certificate

from upstream.host import HostError, Keys, parse_host, parse_models

PACKAGE = Path(__file__).parents[3] / "sandbox" / "upstream"
KEY = "sk-test-0123456789abcdef"


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def program(*arguments: str, admin: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "upstream", "--address", "127.0.0.1", "--admin-port", str(admin), *arguments]
    environ = {**os.environ, "PYTHONPATH": str(PACKAGE), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ready(admin: int) -> None:
    for _ in range(1200):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=10)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise AssertionError("the program did not start")


def chat(connection: http.client.HTTPConnection, **more: Any) -> http.client.HTTPResponse:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "[first=30]" if more else "hi"}], **more}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": f"Bearer {KEY}"})
    return connection.getresponse()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_whatever_hangs(number: signal.Signals) -> None:
    """In 0.1 s. What it hangs in would take thirty."""
    port, admin = free_ports(2)
    with program("--host", f"h=vllm:{port}", "--models", "h=*", admin=admin) as process:
        ready(admin)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        response = chat(connection, stream=True)
        process.send_signal(number)
        assert process.wait(20) == 0
        response.close()
        connection.close()
        output, errors = process.communicate()
        assert (json.loads(output)["outcome"], errors) == ("shutdown", "")


def test_tls_hosts_serve_the_given_certificate_and_no_key_is_ever_printed(tmp_path: Path) -> None:
    port, admin = free_ports(2)
    certificate, key = own_certificate(tmp_path, "DNS:api.openai.com")
    (tmp_path / "api.openai.com").write_text(KEY)
    options = ["--tls-cert", str(certificate), "--tls-key", str(key), "--keys-dir", str(tmp_path)]
    with program("--host", f"api.openai.com=openai:{port}:tls", *options, admin=admin) as process:
        ready(admin)

        class Client(http.client.HTTPSConnection):
            def connect(self) -> None:
                http.client.HTTPConnection.connect(self)
                self.sock = context.wrap_socket(self.sock, server_hostname="api.openai.com")

        context = ssl.create_default_context(cafile=certificate)
        connection = Client("127.0.0.1", port, timeout=30)
        assert b"Answer 1 from api.openai.com" in chat(connection).read()
        connection.close()
        for fault in ({"kind": "echo_credential"}, {"kind": "reset"}):
            plain = http.client.HTTPConnection("127.0.0.1", admin, timeout=30)
            plain.request("PUT", "/hosts/api.openai.com/fault", json.dumps(fault))
            plain.getresponse().read()
            plain.close()
            connection = Client("127.0.0.1", port, timeout=30)
            if fault["kind"] == "reset":
                with pytest.raises((ConnectionResetError, ssl.SSLError)):
                    chat(connection)
            else:
                assert KEY.encode() in chat(connection).read()
            connection.close()
        process.terminate()
        output, errors = process.communicate(timeout=20)
        assert len(output.splitlines()) == 3
        assert errors == ""
        assert KEY not in output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--host", "x"],
            "--host must be NAME=PROTOCOL:PORT[:tls] with a protocol of vllm, openai, groq, mistral, gemini, ollama, anthropic, not 'x'",
        ),
        (["--host", "a=vllm:1:tls"], "a host with :tls needs --tls-cert and --tls-key"),
        (["--host", "a=vllm:0", "--models", "b=x"], "--models names 'b', which is no --host"),
        (["--host", "a=vllm:0", "--host", "a=vllm:0"], "two --host options have the same name"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(arguments: list[str], told: str) -> None:
    with program(*arguments, admin=0) as process:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1
        assert errors == f"upstream: {told}\n"


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, program("--host", f"a=vllm:{taken.getsockname()[1]}", admin=0) as process:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "in use" in errors
        assert errors.count("\n") == 1


def test_a_host_has_the_models_of_its_kind_of_its_name_or_of_the_command_line() -> None:
    assert parse_host("x=groq:1", {}).models == ("llama-3.3-70b-versatile", "mixtral-8x7b-32768")
    assert "kimi-k2.5" in parse_host("ollama.com=ollama:1:tls", {}).models
    assert parse_host("x=vllm:1", dict([parse_models("x=a, b")])).models == ("a", "b")


@pytest.mark.parametrize("text", ["", "=vllm:1", "x=vllm", "x=vllm:", "x=vllm:70000", "x=none:1", "x=vllm:1:ssl"])
def test_a_wrong_host_is_refused(text: str) -> None:
    with pytest.raises(HostError):
        parse_host(text, {})


def test_a_model_of_ollama_is_the_same_with_its_tag_latest() -> None:
    host = parse_host("x=ollama:1", {"x": ("llama3", "a:7b")})
    assert host.knows("llama3:latest", host.models)
    assert not host.knows("a", host.models)


def test_a_star_stands_for_any_model() -> None:
    host = parse_host("x=vllm:1", {"x": ("*",)})
    assert host.knows("anything", host.models)


def test_without_a_folder_any_key_is_accepted() -> None:
    assert Keys().accepts("x", "")
