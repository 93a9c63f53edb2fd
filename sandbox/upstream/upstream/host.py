# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is: its name, the kind of server behind it, its port and its models; and the keys that it accepts."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from upstream.anthropic import ANTHROPIC
from upstream.gemini import GEMINI
from upstream.ollama import CLOUD_MODELS, OLLAMA
from upstream.openai import GROQ, MISTRAL, OPENAI, VLLM
from upstream.protocol import Provider

PROVIDERS = {provider.name: provider for provider in (VLLM, OPENAI, GROQ, MISTRAL, GEMINI, OLLAMA, ANTHROPIC)}
#: Hosts whose models differ from those of their kind.
MODELS_OF = {"ollama.com": CLOUD_MODELS}


class HostError(ValueError):
    """A host on the command line is wrong; the text is one sentence."""


@dataclass(frozen=True)
class Host:
    """One model server. Each has a port of its own, so that one can refuse while the others answer."""

    name: str
    provider: Provider
    port: int
    tls: bool = False
    models: tuple[str, ...] = ()

    def knows(self, model: str, models: Iterable[str]) -> bool:
        """Whether a model is among these, as this kind of server compares names. `*` stands for any."""
        same = self.provider.same_model
        return any(one == "*" or same(one) == same(model) for one in models)


def parse_host(text: str, models: dict[str, tuple[str, ...]]) -> Host:
    """Return the host of `NAME=PROTOCOL:PORT[:tls]`, with its models from `models` or those of its kind."""
    name, _, rest = text.partition("=")
    protocol, _, place = rest.partition(":")
    port, _, tls = place.partition(":")
    if not name or protocol not in PROVIDERS or not port.isdecimal() or int(port) > 65535 or tls not in ("", "tls"):
        raise HostError(f"--host must be NAME=PROTOCOL:PORT[:tls] with a protocol of {', '.join(PROVIDERS)}, not {text!r}")
    provider = PROVIDERS[protocol]
    return Host(name, provider, int(port), tls == "tls", models.get(name, MODELS_OF.get(name, provider.models)))


def parse_models(text: str) -> tuple[str, tuple[str, ...]]:
    """Return host and models of `HOST=a,b,c`."""
    name, _, models = text.partition("=")
    if not name or not models:
        raise HostError(f"--models must be HOST=MODEL,MODEL,… (or HOST=* for any), not {text!r}")
    return name, tuple(model.strip() for model in models.split(",") if model.strip())


@dataclass(frozen=True)
class Keys:
    """The keys that hosts accept: a folder with a file per host, one key a line. A host without a file accepts any."""

    folder: Path | None = None

    def are_checked(self, host: str) -> bool:
        """Whether the host accepts certain keys only."""
        return self.folder is not None and (self.folder / host).is_file()

    def accepts(self, host: str, key: str) -> bool:
        """Whether the host accepts the key. Read anew each time, since a mounted Secret changes."""
        if self.folder is None or not self.are_checked(host):
            return True
        accepted = [line.strip() for line in (self.folder / host).read_text().splitlines() if line.strip()]
        return any(hmac.compare_digest(key.encode(errors="surrogateescape"), one.encode()) for one in accepted)
