#!/usr/bin/python
# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_leak_scan
short_description: Look for the values of Secrets in logs, files, events and objects
version_added: 0.1.0
description:
  - Looks for every value of the named Secrets in the logs of pods, files in pods, events, ConfigMaps, annotations and whatever else is
    written in objects, and in files and folders such as reports and the output of C(ansible-playbook -vvvv).
  - Finds a value, and each fragment of 12 and more characters of it, as it is, in base64 at each of its three alignments and in both
    alphabets, URL-encoded, escaped as in JSON, HTML or a Python string, several times over, split over lines, and in UTF-16.
  - The values stay inside the module. A result names the place, the key and the form, never the value or a part of it.
  - The verdict is V(clean), V(leaked) or V(inconclusive). Nothing is clean by absence. What could not be read is listed and makes a scan
    without hits V(inconclusive), and it is an error when there was nothing to look for or nothing to look through.
  - A verdict does not fail the task; whoever wants that says so with C(failed_when).
  - It only reads, with the same memory for logs of any length. 100 MB take a few seconds.
notes:
  - A value is listed under RV(unscannable), with a warning, when it cannot be told from what happens to look like it. Such are a value of
    fewer than 12 characters, not counting white space and backslashes, one that repeats the same few characters, and a placeholder. So is
    one longer than 32 KiB.
  - What all values of a kind share is no secret, and a fragment of nothing else is no leak. This holds for a provider's prefix such as
    C(sk-ant-api03-), the header of a JSON Web Token, the C(BEGIN) and C(END) lines of a PEM file, and the scheme, user, host and path
    around the password in a URL. Where less than 12 characters are left, the value counts as too short.
  - Takes the verbs get on the Secrets and on C(pods/log), list on pods, events, configmaps and the objects looked at, and create on
    C(pods/exec) for files in pods, whose container must have C(tar).
  - A log holds what the node has kept of it, by default the last 10 MiB of a container and of the one before its restart. Events are kept
    for an hour. Scan soon after what is to be proven.
  - Not found are values in other codes (hexadecimal, compressed inside a pod, encrypted), and what is not UTF-8, ASCII or UTF-16.
    Compressed (gzip) files in O(files) are looked through unpacked.
extends_documentation_fragment:
  - homelab.llm.attributes
  - homelab.llm.attributes.kubernetes
  - homelab.llm.kubernetes
attributes:
  check_mode:
    support: full
    details:
      - It only reads, so it does the same.
  diff_mode:
    support: N/A
    details:
      - Changes nothing.
  idempotent:
    support: full
options:
  secrets:
    description: Secrets whose values to look for.
    type: list
    elements: dict
    required: true
    suboptions:
      namespace:
        description: Namespace of the Secret.
        type: str
        required: true
      name:
        description: Name of the Secret.
        type: str
        required: true
      keys:
        description: Look only for these keys' values. For all of them without it.
        type: list
        elements: str
        default: []
      exclude:
        description:
          - Keys whose values are not looked for, because they are public or common words, such as a user's name or C(ca.crt).
        type: list
        elements: str
        default: []
  namespaces:
    description: Where in the cluster to look.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the namespace.
        type: str
        required: true
      selector:
        description: Labels of the pods whose logs and files to look through, such as V(app=litellm). All pods without it.
        type: str
        default: ''
      look_in:
        description:
          - V(logs) are those of all containers of the pods, also init and ephemeral ones.
          - V(events) and V(configmaps) are all of the namespace.
          - V(objects) are annotations and everything else that is written in pods, workloads, services and ingresses, such as a key in a
            variable, and the annotations of the Secrets in O(secrets).
        type: list
        elements: str
        choices: [logs, events, configmaps, objects]
        default: [logs, events, configmaps, objects]
      previous:
        description: Whether to look through the logs that containers wrote before their last restart, too.
        type: bool
        default: true
      files:
        description:
          - Files and folders in the pods, as paths from the root.
          - One that is not there makes the scan inconclusive.
        type: list
        elements: str
        default: []
      container:
        description: The container to read O(namespaces[].files) in. The first one of each pod without it.
        type: str
  files:
    description:
      - Files, and folders with all that is in them, on the machine that the module runs on, which for C(hosts=localhost) is the controller.
    type: list
    elements: path
    default: []
  public:
    description:
      - Texts that everybody may know, such as the address of a server that a value has in it. A fragment of a value that is in one of them
        is no leak.
    type: list
    elements: str
    default: []
author:
  - Contributors to the homelab.llm collection (@homelab-llm)
"""

EXAMPLES = r"""
- name: Prove that no key of LiteLLM is in any log, event or object, or in what this playbook wrote
  homelab.llm.secret_leak_scan:
    secrets:
      - namespace: ml
        name: litellm-secrets
    namespaces:
      - name: ml
    files:
      - reports/
      - site-vvvv.log
  register: leaks
  failed_when: leaks.verdict is not defined or leaks.verdict != 'clean'

- name: Look for OpenClaw's token in its own log files, and for nothing that is public
  homelab.llm.secret_leak_scan:
    secrets:
      - namespace: apps
        name: openclaw-secrets
        exclude:
          - USER_NAME
    namespaces:
      - name: apps
        selector: app.kubernetes.io/name=openclaw
        files:
          - /tmp/openclaw
  register: leaks
"""

RETURN = r"""
verdict:
  description: V(clean), V(leaked) or V(inconclusive).
  returned: success
  type: str
  sample: clean
hits:
  description: How many times a value or a part of one was found.
  returned: success
  type: int
  sample: 0
msg:
  description: The verdict in a sentence.
  returned: always
  type: str
  sample: "No leak: looked for 6 values in 214 places, 31.4 MB"
findings:
  description: The first 200, each one value in one form in one place.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(log), V(pod file), V(event), V(configmap), V(object) or V(file).
      type: str
    object:
      description: The object, such as C(Pod ml/litellm-0). Empty for a file.
      type: str
    container:
      description: The container whose log or file it is.
      type: str
    previous:
      description: Whether it is the log from before the last restart.
      type: bool
    path:
      description: The file, or the field of the object.
      type: str
    line:
      description: Line of the first hit, counted from 1.
      type: int
    lines:
      description: Lines of the first ten.
      type: list
      elements: int
    offset:
      description: Bytes before the first hit.
      type: int
    count:
      description: How many hits there are.
      type: int
    form:
      description:
        - C(plain), or C(base64+0) to C(base64+2) by the number of bytes before the value in its group of three.
        - Then, where it holds, C(split over lines), C(URL-encoded), C(JSON-escaped), C(HTML-escaped).
      type: str
    part:
      description: V(whole), V(start), V(middle) or V(end) of the value.
      type: str
    secrets:
      description: The keys that have the value, each with C(namespace), C(name) and C(key).
      type: list
      elements: dict
    sentence:
      description: All this in a sentence.
      type: str
  sample:
    - kind: log
      object: Pod ml/litellm-0
      container: litellm
      previous: false
      path: ""
      line: 1742
      lines: [1742]
      offset: 211482
      count: 1
      form: base64+1
      part: whole
      secrets: [{"namespace": "ml", "name": "litellm-secrets", "key": "OPENAI_API_KEY"}]
      sentence: "log Pod ml/litellm-0, container litellm, line 1742: key OPENAI_API_KEY of Secret ml/litellm-secrets (base64+1)"
findings_left_out:
  description: How many more findings there are.
  returned: success
  type: int
scanned:
  description: What was looked through to its end, C(places) and C(bytes), also by kind, and how many C(values) were looked for.
  returned: success
  type: dict
  sample: {"values": 6, "places": 1, "bytes": 4711, "kinds": {"log": {"places": 1, "bytes": 4711}}}
unreadable:
  description: What could not be read, each with C(place) and C(why).
  returned: success
  type: list
  elements: dict
unscannable:
  description: Values that could not be looked for, each with C(namespace), C(secret), C(key) and C(why).
  returned: success
  type: list
  elements: dict
problems:
  description: Why nothing was looked through, one sentence each.
  returned: when the request was refused
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import discovery, options
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._leaks import result
from ansible_collections.homelab.llm.plugins.module_utils._leaks.scan import scan
from ansible_collections.homelab.llm.plugins.module_utils._leaks.task import LOOK_IN, BadTask, task_of
from ansible_collections.homelab.llm.plugins.module_utils._module import Module
from ansible_collections.homelab.llm.plugins.module_utils._secrets.veil import Veil

_SECRET = dict(
    namespace=dict(type="str", required=True),
    name=dict(type="str", required=True),
    keys=dict(type="list", elements="str", default=[], no_log=False),
    exclude=dict(type="list", elements="str", default=[]),
)
_NAMESPACE = dict(
    name=dict(type="str", required=True),
    selector=dict(type="str", default=""),
    look_in=dict(type="list", elements="str", choices=list(LOOK_IN), default=list(LOOK_IN)),
    previous=dict(type="bool", default=True),
    files=dict(type="list", elements="str", default=[]),
    container=dict(type="str"),
)

SPECIFICATION: dict[str, Any] = dict(
    argument_spec=dict(
        **options.argument_spec(),
        secrets=dict(type="list", elements="dict", required=True, no_log=False, options=_SECRET),
        namespaces=dict(type="list", elements="dict", default=[], options=_NAMESPACE),
        files=dict(type="list", elements="path", default=[]),
        public=dict(type="list", elements="str", default=[]),
    ),
    supports_check_mode=True,
)


def main() -> None:
    work(AnsibleModule(**SPECIFICATION))


def work(module: Module) -> None:
    """Do the task, in whichever process."""
    veil = Veil(module, hidden=("api_key",))
    try:
        task = task_of(module.params)
        values, survey = scan(task, discovery.from_params(module.params), veil.remember)
    except BadTask as bad:
        veil.fail(str(bad), bad.problems)
    except ApiError as error:
        veil.fail(f"Nothing was looked through: {error.message}")
    veil.warn(result.warnings(values))
    veil.succeed(**result.result(values, survey))


if __name__ == "__main__":
    main()
