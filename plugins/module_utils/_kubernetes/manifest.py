# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Whether an object already is what its manifest says, decided without a request that writes.

A server-side apply always is a PATCH, also when it changes nothing, and so is `kubernetes.core.k8s` with `apply: true` for every
object with a list in it (kubernetes.core 6.2, apply.py, get_delta). So the manifest's checksum is kept on the object: the same
checksum and every wanted field still as wanted means that there is nothing to send.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

#: Annotation with the checksum of the manifest that was applied last. It tells that a field was dropped, which the fields there cannot.
APPLIED = "homelab.llm/applied"

_QUANTITY = re.compile(r"^([0-9]+(?:\.[0-9]*)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$")
_DECIMAL = {"m": Decimal("0.001"), "": Decimal(1), **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)}}
_FACTORS = {**_DECIMAL, **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}}


def stamped(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest with its own checksum as an annotation."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    metadata = manifest["metadata"]
    annotations = {**(metadata.get("annotations") or {}), APPLIED: hashlib.sha256(text.encode()).hexdigest()}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def differences(wanted: Any, actual: Any, path: str = "") -> Iterator[str]:
    """Yield the path of each field of `wanted` that `actual` has otherwise, or not at all. What only `actual` has is nobody's concern."""
    if isinstance(wanted, Mapping):
        if wanted and not isinstance(actual, Mapping):
            yield path
            return
        for key, value in wanted.items():
            yield from differences(value, (actual or {}).get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(wanted, list):
        yield from _list_differences(wanted, actual or [], path)
    elif wanted != actual and not (wanted in (None, "") and actual in (None, "")) and not _same_quantity(wanted, actual):
        yield path


def _list_differences(wanted: list[Any], actual: list[Any], path: str) -> Iterator[str]:
    """Items with a name are compared with their namesake: others, such as an injected sidecar, may stand beside them."""
    named = {item["name"]: item for item in actual if isinstance(item, Mapping) and "name" in item}
    if wanted and all(isinstance(item, Mapping) and item.get("name") in named for item in wanted):
        for item in wanted:
            yield from differences(item, named[item["name"]], f"{path}[{item['name']}]")
    elif len(wanted) != len(actual):
        yield path
    else:
        for position, (item, there) in enumerate(zip(wanted, actual, strict=True)):
            yield from differences(item, there, f"{path}[{position}]")


def _same_quantity(wanted: Any, actual: Any) -> bool:
    """`1000m` comes back as `1`."""
    left, right = (_QUANTITY.match(str(value)) if not isinstance(value, bool) else None for value in (wanted, actual))
    return bool(left and right) and _amount(left) == _amount(right)  # type: ignore[arg-type]


def _amount(match: re.Match[str]) -> Decimal:
    return Decimal(match[1]) * _FACTORS[match[2] or ""]


def shown(wanted: Any, actual: Any) -> Any:
    """The part of `actual` that `wanted` speaks of, for a diff."""
    if isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        return {key: shown(value, actual[key]) for key, value in wanted.items() if key in actual}
    if isinstance(wanted, list) and isinstance(actual, list) and len(wanted) == len(actual):
        return [shown(item, there) for item, there in zip(wanted, actual, strict=True)]
    return actual


def title(manifest: Mapping[str, Any]) -> str:
    metadata = manifest["metadata"]
    return f"{manifest['kind']} {metadata['namespace'] + '/' if metadata.get('namespace') else ''}{metadata['name']}"
