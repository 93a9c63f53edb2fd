# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Does a scan: reads the Secrets, then goes through every place."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.client import Client
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.connection import Connection
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport
from ansible_collections.homelab.llm.plugins.module_utils._leaks import files, objects, pods, wanted
from ansible_collections.homelab.llm.plugins.module_utils._leaks.survey import Survey
from ansible_collections.homelab.llm.plugins.module_utils._leaks.task import OBJECTS, Area, BadTask, Task
from ansible_collections.homelab.llm.plugins.module_utils._leaks.wanted import Wanted


def scan(task: Task, connection: Connection, remember: Callable[[Iterable[bytes]], None]) -> tuple[Wanted, Survey]:
    """Do the scan; it only reads. `remember` is told every value that is looked for, so that the caller can hide it.

    Raises ApiError, and BadTask when there is nothing to look for, a namespace is not there, or there was nothing to look through.
    """
    client = Client(lambda: Transport(connection))
    values = wanted.read(client, task.secrets)
    remember(values.values)
    survey = Survey(values.matcher(task.public))
    _check_namespaces(client, task)
    transport = Transport(connection)
    for area in task.areas:
        _look(survey, connection, transport, area)
    if any(OBJECTS in area.look_in for area in task.areas):
        for asked in task.secrets:
            if body := client.get("secrets", asked.namespace, asked.name):
                objects.look_at_annotations(survey, str(asked), body)
    files.look(survey, task.files)
    if not survey.findings and not survey.unread and not sum(survey.sizes.values()):
        raise BadTask(["every place was empty"])
    return values, survey


def _check_namespaces(client: Client, task: Task) -> None:
    """A list of what is in a namespace that is not there is empty, and would be clean."""
    problems = []
    for name in dict.fromkeys(area.namespace for area in task.areas):
        try:
            if not client.namespace_exists(name):
                problems.append(f"there is no namespace {name}")
        except ApiError as error:
            if error.status != 403:  # whoever may look into a namespace need not be one who may look at it
                raise
    if problems:
        raise BadTask(problems)


def _look(survey: Survey, connection: Connection, transport: Transport, area: Area) -> None:
    if area.wants_pods:
        try:
            found = list(objects.listed(transport, "/api/v1", "pods", area.namespace, area.selector))
        except ApiError as error:
            survey.miss(f"pods of namespace {area.namespace}", error.message)
        else:
            pods.look(survey, connection, transport, area, found)
    objects.look(survey, transport, area)
