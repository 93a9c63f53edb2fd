# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.audit import Write, is_system, moment, read, table
from sandbox.errors import SandboxError


def event(**changes: Any) -> str:
    fields: dict[str, Any] = {
        "stage": "ResponseComplete",
        "requestReceivedTimestamp": "2026-01-01T12:00:00.000000Z",
        "requestURI": "/api/v1/namespaces/ml/secrets/litellm-secrets?fieldManager=kubectl",
        "verb": "patch",
        "user": {"username": "sandbox-admin"},
        "userAgent": "kubectl/v1.34.4 (linux/amd64)",
        "objectRef": {"namespace": "ml", "resource": "secrets", "name": "litellm-secrets"},
        "responseStatus": {"code": 200},
    }
    return json.dumps(fields | changes)


def log_of(folder: Path, *lines: str) -> Path:
    log = folder / "audit.jsonl"
    log.write_text("\n".join(lines) + "\n")
    return log


def test_a_write_is_told_with_its_user_and_object(tmp_path: Path) -> None:
    (write,) = read(log_of(tmp_path, event()), None)
    assert write == Write(
        "2026-01-01T12:00:00.000000Z", "sandbox-admin", "patch", "ml/secrets/litellm-secrets", 200, False, "kubectl/v1.34.4"
    )


def test_a_dry_run_is_marked(tmp_path: Path) -> None:
    (write,) = read(log_of(tmp_path, event(requestURI="/api/v1/namespaces/ml/secrets/x?dryRun=All")), None)
    assert write.dry_run
    assert "patch (dry run)" in table([write])


@pytest.mark.parametrize(
    "about",
    [
        {"resource": "subjectaccessreviews"},
        {"resource": "tokenreviews"},
        {"namespace": "ml", "resource": "pods", "name": "litellm", "subresource": "exec"},
    ],
)
def test_a_question_is_no_write(tmp_path: Path, about: dict[str, str]) -> None:
    assert list(read(log_of(tmp_path, event(objectRef=about)), None)) == []


def test_a_line_that_is_being_written_is_passed_over(tmp_path: Path) -> None:
    assert len(list(read(log_of(tmp_path, event(), event()[:40]), None))) == 1


def test_since_leaves_out_what_was_before(tmp_path: Path) -> None:
    log = log_of(tmp_path, event(), event(requestReceivedTimestamp="2026-01-01T12:00:10.000000Z"))
    since = datetime.datetime(2026, 1, 1, 12, 0, 5, tzinfo=datetime.UTC)
    assert [write.time for write in read(log, since)] == ["2026-01-01T12:00:10.000000Z"]


@pytest.mark.parametrize("text", ["1767268800", "2026-01-01T12:00:00+00:00", "2026-01-01T13:00:00+01:00"])
def test_points_in_time_can_be_written_in_several_ways(text: str) -> None:
    assert moment(text) == datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


def test_an_age_is_a_point_in_time() -> None:
    assert abs((datetime.datetime.now(datetime.UTC) - moment("5m")).total_seconds() - 300) < 5


def test_what_is_no_point_in_time_is_refused_with_examples() -> None:
    with pytest.raises(SandboxError, match=r"'yesterday' is no point in time\n  remedy: give an age"):
        moment("yesterday")


def test_the_clusters_own_programs_are_told_from_its_users() -> None:
    assert is_system("system:node:sandbox")
    assert is_system("system:sandbox")
    assert not is_system("sandbox-admin")
