# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A config that is shown holds no secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._litellm.mask import mask

SECRET = "sk-Tr0ub4dor-and-3"


@pytest.mark.parametrize(
    "text",
    [
        f"api_key: {SECRET}\n",
        f"a: [{{'api_key': \"{SECRET}\"}}]\n",
        f"general_settings:\n  master_key: {SECRET}   # do not show\n",
        f"api_key: |\n  {SECRET}\nb: 1\n",
        f"a:\n  - password:\n      - {SECRET}\n",
        f"database_url: postgresql://me:{SECRET}@db/litellm\n",
        f"a: 1\n# api_key: {SECRET}\n",
        f"environment_variables:\n  OPENAI_API_KEY: {SECRET}\n",
        f"a: &k\n  api_key: {SECRET}\nb: *k\n",
        f"broken: [\napi_key: {SECRET}\n",
    ],
)
def test_a_secret_is_masked_wherever_it_stands(text):
    assert (SECRET not in mask(text) and "*****" in mask(text)) or "not shown" in mask(text)


def test_what_is_no_secret_stays_as_it_is():
    text = "model_list:\n  - model_name: a   # why\n    litellm_params: {api_key: os.environ/A, max_tokens: 5, timeout: 3}\n"
    assert mask(text) == text


@given(
    st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=12, max_size=20).filter(
        lambda value: value.strip() and value.lower() not in ("", "none")
    )
)
def test_no_quoting_gets_a_secret_through(value):
    import yaml

    text = yaml.safe_dump({"x": {"api_key": value}})
    assert value not in mask(text) or value in "********x:api_key\n"
