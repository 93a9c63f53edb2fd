# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Asks the providers of new and changed entries, before they are written, whether they have those models: from here or from a pod.

A pod sees what LiteLLM's pods will see, name service, network policies and authorities included, and the keys stay in the cluster.
"""

from __future__ import annotations

import base64
import inspect
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import discovery, pod_run
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.client import Client
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.pod import Program, SecretKey
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport
from ansible_collections.homelab.llm.plugins.module_utils._litellm import _yaml, tags
from ansible_collections.homelab.llm.plugins.module_utils._litellm.document import load
from ansible_collections.homelab.llm.plugins.module_utils._litellm.entry import env_names
from ansible_collections.homelab.llm.plugins.module_utils._litellm.tags import ANYWAY, Answer, Place
from ansible_collections.homelab.llm.plugins.module_utils._module import Module
from ansible_collections.homelab.llm.plugins.module_utils._secrets.masking import masked_forms

#: Seconds that a pod may take to start: its node may have to pull LiteLLM's image first, which the rollout then need not.
_START = 180

ARGUMENT_SPEC: dict[str, Any] = dict(
    type="dict",
    options=dict(
        vantage=dict(type="str", choices=["pod", "here"], default="here"),
        image=dict(type="str"),
        ca=dict(type="str", default=""),
        env=dict(type="dict", default={}),
        timeout=dict(type="int", default=10),
        changed_keys=dict(type="list", elements="str", default=[], no_log=False),
    ),
    required_if=[("vantage", "pod", ["image"])],
)


@dataclass(frozen=True)
class Keys:
    """The keys that the pods have: the values of a Secret, or the environment when there is none. `where` is for people."""

    values: Mapping[str, str] = field(repr=False)
    where: str
    namespace: str = ""
    secret: str = ""


class TagCheck:
    """Checks as the module's parameter `verify_tags` says, and not at all without it. What was asked once is not asked again."""

    def __init__(self, module: Module, client: Client) -> None:
        self._module = module
        self._client = client
        self._options: dict[str, Any] | None = module.params["verify_tags"]
        self._done: dict[tuple[Place, ...], list[str]] = {}
        if self._in_pod and not module.params["secret"]:
            module.fail_json(msg="verify_tags with vantage: pod needs secret: name the Secret that has the providers' keys")

    @property
    def _in_pod(self) -> bool:
        return bool(self._options) and self._options["vantage"] == "pod"  # type: ignore[index]  # there is one

    def problems(self, before: str, after: str) -> list[str]:
        """What providers say against the entries of the config text `after` that `before` has not, one sentence each.

        And against those that read a key which has just been changed.
        """
        if self._options is None or (self._in_pod and self._module.check_mode):
            return []
        changed = set(self._options["changed_keys"])
        if before == after and not changed:
            return []
        places = tuple(tags.places([*new_entries(before, after), *(each for each in entries_of(after) if changed & set(env_names(each)))]))
        if places and places not in self._done:
            self._done[places] = list(self._ask(places, self._options))
        return self._done.get(places, [])

    def _ask(self, places: Sequence[Place], options: Mapping[str, Any]) -> Iterator[str]:
        keys = self._keys()
        # Ansible takes them out of every result, in whatever way they might get there.
        self._module.no_log_values.update(
            masked_forms(keys.values[each.key_name].encode() for each in places if each.key_name in keys.values)
        )
        for place in places:
            if not keys.values.get(place.key_name):
                self._module.warn(
                    f"The tags of {place.models} were not checked at {place.api_base}: {keys.where} has no {place.key_name} to ask with"
                )
        asked = [place for place in places if keys.values.get(place.key_name)]
        if not asked:
            return
        if options["vantage"] == "pod":
            try:
                answers = self._from_pod(asked, keys, options)
            except ApiError as error:
                models = ", ".join(place.models for place in asked)
                yield f"the tags of {models} could not be checked from a pod: {error.message}. {ANYWAY}"
                return
        else:
            answers = [tags.ask(each.api_base, keys.values[each.key_name], timeout=options["timeout"], ca=options["ca"]) for each in asked]
        for place, answer in zip(asked, answers, strict=True):
            yield from tags.judge(place, answer, keys.where)

    def _keys(self) -> Keys:
        told = self._module.params["secret"]
        if not told:
            return Keys(dict(os.environ), "the environment of this task")
        namespace, name = told["namespace"] or self._module.params["namespace"], told["name"]
        data = (self._client.get("secrets", namespace, name) or {}).get("data") or {}
        values = {key: base64.b64decode(value).decode(errors="surrogateescape") for key, value in data.items()}
        return Keys(values, f"Secret {namespace}/{name}", namespace, name)

    def _from_pod(self, asked: Sequence[Place], keys: Keys, options: Mapping[str, Any]) -> list[Answer]:
        question = json.dumps([{"api_base": each.api_base, "key_name": each.key_name} for each in asked])
        own = {tags.TIMEOUT_VARIABLE: str(options["timeout"]), tags.CA_VARIABLE: options["ca"]}
        program = Program(
            namespace=keys.namespace,
            image=options["image"],
            argv=["python3", "-c", inspect.getsource(tags), question],
            timeout=_START + 2 * options["timeout"] * len(asked),
            name="verify-tags",
            env={**{name: str(value) for name, value in options["env"].items()}, **own},
            env_keys={each.key_name: SecretKey(keys.secret, each.key_name) for each in asked},
        )
        ended = pod_run.run(Resources(Transport(discovery.from_params(self._module.params))), program)
        # The last line: an interpreter may warn of something first.
        last = (ended.output.strip().splitlines() or ["it wrote nothing"])[-1]
        try:
            return [Answer(each["tags"] and tuple(each["tags"]), each["error"], each["refused"]) for each in json.loads(last)]
        except (ValueError, KeyError, TypeError):
            raise ApiError(0, "PodFailed", f"python3 of image {options['image']} ended with {ended.code}: {last}") from None


def entries_of(text: str) -> list[Mapping[str, Any]]:
    return [each for each in load(text).get("model_list") or [] if isinstance(each, Mapping)]


def new_entries(before: str, after: str) -> list[Mapping[str, Any]]:
    """The entries of `after` that are not in `before`, as they are: added, or changed in whatever way."""
    old, new = entries_of(before), entries_of(after)
    # By name first: comparing each with all would take a thousand entries a second.
    known: dict[str, list[Mapping[str, Any]]] = {}
    for entry in old:
        known.setdefault(str(entry.get("model_name")), []).append(entry)
    return [entry for entry in new if not any(_yaml.same(there, entry) for there in known.get(str(entry.get("model_name")), ()))]
