# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Looks through the logs of pods, and through files in them."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from itertools import chain
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.connection import Connection
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.exec import Output
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport
from ansible_collections.homelab.llm.plugins.module_utils._leaks.survey import LOG, POD_FILE, Place, Survey
from ansible_collections.homelab.llm.plugins.module_utils._leaks.task import LOGS, Area

Object = dict[str, Any]

_PIECE = 1 << 18

#: Seconds that a container may be silent while it packs its files.
_SILENCE = 60

#: What the kubelet answers, as if it were the log, when the runtime has removed it.
_REMOVED = b"unable to retrieve container logs for "

#: What tar says of a file that is being written, which it still packs as far as it was; and that it packs `/tmp` as `tmp`.
_NO_LOSS = re.compile(r"file changed as we read it|Removing leading|: socket ignored|File shrank by|Exiting with failure status")
_MOST_COMPLAINTS = 20


def look(survey: Survey, connection: Connection, transport: Transport, area: Area, pods: list[Object]) -> None:
    where = f"namespace {area.namespace}"
    if not pods:
        survey.miss(where, f"no pod there has the labels {area.selector}" if area.selector else "there is no pod")
    for pod in pods:
        if LOGS in area.look_in:
            _look_at_logs(survey, transport, pod, previous=area.previous)
        if area.files:
            _look_at_files(survey, connection, pod, area)


def _what(pod: Object) -> str:
    return f"Pod {pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _look_at_logs(survey: Survey, transport: Transport, pod: Object, *, previous: bool) -> None:
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}/log"
    for container, earlier in _logs(pod):
        if earlier and not previous:
            continue
        query = {"container": container, **({"previous": "true"} if earlier else {})}
        pieces = _checked(transport.pieces(f"{path}?{urlencode(query)}"))
        survey.look(Place(LOG, _what(pod), container, previous=earlier), pieces)


def _logs(pod: Object) -> Iterator[tuple[str, bool]]:
    """Yield the containers that have run, and again those that have run before: a log of one that has not is an error of the server."""
    status = pod.get("status") or {}
    for each in chain(*(status.get(kind) or () for kind in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"))):
        state = each.get("state") or {}
        if state.get("running") or state.get("terminated") or each.get("restartCount"):
            yield each["name"], False
        if (each.get("lastState") or {}).get("terminated"):
            yield each["name"], True


def _checked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    first = next(pieces, b"")
    if first.startswith(_REMOVED) and b"\n" not in first.strip():
        raise ApiError(0, "Gone", "the node has removed this log")
    yield first
    yield from pieces


def _look_at_files(survey: Survey, connection: Connection, pod: Object, area: Area) -> None:
    container = area.container or pod["spec"]["containers"][0]["name"]
    place = Place(POD_FILE, _what(pod), container)
    if not _is_running(pod, container):
        survey.miss(str(place), "files can only be read in a container that runs")
        return
    for path in area.files:
        _look_at_path(survey, connection, pod, container, path)


def _is_running(pod: Object, container: str) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return any(each["name"] == container and (each.get("state") or {}).get("running") for each in statuses)


def _look_at_path(survey: Survey, connection: Connection, pod: Object, container: str, path: str) -> None:
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    place = Place(POD_FILE, _what(pod), container, path)
    # Links are followed: mounted ConfigMaps are nothing but links, and a log folder may be one.
    argv = ["tar", "-chf", "-", "-C", "/", path.strip("/")]
    files = 0
    try:
        with Output(connection, namespace, name, container, argv, _SILENCE) as output:
            try:
                files = _look_at_archive(survey, output, place)
            except tarfile.TarError:
                survey.miss(str(place), "what tar wrote is no archive")
            for _rest in output.pieces():  # the end of an archive is filled up
                pass
            complaints = [line for line in output.stderr.splitlines() if line.strip() and not _NO_LOSS.search(line)]
            for line in complaints[:_MOST_COMPLAINTS]:
                survey.miss(str(place), line.strip())
            if output.code and not complaints and not files:
                survey.miss(str(place), f"tar ended with {output.code}")
    except ApiError as error:
        lacking = "executable file not found" in error.message or "no such file" in error.message
        survey.miss(str(place), "there is no tar in the container, which it takes to read files" if lacking else error.message)
        return
    if not files and not complaints:
        survey.miss(str(place), "there is no file in this folder")


def _look_at_archive(survey: Survey, output: Output, place: Place) -> int:
    """Return how many files there were."""
    files = 0
    pieces = output.pieces()
    first = next(pieces, b"")
    if not first:
        return 0
    with tarfile.open(fileobj=_Reader(chain([first], pieces)), mode="r|", errorlevel=0) as archive:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # it would keep them all
            # A second name of a file that was packed under its first has no content of its own.
            files += member.isreg() or member.islnk()
            if member.isreg():
                survey.look(Place(POD_FILE, place.what, place.container, f"/{member.name}"), _content(archive, member))
    return files


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    content = archive.extractfile(member)
    while content and (piece := content.read(_PIECE)):
        yield piece


class _Reader(io.RawIOBase):
    """Pieces as a file. What it does not get is the end of it."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (piece := next(self._pieces, b"")):
            self._rest += piece
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken
