# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which deployment the request at hand is for.

LiteLLM's router tells it to a callback right before it calls a deployment, and sends the request in the same task. So a context variable
carries it to the transport: two deployments of one model at one address may have different bounds, and nothing is added to the request.
A header would be replaced by the headers that a client sends along.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from first_token.bounds import Bounds


@dataclass(frozen=True)
class Deployment:
    """A deployment whose first token is bounded."""

    name: str
    bounds: Bounds


#: None while the deployment that is called is not watched.
called: ContextVar[Deployment | None] = ContextVar("first_token_deployment", default=None)
#: Seconds that the deployment which is called has to connect, watched or not; None where nothing bounds it.
connecting: ContextVar[float | None] = ContextVar("first_token_connecting", default=None)
