# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has Ollama pull a model, in the controller: a module could not show anything before it ends."""

from __future__ import annotations

import http.client
import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._module import Module
from ansible_collections.homelab.llm.plugins.module_utils._stack.pull import InterruptedPull, Pull, PullError, full_name, size
from ansible_collections.homelab.llm.plugins.plugin_utils.in_controller import OnlyInController

SPECIFICATION = dict(
    argument_spec=dict(
        url=dict(type="str", required=True),
        name=dict(type="str", required=True),
        source=dict(type="str"),
        insecure=dict(type="bool", default=False),
        tries=dict(type="int", default=5),
        pause=dict(type="float", default=5.0),
        silence=dict(type="int", default=120),
        disk=dict(type="path"),
        reserve=dict(type="int", default=0),
    )
)
#: Seconds between two lines of progress that say something new.
LINE_EVERY = 2.0
#: Seconds for what Ollama answers at once.
ANSWER_SECONDS = 30
#: A server on this machine is asked directly, whatever proxy the Internet needs.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ActionModule(OnlyInController):
    specification = SPECIFICATION
    works_on = "Ollama"

    def work(self, module: Module) -> None:
        params = module.params
        name, source = full_name(params["name"]), full_name(params["source"] or params["name"])
        try:
            there = _models(params["url"])
        except OSError as error:
            if module.check_mode:
                # The task that starts Ollama was not carried out either.
                module.exit_json(changed=True, pulled=[name])
            module.fail_json(msg=f"Ollama does not answer at {params['url']}: {error}")
        if name in there:
            module.exit_json(changed=False, pulled=[], digest=there[name])
        if module.check_mode:
            module.exit_json(changed=True, pulled=[name])
        try:
            resumed = self._pull(params, source)
            if source != name:
                # Ollama lists it without the scheme.
                listed = source.partition("://")[2] or source
                _ask(params["url"], "POST", "/api/copy", {"source": listed, "destination": name})
                _ask(params["url"], "DELETE", "/api/delete", {"model": listed})
            module.exit_json(changed=True, pulled=[name], digest=_models(params["url"])[name], resumed=resumed)
        except PullError as error:
            module.fail_json(msg=str(error))
        except OSError as error:
            module.fail_json(msg=f"Ollama at {params['url']} failed after the pull of {source}: {error}")

    def _pull(self, params: dict[str, Any], source: str) -> int:
        """Return how many bytes an earlier pull had left. Raises PullError."""
        resumed = None
        for attempt in range(1, params["tries"] + 1):
            room = shutil.disk_usage(params["disk"]).free - params["reserve"] if params["disk"] else None
            pull = Pull(source, room, params["disk"] or "")
            try:
                self._listen(params, pull)
            except (InterruptedPull, http.client.HTTPException, OSError) as error:
                if attempt == params["tries"]:
                    raise PullError(
                        f"The pull of {source} broke off {attempt} times, at {pull.text or 'its start'}: {error}. "
                        "What was fetched is kept: run it again, it goes on from there"
                    ) from None
                self._display.display(f"  {source}: broke off at {pull.text or 'its start'} ({error}), trying again")
                time.sleep(params["pause"])
                continue
            finally:
                # Of the first try that got to any layer: what it found was there before this run.
                if resumed is None and pull.totals:
                    resumed = pull.resumed
            return resumed or 0
        raise AssertionError("tries is at least 1")

    def _listen(self, params: dict[str, Any], pull: Pull) -> None:
        shown, at = "", 0.0
        for told in _lines(params, pull.name):
            pull.hear(told)
            now = time.monotonic()
            if pull.text != shown and (now - at >= LINE_EVERY or pull.done or not shown):
                shown, at = pull.text, now
                began = f", begun at {size(pull.resumed)}" if pull.resumed else ""
                self._display.display(f"  {pull.name}: {pull.text}{began}")
        if not pull.done:
            raise InterruptedPull("Ollama ended its answer in the middle")


def _lines(params: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    body = {"model": name, "insecure": params["insecure"], "stream": True}
    with _request(params["url"], "POST", "/api/pull", body, params["silence"]) as answer:
        for line in answer:
            if line.strip():
                yield json.loads(line)


def _models(url: str) -> dict[str, str]:
    with _request(url, "GET", "/api/tags", None, ANSWER_SECONDS) as answer:
        return {each["name"]: each["digest"] for each in json.load(answer)["models"]}


def _ask(url: str, method: str, path: str, body: dict[str, Any]) -> None:
    _request(url, method, path, body, ANSWER_SECONDS).close()


def _request(url: str, method: str, path: str, body: dict[str, Any] | None, seconds: int) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310  (the play says where)
        url.rstrip("/") + path, data, {"Content-Type": "application/json"}, method=method
    )
    try:
        return _OPENER.open(request, timeout=seconds)
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(2000).decode(errors="replace")
        try:
            text = str(json.loads(said)["error"])
        except (ValueError, KeyError, TypeError):
            text = said.strip()
        raise OSError(f"{error.code} {text}") from None
