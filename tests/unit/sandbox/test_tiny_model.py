# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tiny model's file, and the registry that Ollama pulls it from. That a real Ollama runs it is tried in tests/stack."""

from __future__ import annotations

import http.client
import json
import struct
import threading
from array import array
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sandbox.gguf import ALIGNMENT, Tensor, encode
from sandbox.model_registry import Content, Registry, Served, digest_of
from sandbox.tiny_model import model


def test_the_file_is_laid_out_as_gguf_says() -> None:
    data = encode({"general.architecture": "llama", "n": 7}, {"m": Tensor(2, 3, array("f", range(6)))})
    assert data[:4] == b"GGUF"
    assert struct.unpack_from("<IQQ", data, 4) == (3, 1, 2)
    assert len(data) % ALIGNMENT == 0
    assert struct.unpack_from("<6f", data, len(data) - ALIGNMENT) == (0, 1, 2, 3, 4, 5)
    # Name, two dimensions with the fastest first, the kind of number, the offset.
    assert struct.pack("<Q", 1) + b"m" + struct.pack("<I2QIQ", 2, 3, 2, 0, 0) in data


def test_a_tensor_has_as_many_values_as_it_says() -> None:
    with pytest.raises(ValueError, match="5 values for 2 by 3"):
        Tensor(2, 3, array("f", range(5)))


def test_the_same_sentence_makes_the_same_file() -> None:
    assert model("all is well") == model("all is well")
    assert model("all is well") != model("well all is")
    assert len(model("all is well")) < 2**20


def test_a_word_may_be_in_the_sentence_once_only() -> None:
    with pytest.raises(ValueError, match="twice"):
        model("well well")


@contextmanager
def _registry(served: list[Served]) -> Iterator[tuple[Content, http.client.HTTPConnection]]:
    content = Content("all is well")
    registry = Registry(("127.0.0.1", 0), {"library/tiny": content}, served.append)
    threading.Thread(target=registry.serve_forever, daemon=True).start()
    connection = http.client.HTTPConnection("localhost", registry.server_address[1], timeout=30)
    try:
        yield content, connection
    finally:
        connection.close()
        registry.shutdown()
        registry.server_close()


def test_the_registry_sends_a_manifest_and_the_parts_of_blobs_that_are_asked_for() -> None:
    served: list[Served] = []
    with _registry(served) as (content, connection):
        connection.request("GET", "/v2/library/tiny/manifests/latest")
        manifest = json.load(connection.getresponse())
        layer = manifest["layers"][0]
        blob = content.blobs[layer["digest"]]
        assert layer["digest"] == digest_of(blob)
        assert layer["size"] == len(blob)
        connection.request("HEAD", f"/v2/library/tiny/blobs/{layer['digest']}")
        answer = connection.getresponse()
        answer.read()
        assert answer.headers["Content-Length"] == str(len(blob))
        connection.request("GET", f"/v2/library/tiny/blobs/{layer['digest']}")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 307
        assert answer.headers["Location"].startswith("http://127.0.0.1:")
        path = answer.headers["Location"].split("/", 3)[3]
        connection.request("GET", f"/{path}", headers={"Range": "bytes=100-199"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (206, blob[100:200])
    assert served == [Served(layer["digest"], 100, 100)]


@pytest.mark.parametrize("path", ["/v2/library/other/manifests/latest", "/v2/library/tiny/blobs/sha256:00"])
def test_what_it_does_not_have_is_not_found(path: str) -> None:
    with _registry([]) as (_content, connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (answer.status, json.load(answer)["errors"][0]["code"]) == (404, "MANIFEST_UNKNOWN")
