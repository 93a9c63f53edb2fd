# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""A module's way out when it handles secret values: it knows every value seen so far and lets none of them pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

from ansible_collections.homelab.llm.plugins.module_utils._module import Module
from ansible_collections.homelab.llm.plugins.module_utils._secrets import masking
from ansible_collections.homelab.llm.plugins.module_utils._secrets.placeholder import PlaceholderRule

#: What Ansible itself puts in the place of a no_log parameter.
HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


class Veil:
    """Wraps AnsibleModule's ways to say something. `hidden` are the names of its no_log parameters."""

    def __init__(self, module: Module, hidden: Iterable[str]) -> None:
        self._module = module
        self._hidden = tuple(hidden)
        self._values: set[bytes] = set()
        # Ansible searches every result for what a no_log parameter holds: for "a" or "none" too, which tears the result to pieces,
        # and not for its base64.
        module.no_log_values = set()
        for name in self._hidden:
            self.remember(_texts(module.params[name]))

    def remember(self, values: Iterable[bytes]) -> None:
        """Hide these values, and every form of them, in all that is said from now on. A placeholder is no secret."""
        new = {value for value in values if PlaceholderRule().why(value) is None} - self._values
        self._values |= new
        self._module.no_log_values |= masking.masked_forms(new)

    def warn(self, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            self._module.warn(masking.redact(sentence, self._values))

    def fail(self, message: str, problems: Iterable[str] = ()) -> NoReturn:
        listed = [masking.redact(problem, self._values) for problem in problems]
        text = masking.redact(message, self._values)
        self._module.fail_json(msg=text, invocation=self._invocation(), **({"problems": listed} if listed else {}))
        raise AssertionError("fail_json returned")

    def succeed(self, **result: Any) -> NoReturn:
        self._module.exit_json(invocation=self._invocation(), **result)
        raise AssertionError("exit_json returned")

    def _invocation(self) -> dict[str, Any]:
        # Ansible adds the parameters to every result; a value too short to be searched for would be seen there.
        return {"module_args": {name: HIDDEN if name in self._hidden and value else value for name, value in self._module.params.items()}}


def _texts(value: object) -> Iterator[bytes]:
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif value is not None:
        yield str(value).encode()
