#!/usr/bin/python
# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: env_file
short_description: Add variables to an .env file, never overwriting one that has a value
version_added: 0.1.0
description:
  - Adds the told variables that have no value in the file yet, and makes random values for those that shall be there in any case.
  - A variable that has a value keeps it, whatever is told; every other line, comments included, keeps its bytes.
  - Refuses placeholders such as C(changeme), naming the variable and never the value. See M(homelab.llm.k8s_secret_patch) for the rule.
  - The file is readable by its owner alone (mode C(0600)), from the moment it is there.
options:
  path:
    description: Path of the file. Its folder must be there.
    type: path
    required: true
  values:
    description: Values by the name of their variable. An empty one says nothing.
    type: dict
    default: {}
  generate:
    description:
      - Variables that get a random value when they have none, by their name.
      - Each is a mapping that may have C(prefix), which the value begins with, and C(size), how many random bytes follow in hexadecimal
        digits (24 without it).
    type: dict
    default: {}
extends_documentation_fragment:
  - homelab.llm.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows names of variables, and no value.
  idempotent:
    support: full
author:
  - Contributors to the homelab.llm collection (@homelab-llm)
"""

EXAMPLES = r"""
- name: Local stack | Keep provider keys and a master key in .env
  homelab.llm.env_file:
    path: /srv/llm/.env
    values:
      ANTHROPIC_API_KEY: "{{ lookup('ansible.builtin.env', 'ANTHROPIC_API_KEY') }}"
    generate:
      LITELLM_MASTER_KEY:
        prefix: sk-
"""

RETURN = r"""
names:
  description: Variables that have a value in the file.
  returned: success
  type: list
  elements: str
  sample: [ANTHROPIC_API_KEY, LITELLM_MASTER_KEY]
added:
  description: Variables that were added or filled in.
  returned: success
  type: list
  elements: str
kept:
  description: Variables that were told with another value than the one they have and keep.
  returned: success
  type: list
  elements: str
"""

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.homelab.llm.plugins.module_utils._module import Module
from ansible_collections.homelab.llm.plugins.module_utils._secrets.placeholder import PlaceholderRule
from ansible_collections.homelab.llm.plugins.module_utils._stack import env_file

MODE = 0o600

SPECIFICATION: dict[str, Any] = dict(
    argument_spec=dict(
        path=dict(type="path", required=True),
        values=dict(type="dict", default={}, no_log=True),
        generate=dict(type="dict", default={}, no_log=False),
    ),
    supports_check_mode=True,
)


def work(module: Module) -> None:
    path = Path(module.params["path"])
    given = {str(name): "" if value is None else str(value) for name, value in module.params["values"].items()}
    # An empty value says nothing, and Ansible would hide every "" there is.
    module.no_log_values = {value for value in given.values() if len(value) > 3}
    rule = PlaceholderRule()
    wrong = [f"{name} {why}" for name, value in given.items() if value and (why := rule.why(value.encode()))]
    if wrong:
        module.fail_json(msg=f"{path} was left as it is: {'; '.join(wrong)}. Give the real key, or none at all to go on without it")
    try:
        text = path.read_text() if path.exists() else ""
        there = env_file.values_in(text)
        merged = env_file.merge(text, given, {name: env_file.Generate(**(how or {})) for name, how in module.params["generate"].items()})
        open_to_others = path.exists() and path.stat().st_mode & 0o777 != MODE
        changed = merged.text != text or open_to_others
        if changed and not module.check_mode:
            _write(path, merged.text)
    except env_file.EnvFileError as error:
        module.fail_json(msg=f"{path} was left as it is: {error}")
    except TypeError as error:
        module.fail_json(msg=f"generate takes prefix and size for each variable: {error}")
    except OSError as error:
        module.fail_json(msg=f"{path} cannot be read or written: {error.strerror}")
    kept = [name for name, value in given.items() if value and there.get(name) not in (None, "", value)]
    result: dict[str, Any] = dict(changed=changed, names=list(merged.names), added=list(merged.added), kept=kept)
    if changed and module._diff:
        before = [name for name, value in there.items() if value]
        result["diff"] = dict(
            before_header=str(path), after_header=str(path), before=_shown(before, open_to_others), after=_shown(merged.names, False)
        )
    module.exit_json(**result)


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "w") as file:
        file.write(text)
    draft.replace(path)


def _shown(names: Any, open_to_others: bool) -> str:
    return "".join(f"{name}=…\n" for name in names) + ("# readable by others\n" if open_to_others else "")


def main() -> None:
    work(AnsibleModule(**SPECIFICATION))


if __name__ == "__main__":
    main()
