#!/usr/bin/python
# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_apply
short_description: Apply Kubernetes manifests, and send nothing when nothing differs
version_added: 0.1.0
description:
  - Brings a list of objects to their manifests by server-side apply, or removes them.
  - An object that already is what its manifest says is only read. M(kubernetes.core.k8s) with O(ignore:apply=true) sends a patch for it.
  - An object that is just being deleted is made anew when it is gone.
  - Fields that a manifest had and no longer has are removed from its object. Fields that others set stay.
  - Does not wait. See M(homelab.llm.k8s_rollout).
notes:
  - The checksum of a manifest is kept in the annotation C(homelab.llm/applied) of its object.
options:
  manifests:
    description: The manifests, in the order to apply them. They are deleted in reverse order.
    type: list
    elements: dict
    required: true
  state:
    description: Whether the objects shall be there or not.
    type: str
    choices: [present, absent]
    default: present
  create_only:
    description:
      - Leave an object that is there as it is, whatever its manifest says.
      - For a namespace, which others share and label.
    type: bool
    default: false
  foresee_kinds:
    description:
      - Whether, in check mode, a kind that the cluster does not serve is taken for one that an earlier task would have installed.
      - Otherwise it is an error, as it always is without check mode.
    type: bool
    default: true
  prune:
    description:
      - Objects to remove after that, if it was this module that applied them, such as those of a feature that was switched off.
      - Only C(apiVersion), C(kind) and C(metadata) count.
    type: list
    elements: dict
    default: []
extends_documentation_fragment:
  - homelab.llm.kubernetes
  - homelab.llm.attributes
  - homelab.llm.attributes.kubernetes
attributes:
  check_mode:
    support: full
    details: The write is sent as the server's own dry run. For an object whose namespace or kind is not there yet, it is only predicted.
  diff_mode:
    support: full
  idempotent:
    support: full
author:
  - Contributors to the homelab.llm collection (@homelab-llm)
"""

EXAMPLES = r"""
- name: Give LiteLLM its address in the cluster
  homelab.llm.k8s_apply:
    manifests:
      - apiVersion: v1
        kind: Service
        metadata:
          name: litellm
          namespace: ml
        spec:
          selector:
            app: litellm
          ports:
            - name: http
              port: 4000
"""

RETURN = r"""
objects:
  description: What became of each object, in the order of the work.
  returned: success
  type: list
  elements: dict
  sample: [{"object": "Service ml/litellm", "action": "changed", "fields": ["spec.ports[http].port"]}]
"""

import functools
import time
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import discovery, manifest, options
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import resources as resources_module
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport
from ansible_collections.homelab.llm.plugins.module_utils._module import Module

#: How long an object may take to leave before it is made anew. A Deployment leaves after its pods, which finish their answers.
LEAVING_SECONDS = 180

SPECIFICATION: dict[str, Any] = dict(
    argument_spec=dict(
        **options.argument_spec(),
        manifests=dict(type="list", elements="dict", required=True),
        state=dict(type="str", choices=["present", "absent"], default="present"),
        create_only=dict(type="bool", default=False),
        foresee_kinds=dict(type="bool", default=True),
        prune=dict(type="list", elements="dict", default=[]),
    ),
    supports_check_mode=True,
)


def main() -> None:
    work(AnsibleModule(**SPECIFICATION))


def work(module: Module) -> None:
    """Do the task, in whichever process."""
    creates = module.params["state"] == "present"
    named = [*module.params["manifests"], *module.params["prune"]]
    wrong = [problem for position, each in enumerate(named) if (problem := shape_problem(each, position, creates))]
    if wrong:
        module.fail_json(msg=f"Nothing was applied: {'; '.join(wrong)}")
    try:
        transport = Transport(discovery.from_params(module.params))
        done = run(Resources(transport), module)
    except ApiError as error:
        module.fail_json(msg=error.message)
    for warning in transport.warnings:
        module.warn(warning)
    module.exit_json(
        changed=any(each["action"] != "unchanged" for each in done),
        objects=[brief(each) for each in done],
        diff=[each["diff"] for each in done if each["diff"]],
    )


def run(resources: Resources, module: Module) -> list[dict[str, Any]]:
    """Bring every object to its manifest; return a step for each, in the order of the work."""
    manifests, creates = module.params["manifests"], module.params["state"] == "present"
    unknown = [resources_module.unserved(each).message for each in manifests if creates and not resources.serves(each)]
    if unknown and not (module.check_mode and module.params["foresee_kinds"]):
        module.fail_json(msg=f"Nothing was applied: {'; '.join(dict.fromkeys(unknown))}")
    # First all of it as a dry run: what the server refuses in the last manifest must not leave the first ones changed.
    foreseen = steps(resources, module, dry_run=True)
    if module.check_mode or all(each["action"] == "unchanged" for each in foreseen):
        return foreseen
    return steps(resources, module, dry_run=False)


def steps(resources: Resources, module: Module, dry_run: bool) -> list[dict[str, Any]]:
    """Go through all objects once."""
    manifests, creates = module.params["manifests"], module.params["state"] == "present"
    todo: list[tuple[dict[str, Any], Callable[..., dict[str, Any]]]]
    todo = [(each, functools.partial(present, create_only=module.params["create_only"])) for each in manifests if creates]
    todo += [(each, absent) for each in reversed(manifests) if not creates]
    todo += [(each, functools.partial(absent, only_ours=True)) for each in module.params["prune"]]
    done: list[dict[str, Any]] = []
    for each, bring in todo:
        try:
            done.append(bring(resources, each, dry_run))
        except ApiError as error:
            listed = ", ".join(step["object"] for step in done if step["action"] != "unchanged")
            before = "Nothing was applied" if dry_run else f"Done before it: {listed or 'nothing'}"
            module.fail_json(
                msg=f"{manifest.title(each)}: {error.message}. {before}", objects=[] if dry_run else [brief(step) for step in done]
            )
    return done


def shape_problem(each: dict[str, Any], position: int, creates: bool) -> str | None:
    metadata = each.get("metadata")
    if not each.get("apiVersion") or not each.get("kind") or not isinstance(metadata, dict) or not metadata.get("name"):
        return f"manifest {position + 1} lacks apiVersion, kind or metadata.name"
    if each["kind"] == "Secret" and (creates or each.get("data") or each.get("stringData")):
        return f"{manifest.title(each)} is a Secret: its values would be in the diff and in the log, so use homelab.llm.k8s_secret_patch"
    return None


def present(resources: Resources, wanted: dict[str, Any], dry_run: bool, create_only: bool) -> dict[str, Any]:
    """Apply one manifest if its object differs."""
    wanted = manifest.stamped(wanted)
    actual = resources.get(wanted)
    if is_leaving(actual):
        if dry_run:
            return step(wanted, "created", [], {}, wanted)
        actual = wait_until_gone(resources, wanted)
    fields = list(manifest.differences(wanted, actual)) if actual is not None else []
    if actual is not None and (create_only or not fields):
        return step(wanted, "unchanged")
    try:
        resources.apply(wanted, dry_run=dry_run)
    except ApiError as error:
        # The namespace, or what serves the kind, may be about to be made by an earlier task or manifest.
        if not (dry_run and (error.is_missing_namespace or error.missing_kind == "kinds")):
            raise
    before = manifest.shown(wanted, actual) if actual is not None else {}
    return step(wanted, "created" if actual is None else "changed", fields, before, wanted)


def is_leaving(actual: dict[str, Any] | None) -> bool:
    """Whether the object is being deleted: what is written to it would go with it."""
    return actual is not None and "deletionTimestamp" in actual["metadata"]


def wait_until_gone(resources: Resources, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """Return what is there afterwards, which may be what somebody else has made meanwhile."""
    until = time.monotonic() + LEAVING_SECONDS
    while is_leaving(actual := resources.get(wanted)):
        if time.monotonic() > until:
            held = f"it is being deleted and still there after {LEAVING_SECONDS} s: see its metadata.finalizers for what holds it"
            raise ApiError(409, "Conflict", held)
        time.sleep(0.5)
    return actual


def absent(resources: Resources, wanted: dict[str, Any], dry_run: bool, only_ours: bool = False) -> dict[str, Any]:
    """Delete one object if it is there and not already on its way out."""
    actual = resources.get(wanted)
    if actual is None or is_leaving(actual):
        return step(wanted, "unchanged")
    if only_ours and manifest.APPLIED not in (actual["metadata"].get("annotations") or {}):
        return step(wanted, "unchanged")
    if not resources.delete(wanted, dry_run=dry_run):
        return step(wanted, "unchanged")
    return step(wanted, "removed", [], manifest.shown(wanted, actual), {})


def step(wanted: dict[str, Any], action: str, fields: list[str] | None = None, before: Any = None, after: Any = None) -> dict[str, Any]:
    title = manifest.title(wanted)
    diff = (
        {}
        if action == "unchanged"
        else {"before_header": title, "after_header": title, "before": unstamped(before), "after": unstamped(after)}
    )
    return {"object": title, "action": action, "fields": fields or [], "diff": diff}


def unstamped(shown: Any) -> Any:
    """Without our own annotation, which says nothing to a person."""
    metadata = dict(shown.get("metadata") or {})
    annotations = {key: value for key, value in metadata.pop("annotations", {}).items() if key != manifest.APPLIED}
    return {**shown, "metadata": {**metadata, **({"annotations": annotations} if annotations else {})}} if metadata else shown


def brief(each: dict[str, Any]) -> dict[str, Any]:
    return {key: each[key] for key in ("object", "action", "fields")}


if __name__ == "__main__":
    main()
