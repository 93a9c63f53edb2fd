# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bounds of a deployment, as its `model_info` gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

FIRST_TOKEN = "first_token_timeout"  # noqa: S105  no password
GAP = "gap_timeout"
CONNECT = "connect_timeout"


class BoundsError(ValueError):
    """A bound is no number of seconds; the text names it."""


@dataclass(frozen=True)
class Bounds:
    """Seconds a deployment may take."""

    #: From sending the request to the first token, with connecting, queue and prefill.
    first_token: float = 3.0
    #: Between two events of the stream after that. With it a stream that hangs is failed over within 5 s of its last token.
    gap: float = 4.0
    #: To connect: what tells a machine that is gone from one that is busy.
    connect: float = 1.0


DEFAULT = Bounds()


def bounds_of(model_info: object) -> Bounds | None:
    """Return the bounds that a deployment's `model_info` asks for, None without `first_token_timeout` or with 0; raises BoundsError."""
    if not isinstance(model_info, Mapping) or model_info.get(FIRST_TOKEN) is None:
        return None
    first = _seconds(FIRST_TOKEN, model_info[FIRST_TOKEN])
    if first == 0:
        return None
    return Bounds(first, _positive(model_info, GAP, DEFAULT.gap), min(first, _positive(model_info, CONNECT, DEFAULT.connect)))


def connecting_of(model_info: object) -> float | None:
    """Return the seconds a deployment has to connect, watched or not; None where nothing bounds it; raises BoundsError."""
    bounds = bounds_of(model_info)
    if bounds is not None:
        return bounds.connect
    told = isinstance(model_info, Mapping) and model_info.get(CONNECT) is not None
    return _positive(model_info, CONNECT, DEFAULT.connect) if told and isinstance(model_info, Mapping) else None


def _positive(model_info: Mapping[str, object], name: str, default: float) -> float:
    if model_info.get(name) is None:
        return default
    seconds = _seconds(name, model_info[name])
    if seconds == 0:
        raise BoundsError(f"model_info.{name} must be more than 0 seconds; leave it out for {default:g}")
    return seconds


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise BoundsError(f"model_info.{name} must be a number of seconds, 0 or more, not {value!r}")
    return float(value)
