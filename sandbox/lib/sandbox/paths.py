"""Where everything lies: sources in the checkout, everything made in one folder of the user's cache directory."""

from __future__ import annotations

import os
from pathlib import Path

#: The folder `sandbox/` of the checkout this code runs from.
SOURCE = Path(__file__).resolve().parents[2]
CHECKOUT = SOURCE.parent


def cache_root() -> Path:
    """Return the one folder that holds builds, images and the state of every sandbox (`SANDBOX_CACHE` moves it)."""
    chosen = os.environ.get("SANDBOX_CACHE")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base).absolute() / "homelab-llm-sandbox"
