"""The hosts that the upstream simulator answers for: production names, protocol, port in its pod and the variables of its keys."""

from __future__ import annotations

import secrets
from dataclasses import dataclass


@dataclass(frozen=True)
class CloudHost:
    """A provider's API host. Each has a port of its own in the simulator's pod, so that one can be refused alone."""

    name: str
    protocol: str
    port: int
    #: Variable and prefix of each key that it takes.
    keys: tuple[tuple[str, str], ...]

    @property
    def service(self) -> str:
        """The name of its Service."""
        return self.name.replace(".", "-")


#: An API key, and the token of a subscription (`claude setup-token`).
_ANTHROPIC = (("ANTHROPIC_API_KEY", "sk-ant-api03-"), ("ANTHROPIC_OAUTH_TOKEN", "sk-ant-oat01-"))
CLOUD_HOSTS = (
    CloudHost("api.openai.com", "openai", 8441, (("OPENAI_API_KEY", "sk-proj-"),)),
    CloudHost("api.groq.com", "groq", 8442, (("GROQ_API_KEY", "gsk_"),)),
    CloudHost("generativelanguage.googleapis.com", "gemini", 8443, (("GEMINI_API_KEY", "AIza"),)),
    CloudHost("api.mistral.ai", "mistral", 8444, (("MISTRAL_API_KEY", ""),)),
    CloudHost("ollama.com", "ollama", 8445, (("OLLAMA_API_KEY", ""),)),
    CloudHost("api.anthropic.com", "anthropic", 8446, _ANTHROPIC),
)
ADMIN_PORT = 9900


def fresh_keys() -> dict[str, str]:
    """Return a throwaway key for each variable."""
    return {variable: prefix + secrets.token_hex(24) for host in CLOUD_HOSTS for variable, prefix in host.keys}
