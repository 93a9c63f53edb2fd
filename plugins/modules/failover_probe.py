#!/usr/bin/python
# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is the documentation of the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r"""
module: failover_probe
short_description: Break a backend on purpose, measure what clients of LiteLLM, Open-WebUI or OpenClaw get meanwhile, and judge
version_added: 0.1.0
description:
  - Asks models by the clock, breaks something, restores it, and says whether every client got its answer in time, from the right place.
  - The verdict is V(pass), V(fail) or V(inconclusive), with reasons. Nothing passes by absence.
  - B(It breaks things.) What it changes is written on the changed objects together with the change. It is undone in the end, on every
    signal, and, after a crash, by the next run or with O(state=restored).
  - While another probe has broken the same objects it refuses to begin.
  - Runs in the controller, as an action plugin, and shows a line each second.
  - A verdict that is no V(pass) does not fail the task; whoever wants that says so with C(failed_when). A restore that failed does.
options:
  state:
    description:
      - V(measured) runs a drill.
      - V(restored) undoes what earlier runs left on the objects of O(fault), or without one, on all of O(namespace).
      - V(reported) joins the reports of O(drills) in O(report) into one, without a cluster.
    type: str
    choices: [measured, restored, reported]
    default: measured
  force:
    description: With O(state=restored), also undo what a probe has broken that is still at work.
    type: bool
    default: false
  name:
    description: Name of the drill, in small letters, digits and hyphens. Reports are named after it.
    type: str
    default: drill
  title:
    description: What people shall read in its place.
    type: str
  namespace:
    description: Namespace of what is broken. Needed unless O(state=reported).
    type: str
  protocol:
    description:
      - V(openai) asks LiteLLM for chat completions.
      - V(openclaw) takes turns with an OpenClaw gateway, over its WebSocket, in its own container. From elsewhere its token carries no
        right to that, and there it is already. So O(url), O(key_secret) and the options of the pod that asks are not for it.
      - A model is V(provider/model) then, and a turn is one request. Who answered, and who failed before, is what the gateway tells.
        A turn that ends with the gateway's error counts as lost, unless O(down) leaves nobody who could answer.
      - V(open_webui) signs somebody in at Open-WebUI, once, and sends messages as its page does, streamed and with a session, so with the
        tools that Open-WebUI adds to it. They are no part of a chat, and nothing is kept of them. Who answered is what LiteLLM's
        headers tell, which Open-WebUI hands on with a stream.
    type: str
    choices: [openai, open_webui, openclaw]
    default: openai
  email:
    description: With O(protocol=open_webui), the address of whoever signs in. O(key_secret) names the password then.
    type: str
  gateway:
    description: With O(protocol=openclaw), where it is.
    type: dict
    suboptions:
      namespace:
        description: Its namespace. O(namespace) without it.
        type: str
      deployment:
        description: Name of its Deployment. V(openclaw) without it.
        type: str
      container:
        description: Name of the container, with Node. V(openclaw) without it.
        type: str
  vantage:
    description:
      - Where the clients are. V(pod) is a short-lived pod, whose names, network policies and connections are those of real clients.
      - V(controller) is this machine. Backends are then looked at through the API server only, which is slower to notice.
    type: str
    choices: [pod, controller]
    default: pod
  vantage_namespace:
    description: Namespace of that pod, and of O(key_secret). O(namespace) without it.
    type: str
  image:
    description:
      - Image with C(python3) for the pod that asks and the one that stands in for a broken backend.
      - Best one that is on the node already.
    type: str
  labels:
    description: Labels of the pod that asks, for network policies that look for some.
    type: dict
    default: {}
  url:
    description: Where the models are asked, such as V(http://litellm.ml.svc.cluster.local:4000/v1), or with O(protocol=open_webui)
      V(http://open-webui.apps.svc.cluster.local). Needed unless O(state=restored) or O(protocol=openclaw).
    type: str
  key_secret:
    description: The Secret with the key to ask with. From a pod its value never passes through the controller.
    type: dict
    suboptions:
      name:
        description: Name of the Secret, in O(vantage_namespace).
        type: str
        required: true
      key:
        description: Key of the Secret.
        type: str
        required: true
  ca_file:
    description: File with the CA certificates for O(url), with O(vantage=controller).
    type: path
  verify:
    description: Whether to check the certificate of O(url).
    type: bool
    default: true
  models:
    description: What is asked. Needed unless O(state=restored).
    type: list
    elements: dict
    default: []
    suboptions:
      model:
        description: The model to ask for. A model may have several loads, of different O(models[].name).
        type: str
        required: true
      name:
        description: Name of this load. That of its model without it.
        type: str
      url:
        description:
          - Where a load goes straight to a backend instead of through LiteLLM, without a key. O(models[].model) is the backend's name then.
          - It measures what LiteLLM adds, and is judged in nothing else.
        type: str
      chain:
        description:
          - The model groups that may answer, in LiteLLM's order, the primary first. O(models[].model) alone without it.
          - Each is a name, or a dictionary of C(model_group), C(name), C(api_base), C(models), C(says) and C(same_server_as).
            What is missing is asked of LiteLLM.
          - Tiers of one group are told apart by C(says), a text that is in each of their answers.
        type: list
        elements: raw
      rate:
        description:
          - Requests a second, by the clock. 5 without it.
          - With O(protocol=openclaw) at most so many turns a second, 1 without it, and one after the other, as a person takes them. Several
            loads of a model, of different O(models[].name), are several persons with a conversation each.
        type: float
      stream:
        description:
          - Whether answers are streamed; V(both) is by turns, and what holds without it.
          - OpenClaw always streams. There V(true) says that the first word is what is waited for, and V(false), which holds without it,
            that the end of the turn is.
          - With O(protocol=open_webui) V(true), and nothing else.
        type: str
        choices: ['true', 'false', both]
        default: both
      prompt_tokens:
        description: Size of each prompt, in words. 20 without it.
        type: int
      prompt_suffix:
        description: What each prompt ends with.
        type: str
      max_tokens:
        description: Longest answer. 64 without it. Not with O(protocol=openclaw).
        type: int
      turn:
        description:
          - With O(protocol=openclaw), V(full) is a turn as a person has it, with the agent's tools, in a conversation that is removed in
            the end. It sends some 13,000 tokens. It holds without this.
          - V(light) sends the question alone, and has no conversation.
        type: str
        choices: [full, light]
  down:
    description: Model groups, or tiers by their C(name), that the fault takes away. The first of each chain without it.
    type: list
    elements: str
  fault:
    description: What is broken, and how.
    type: dict
    default: {}
    suboptions:
      kind:
        description:
          - V(none) only measures.
          - V(scale) scales the Deployments to 0. With O(fault.url) an admin API is asked as well, as by V(http).
          - V(refuse), V(blackhole), V(hang), V(reset), V(cut), V(status) and V(slow) do so too, and lead their Services to a pod that
            refuses connections, leaves them unanswered, goes silent, resets, ends answers early, answers with an error, or answers slowly.
          - V(egress) takes the way to the backends from the pods of O(fault.clients), and from the pod that asks, by NetworkPolicies. Where
            the network enforces none, or lets open connections go on, the verdict is V(inconclusive).
          - V(secret) spoils a key of a Secret. The right value is kept in another Secret until it is restored.
          - V(internet) takes the rules that lead to addresses out of O(fault.policy), the NetworkPolicy that lets the pods out. It is for
            O(protocol=openclaw), and does what is said of V(egress) where the network enforces none.
          - V(http) asks an admin API to make the fault.
        type: str
        default: none
      backends:
        description:
          - What is broken. For V(secret) and V(internet) none.
          - For V(http) it carries the note of what is to be undone.
        type: list
        elements: dict
        suboptions:
          deployment:
            description: Name of the Deployment.
            type: str
            required: true
          service:
            description: Name of the Service that leads to it, and only to it.
            type: str
      where:
        description: For V(hang) and V(reset), V(before_headers), V(after_headers) or V(mid_stream). V(before_headers) without it.
        type: str
      after_tokens:
        description: For V(hang), V(reset) and V(cut), how many tokens of a stream come first. 2 without it.
        type: int
      status:
        description: For V(status), which. 503 without it.
        type: int
      body:
        description: For V(status), the body.
        type: str
      first_token:
        description: For V(slow), seconds until the first token. 10 without it.
        type: float
      tokens_per_second:
        description: For V(slow), how fast the others come. 1 without it.
        type: float
      grace:
        description: Seconds that the backends' pods get to end. What they ask for without it, or 1 where a pod stands in.
        type: int
      secret:
        description: For V(secret), the Secret's name.
        type: str
      key:
        description: For V(secret), the key whose value is spoilt.
        type: str
      restart:
        description: For V(secret), the Deployments whose pods read it when they start. They are rolled out, and again for the restore.
        type: list
        elements: str
      clients:
        description: For V(egress), the Deployments whose pods lose their way, such as LiteLLM's.
        type: list
        elements: str
      policy:
        description: For V(internet), the name of the NetworkPolicy.
        type: str
      hosts:
        description: For V(internet), names that the pods lose by it, such as V(api.anthropic.com). By them the probe sees that they have.
        type: list
        elements: str
      url:
        description: For V(http) and V(scale), the address of the admin API. It is asked from a pod with O(image).
        type: str
      method_on:
        description: For V(http), the method that makes the fault. V(PUT) without it.
        type: str
      body_on:
        description: For V(http), what it sends, JSON.
        type: str
      method_off:
        description: For V(http), the method that undoes it. V(DELETE) without it.
        type: str
      body_off:
        description: For V(http), what that sends, JSON.
        type: str
  durations:
    description: Seconds of each part.
    type: dict
    suboptions:
      steady:
        description: To look before anything is broken.
        type: float
        default: 15
      fault:
        description: The fault, from its effect on.
        type: float
        default: 30
      recovery:
        description: To look after the backends are back.
        type: float
        default: 20
      effect:
        description: Longest until the fault takes effect.
        type: float
        default: 60
      ready:
        description: Longest until the backends are back after the restore.
        type: float
        default: 300
  counters:
    description:
      - Tiers' own counters of requests. They are read each second, and held against what the answers tell of who gave them.
      - A tier that had no business answering and that counts a request makes the verdict V(fail), one that is named by more answers
        than it counted V(inconclusive).
      - Best is one that counts the drill's requests alone, as LiteLLM's own do with the label C(user_agent).
    type: list
    elements: dict
    default: []
    suboptions:
      tier:
        description: The tier, by the name it has in the chain; for one that is in no chain, its model group.
        type: str
        required: true
      url:
        description: Where it is read, from where the models are asked. LiteLLM's key is sent to LiteLLM alone,
          and with O(protocol=openclaw) none.
        type: str
        required: true
      metric:
        description:
          - A series of a Prometheus page, such as V(litellm_deployment_total_requests_total{model_group="openai-gpt4o"}).
          - All that have these labels are added up. One that is not there counts as 0, since LiteLLM shows none before it counts.
        type: str
      path:
        description: Instead of O(counters[].metric), the keys that lead to a number in a JSON document.
        type: list
        elements: str
  minimum:
    description: Fewer answers than these, of each kind and model, are too few to say anything.
    type: dict
    suboptions:
      steady:
        description: Before.
        type: int
        default: 5
      fault:
        description: During the fault.
        type: int
        default: 10
      recovery:
        description: Afterwards.
        type: int
        default: 3
  thresholds:
    description: Limits, beside those of O(catalogue). Without any the verdict is V(inconclusive).
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: The requirement that it proves, such as V(NFR65). Needed.
        type: str
      metric:
        description: What is measured, by name, such as V(worst_wait) and V(lost). Needed.
        type: str
      limit:
        description: What it must stay below. Needed.
        type: float
      unit:
        description: V(s), V(ms) or V(requests). Needed.
        type: str
      inclusive:
        description: Whether the limit itself is allowed.
        type: bool
      aim:
        description: What one would like, in the same unit.
        type: float
      sentence:
        description: The requirement in words.
        type: str
  proves:
    description: Name of the drill that O(catalogue) has limits for, where that is not O(name).
    type: str
  catalogue:
    description: The list C(nfr_catalogue), of which those limits hold that a drill called O(proves) proves.
    type: list
    elements: dict
    default: []
  drills:
    description: With O(state=reported), the names of the drills whose reports are joined.
    type: list
    elements: str
    default: []
  checks:
    description:
      - With O(state=reported), what something else than a drill has measured, for requirements of O(catalogue) that are proven by a check.
      - It is held against their limits and becomes part of the report and of its verdict.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: Id of the requirement.
        type: str
        required: true
      measured:
        description: What was measured, in the unit of the limit. Without it the verdict is V(inconclusive).
        type: float
      complete:
        description: Whether all was looked at that was to be. Otherwise it is no pass.
        type: bool
        default: true
      by:
        description: What measured it, for people.
        type: str
        required: true
      details:
        description: Sentences on what was found.
        type: list
        elements: str
        default: []
  earlier:
    description: An earlier report, the JSON file, to compare with.
    type: path
  patience:
    description: Seconds until a client gives up.
    type: float
    default: 60
  backend_path:
    description: What backends are asked for without LiteLLM to see whether they are there. Any status below 500 will do.
    type: str
    default: /v1/models
  clean_errors:
    description: Whether a stream that had begun and ends in a clear error counts as waiting until then and not as lost.
    type: bool
    default: false
  report:
    description: Folder for the reports, as HTML, Markdown, JUnit and JSON, with each request as JSON lines.
    type: path
extends_documentation_fragment:
  - homelab.llm.kubernetes
  - homelab.llm.attributes
  - homelab.llm.attributes.kubernetes
attributes:
  check_mode:
    support: full
    details: Observes only, from a pod as well. What is wrong with the fault is said, and it is not made.
  diff_mode:
    support: none
  idempotent:
    support: N/A
    details: Each run measures anew, and leaves everything as it was.
author:
  - Contributors to the homelab.llm collection (@homelab-llm)
"""

EXAMPLES = r"""
- name: See whether everything goes on while nobody serves vLLM
  homelab.llm.failover_probe:
    name: gaming-mode
    title: vLLM is scaled to zero
    namespace: ml
    image: ghcr.io/berriai/litellm:v1.106.2
    url: http://litellm.ml.svc.cluster.local:4000/v1
    key_secret: {name: litellm-secrets, key: LITELLM_MASTER_KEY}
    models:
      - model: vllm-qwen
        chain: [vllm-qwen, ollama-qwen]
    fault:
      kind: scale
      backends:
        - {deployment: vllm-server, service: vllm-api}
    thresholds:
      - {id: NFR65, metric: worst_wait, limit: 5, unit: s}
      - {id: NFR67, metric: lost, limit: 0, unit: requests, inclusive: true}
    report: reports
  register: drill
  failed_when: drill.verdict is not defined or drill.verdict != 'pass'

- name: See whether OpenClaw answers within five seconds while nobody reaches Claude
  homelab.llm.failover_probe:
    name: openclaw-internet
    title: Claude cannot be reached
    namespace: apps
    protocol: openclaw
    models:
      - model: anthropic/claude-opus-4-5
        chain: [anthropic/claude-opus-4-5, litellm/vllm-qwen, litellm/ollama-qwen]
    fault:
      kind: internet
      policy: openclaw
      hosts: [api.anthropic.com]
    thresholds:
      - {id: NFR88, metric: worst_wait, limit: 5, unit: s}
    report: reports

- name: Undo whatever a drill that was killed has left
  homelab.llm.failover_probe:
    namespace: ml
    state: restored
"""

RETURN = r"""
requirements:
  description: How each requirement of O(catalogue) came out, with C(id), C(limit), C(measured), C(verdict) and C(by).
  returned: with O(state=reported) and O(catalogue)
  type: list
  elements: dict
verdict:
  description: V(pass), V(fail) or V(inconclusive).
  returned: when it was measured
  type: str
  sample: pass
drill:
  description: The result without its long lists, with C(headline), C(reasons), C(thresholds), C(metrics), C(phases), C(requests) and more.
  returned: when it was measured
  type: dict
report:
  description: Paths of the reports, by C(html), C(markdown), C(junit), C(json) and C(jsonl).
  returned: when it was measured or reported
  type: dict
restored:
  description: Objects on which something was undone that an earlier run had left.
  returned: success
  type: list
  elements: str
not_restored:
  description: Whether it failed because what was broken could not be restored.
  returned: failure
  type: bool
"""
