# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a command in a container ended."""

from __future__ import annotations

import json

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.discovery import from_params
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.exec import _exit_code, run


def test_the_exit_code_is_read_from_the_status():
    failed = {"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "7"}]}}
    assert _exit_code(json.dumps({"status": "Success"}), "ml/p") == 0
    assert _exit_code(json.dumps(failed), "ml/p") == 7


def test_a_command_that_could_not_be_run_is_an_error():
    with pytest.raises(ApiError, match="no such file"):
        _exit_code(json.dumps({"status": "Failure", "message": "no such file"}), "ml/p")
    with pytest.raises(ApiError, match="before the command did"):
        _exit_code("", "ml/p")


def test_a_command_is_not_run_with_other_rights_than_those_asked_for():
    with pytest.raises(ApiError, match="cannot act as somebody else"):
        run(from_params({"host": "http://127.0.0.1:9", "impersonate_user": "bob"}), "ml", "p", None, ["id"], 1)
