"""A registry that Ollama pulls the tiny model from, with the protocol of registry.ollama.ai: manifests, blobs, ranges.

`python3 -m sandbox.model_registry --port 5000`; then pull `http://NAME:5000/library/neural-chat` with `insecure`, where NAME leads here. It
has to be a name: Ollama wants to be sent on for a blob, and to another host name than it has asked.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sandbox.tiny_model import PARAMETERS, SENTENCE, TEMPLATE, model

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_CHUNK = 8192


def digest_of(data: bytes) -> str:
    """Return the name of a blob."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Content:
    """What there is to pull, as Ollama's registry has it: a manifest, and what it names, sent as slowly as that where it says so."""

    sentence: str = SENTENCE
    bytes_per_second: float = 0
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifest: bytes = b""
    weights: str = ""

    def __post_init__(self) -> None:
        weights = model(self.sentence)
        layers = [
            self._layer("application/vnd.ollama.image.model", weights),
            self._layer("application/vnd.ollama.image.template", TEMPLATE.encode()),
            self._layer("application/vnd.ollama.image.params", json.dumps(PARAMETERS).encode()),
        ]
        self.weights = layers[0]["digest"]
        config = {
            "model_format": "gguf",
            "model_family": "llama",
            "model_families": ["llama"],
            "model_type": "0.1M",
            "file_type": "F32",
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        }
        config_layer = self._layer("application/vnd.docker.container.image.v1+json", json.dumps(config).encode())
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config_layer, "layers": layers}
        self.manifest = json.dumps(manifest).encode()

    def _layer(self, media_type: str, data: bytes) -> dict[str, Any]:
        digest = digest_of(data)
        self.blobs[digest] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data)}


@dataclass(frozen=True)
class Served:
    """A part of a blob that was asked for: from which byte on, and how many were sent."""

    digest: str
    start: int
    sent: int


class Registry(ThreadingHTTPServer):
    """Serves models by their names. `served` is told of each part that was asked for."""

    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        models: Mapping[str, Content],
        served: Callable[[Served], None] = lambda _part: None,
    ) -> None:
        super().__init__(address, _Handler)
        self.models = models
        self.served = served


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Registry

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def _answer(self, *, with_body: bool) -> None:
        asked = re.fullmatch(r"/(v2|data)/(.+)/(manifests|blobs)/([\w.:-]+)", self.path)
        content = self.server.models.get(asked[2]) if asked else None
        if asked and content and asked[3] == "manifests" and asked[4] == "latest":
            self._send(200, content.manifest if with_body else b"", {"Content-Type": MANIFEST_TYPE})
        elif asked and content and asked[4] in content.blobs:
            if asked[1] == "data":
                self._send_part(asked[4], content.blobs[asked[4]], content.bytes_per_second)
            elif with_body:
                # The address that it has reached us by is another host name than the one it asked for.
                address, port = self.connection.getsockname()[:2]
                self._send(307, b"", {"Location": f"http://{address}:{port}/data/{asked[2]}/blobs/{asked[4]}"})
            else:
                self._send(200, b"", {}, length=len(content.blobs[asked[4]]))
        else:
            unknown = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
            self._send(404, json.dumps(unknown).encode() if with_body else b"", {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str], length: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def _send_part(self, digest: str, data: bytes, bytes_per_second: float) -> None:
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, end = (int(span[1]), int(span[2] or len(data) - 1)) if span else (0, len(data) - 1)
        part = data[start : end + 1]
        self.send_response(206 if span else 200)
        self.send_header("Content-Length", str(len(part)))
        if span:
            self.send_header("Content-Range", f"bytes {start}-{end}/{len(data)}")
        self.end_headers()
        sent = 0
        try:
            while sent < len(part):
                chunk = part[sent : sent + _CHUNK]
                self.wfile.write(chunk)
                sent += len(chunk)
                if bytes_per_second:
                    time.sleep(len(chunk) / bytes_per_second)
        except OSError:
            self.close_connection = True  # who asked has left
        finally:
            self.server.served(Served(digest, start, sent))


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser("sandbox.model_registry")
    parser.add_argument("--address", default="0.0.0.0")  # noqa: S104  (inside a network namespace of its own)
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--model", action="append", metavar="NAME=SENTENCE", help="what else it has, and what that says")
    parser.add_argument("--bytes-per-second", type=float, default=0, help="as slow as this is what --model adds")
    options = parser.parse_args()
    models = {"library/neural-chat": Content()}
    for name, _equals, sentence in (text.partition("=") for text in options.model or ()):
        models[name] = Content(sentence, options.bytes_per_second)

    def tell(part: Served) -> None:
        print(json.dumps(asdict(part)), flush=True)

    Registry((options.address, options.port), models, tell).serve_forever()


if __name__ == "__main__":
    main()
