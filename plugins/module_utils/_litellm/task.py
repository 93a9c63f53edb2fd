# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What litellm_model does with its parameters: look at what is there, converge, ask the providers, write, take a snapshot, report."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.client import Client
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._litellm import _yaml, budget, verify_tags
from ansible_collections.homelab.llm.plugins.module_utils._litellm.check import GIVE_THE_KEY
from ansible_collections.homelab.llm.plugins.module_utils._litellm.config import Told
from ansible_collections.homelab.llm.plugins.module_utils._litellm.converge import Result, Wanted, converge
from ansible_collections.homelab.llm.plugins.module_utils._litellm.document import DocumentError, checksum
from ansible_collections.homelab.llm.plugins.module_utils._litellm.mask import mask
from ansible_collections.homelab.llm.plugins.module_utils._litellm.secret_fields import inline_values
from ansible_collections.homelab.llm.plugins.module_utils._litellm.snapshot import Base, SnapshotError
from ansible_collections.homelab.llm.plugins.module_utils._litellm.snapshot_store import Settled, SnapshotStore
from ansible_collections.homelab.llm.plugins.module_utils._litellm.target import ChangedMeanwhileError, ConfigMapKey, File, Target
from ansible_collections.homelab.llm.plugins.module_utils._module import Module

#: How often to read and edit again when somebody else keeps writing at the same time.
TRIES = 5


def work(module: Module) -> None:
    """Do the task; `module` is AnsibleModule or what the controller has in its place."""
    module.no_log_values.update(inline_values([module.params["models"], module.params["settings"]]))
    if not _yaml.AVAILABLE:
        module.fail_json(msg=missing_required_lib("PyYAML"))
    with _without_collector():
        try:
            module.exit_json(**run(module))
        except ApiError as error:
            hint = ": make the namespace first" if error.is_missing_namespace else ""
            module.fail_json(msg=f"{error.message}{hint}")
        except SnapshotError as error:
            module.fail_json(msg=str(error))
        except OSError as error:
            module.fail_json(msg=f"{module.params['path']} cannot be read or written: {error.strerror}")


@contextmanager
def _without_collector() -> Iterator[None]:
    """A parsed config is a hundred thousand objects that live to the end, and the garbage collector would go through them again and again:
    ten times the entries took fourteen times as long.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def run(module: Module) -> dict[str, Any]:
    """Converge the target; leaves through fail_json when anything is wrong with what was told."""
    params = module.params
    budgets = _budgets(module)
    client = Client.from_params(params)  # connects at its first request, so a file without a Secret needs no cluster
    target = _target(params, client)
    wanted = _wanted(params, client, budgets)
    snapshots = _snapshots(module, client)
    tag_check = verify_tags.TagCheck(module, client)
    for _each in range(TRIES):
        before = target.read()
        result = _converged(module, before or "", wanted, target.name)
        _refuse(module, target.name, tag_check.problems(before or "", result.text))
        changed = result.text != (before or "")
        wish = snapshots.look(result.text, target.uid) if snapshots and result.text else None
        try:
            if changed:
                target.write(result.text, dry_run=module.check_mode)
            break
        except ChangedMeanwhileError:
            continue
    else:
        module.fail_json(msg=f"{target.name} was changed by somebody else {TRIES} times while it was edited: see who keeps writing it")
    # After the edit: whoever is killed in between finds at the next run that the snapshot of this text is not there.
    settled = snapshots.settle(wish, target.uid, dry_run=module.check_mode) if snapshots and wish else None
    for warning in [*client.warnings, *([settled.warning] if settled and settled.warning else [])]:
        module.warn(warning)
    hint = GIVE_THE_KEY if params["secret"] else "give LiteLLM that variable, and name it in env_names"
    for missing in dict.fromkeys(each.missing for each in result.left_out):
        names = ", ".join(dict.fromkeys(each.model_name for each in result.left_out if each.missing == missing))
        module.warn(f"Left out, because {wanted.environment} has no {', '.join(missing)}: {names}. To serve them, {hint}")
    for each in (*result.warnings, *result.over_budget):
        module.warn(each)
    return dict(
        changed=changed or bool(settled and settled.changed),
        checksum=checksum(result.text),
        models=list(result.models),
        chains=result.chains,
        chains_text=result.tree,
        chains_mermaid=result.flowchart,
        failover=budget.as_data(result.failover),
        failover_text=budget.table(result.failover),
        added=list(result.added),
        changed_entries=list(result.changed),
        removed=list(result.removed),
        left_out=[dict(model_name=each.model_name, missing=list(each.missing)) for each in result.left_out],
        **(dict(snapshot=settled.name, snapshots_removed=list(settled.removed)) if settled else {}),
        # Masking takes as long as the rest on a long config.
        **(_diff(target.name, before or "", result.text, settled) if module._diff else {}),
    )


def _target(params: dict[str, Any], client: Client) -> Target:
    if params["path"]:
        return File(Path(params["path"]))
    return ConfigMapKey(client, params["namespace"], params["name"], params["key"])


def _snapshots(module: Module, client: Client) -> SnapshotStore | None:
    params = module.params
    if params["snapshot"] and params["path"]:
        module.fail_json(msg="snapshot is for a config in a ConfigMap, not for a file: leave it out, or give namespace instead of path")
    files = params["snapshot_files"]
    if files and not params["snapshot"]:
        module.fail_json(msg="snapshot_files lie in the snapshot, and there is none: set snapshot to true, or leave them out")
    if wrong := [name for name, text in files.items() if not isinstance(text, str)]:
        module.fail_json(msg=f"snapshot_files has {', '.join(map(str, wrong))} with something that is no text: give the text of each file")
    return SnapshotStore(client, Base(params["namespace"], params["name"], params["key"]), files) if params["snapshot"] else None


def _budgets(module: Module) -> budget.Budget:
    exceptions: dict[str, float] = {}
    for group, seconds in module.params["failover_budgets"].items():
        try:
            exceptions[group] = float(seconds)
        except (TypeError, ValueError):
            module.fail_json(msg=f"failover_budgets has '{seconds}' for {group}: write a number of seconds")
    return budget.Budget(module.params["failover_budget"], exceptions)


def _wanted(params: dict[str, Any], client: Client, budgets: budget.Budget) -> Wanted:
    settings = {section: values for section, values in params["settings"].items() if values is not None}
    told = Told(params["models"], _listed(params["fallbacks"]), settings, params["state"] == "absent", params["purge"])
    known: set[str] | None = set(params["env_names"]) or None
    environment = "env_names"
    if params["secret"]:
        namespace = params["secret"]["namespace"] or params["namespace"]
        found = client.get("secrets", namespace, params["secret"]["name"])
        known = {*params["env_names"], *((found or {}).get("data") or {})}
        environment = f"Secret {namespace}/{params['secret']['name']}"
    fails = params["over_budget"] == "fail"
    return Wanted(told, params["explicit_only"], known, environment, params["missing_keys"] == "leave_out", budgets, fails)


def _listed(fallbacks: dict[str, Any]) -> dict[str, list[str]]:
    return {group: [targets] if isinstance(targets, str) else list(targets or []) for group, targets in fallbacks.items()}


def _converged(module: Module, text: str, wanted: Wanted, name: str) -> Result:
    try:
        result = converge(text, wanted)
    except DocumentError as error:
        module.fail_json(msg=f"{name} {error}")
    _refuse(module, name, result.problems)
    return result


def _refuse(module: Module, name: str, problems: Sequence[str]) -> None:
    if problems:
        listed = "".join(f"\n- {problem}" for problem in problems)
        module.fail_json(msg=f"The LiteLLM config in {name} would not work and was left as it is:{listed}", problems=list(problems))


def _diff(name: str, before: str, after: str, settled: Settled | None) -> dict[str, Any]:
    shown = [(name, mask(before), mask(after))] if before != after else []
    if settled and settled.changed:
        shown.append((f"ConfigMap {settled.name}", "", f"immutable, with the text of {name}\n"))
        shown += [(f"ConfigMap {each}", "immutable, used by nothing\n", "") for each in settled.removed]
    return {"diff": [dict(before_header=title, after_header=title, before=old, after=new) for title, old, new in shown]} if shown else {}
