# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Has the Python package `kubernetes` read kubeconfig files and log in with them, and says in safe words what it cannot.

The library's own words are not safe: it quotes whole users, tokens and all, and logs what a credential plugin wrote.
"""

from __future__ import annotations

import functools
import logging
import multiprocessing.util
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

try:
    import yaml
    from kubernetes.config import kube_config
except ImportError:  # `new_configuration` says so before they are used.
    yaml = kube_config = None  # type: ignore[assignment]

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.connection import Headers, impersonation
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError, unconfigured

#: The beginnings of the library's complaints that name no more than a file, a key or an entry.
_HARMLESS = re.compile(r"File does not exist: .+|Expected (?:key|object with name|only one object with name) [\w.@:/-]+")


def load(paths: str, context: str | None, configuration: Any) -> Headers:
    """Set up `configuration` for `context`, or the current context, of the merged files, and return who to act as. Raises ApiError."""
    found = [path for path in paths.split(os.pathsep) if path and Path(path).expanduser().is_file()]
    where = ", ".join(found)
    if not found:
        raise unconfigured(f"No kubeconfig at {paths}: correct the option kubeconfig or the variable KUBECONFIG")
    logging.getLogger().addFilter(_not_of_the_library)
    try:
        merger = kube_config.KubeConfigMerger(os.pathsep.join(found))
        name = context or _current_context(merger)
        _check_context(name, merger, where)
        loader = kube_config.KubeConfigLoader(
            merger.config,
            active_context=name,
            config_base_path=None,
            config_persister=merger.save_changes,
            temp_file_path=_private_folder(),
        )
        loader.load_and_set(configuration)
        user = _user(merger, loader)
    except ApiError:
        raise
    except yaml.YAMLError as error:
        # Not the error's own text: it quotes the line, which may be a key.
        mark = getattr(error, "problem_mark", None)
        raise unconfigured(f"{where} is not YAML{f', line {mark.line + 1}' if mark else ''}") from None
    except Exception as error:
        # Whatever is wrong in the file or with the login, the library raises whatever it happens to raise.
        raise unconfigured(f"{where} cannot be used: {_safe(error)}") from None
    _check_login(user, configuration, where)
    return impersonation(user["as"], user.get("as-groups") or ()) if user.get("as") else ()


def _current_context(merger: Any) -> str | None:
    """The first file's that has one, as kubectl has it. The library takes the last: another cluster."""
    return next((document["current-context"] for document in merger.config_files.values() if document.get("current-context")), None)


def _check_context(name: str | None, merger: Any, where: str) -> None:
    if not name:
        raise unconfigured(f"{where} has no current-context: name one with the option context")
    known = [str(each["name"]) for each in merger.config["contexts"].value]
    if name not in known:
        raise unconfigured(f"{where} has no context '{name}' (it has: {', '.join(known) or 'none'})")


def _user(merger: Any, loader: Any) -> dict[str, Any]:
    name = loader.current_context["context"].get("user")
    return next((each.value.get("user") or {} for each in merger.config["users"].value if each["name"] == name), {})


def _check_login(user: dict[str, Any], configuration: Any, where: str) -> None:
    """The library goes on without credentials when a login fails, and the API server then complains of an anonymous."""
    if configuration.api_key or configuration.cert_file:
        return
    if "exec" in user:
        raise unconfigured(
            f"The credential plugin {user['exec'].get('command')} of {where} gave no credential: run kubectl with it to see why"
        )
    if "auth-provider" in user:
        raise unconfigured(f"The auth-provider of {where} gave no credential: use an exec plugin, or the option api_key")


def _safe(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'a file it names'}: {error.strerror}"
    found = _HARMLESS.search(str(error))
    return found[0] if found else type(error).__name__


def _not_of_the_library(record: logging.LogRecord) -> bool:
    return record.module != "kube_config"


@functools.cache
def _private_folder() -> str:
    """Where the library puts keys and certificates that are in the kubeconfig itself, because `ssl` reads files only.

    It would remove them with `atexit`, which the processes that Ansible runs action plugins in do not come to.
    """
    folder = tempfile.mkdtemp(prefix="homelab.llm.")
    multiprocessing.util.Finalize(None, shutil.rmtree, args=(folder,), kwargs={"ignore_errors": True}, exitpriority=0)
    return folder


def forget() -> None:
    """Remove the files with keys now. Ansible may end the process of its last task before anything that runs at its exit."""
    if _private_folder.cache_info().currsize:
        shutil.rmtree(_private_folder(), ignore_errors=True)
        _private_folder.cache_clear()
        kube_config._temp_files.clear()  # by content: it would hand out the names of files that are gone
