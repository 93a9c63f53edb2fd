# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A config text is edited where it must change, and nowhere else."""

from __future__ import annotations

import copy
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._litellm.document import DocumentError, checksum, load, rewrite

HAND_WRITTEN = """\
# LiteLLM of the homelab: see the wiki before you edit
model_list:
  # --- local tier ---
  - model_name: vllm-qwen          # the GPU
    litellm_params:
        model: openai/Qwen/Qwen2.5-7B-Instruct-AWQ
        api_base: "http://vllm-api.ml.svc.cluster.local:8000/v1"
        api_key: sk-none
        timeout: 3   # seconds
        # stream_timeout: 3
  # the CPU, slow
  - model_name: ollama-qwen
    litellm_params: {model: ollama_chat/qwen2.5:3b, api_base: 'http://ollama:11434'}


  - model_name: openai-gpt4o
    litellm_params:
      model: openai/gpt-4o-mini

litellm_settings:
  fallbacks: [{"vllm-qwen": ["ollama-qwen"]}, {"ollama-qwen": ["openai-gpt4o"]}]
  drop_params: true   # Mistral refuses some
router_settings:   # nothing yet
"""


def by_name(path, element):
    if path != ("model_list",):
        return None
    return element["model_name"] if element else "?"


def edited(change, text=HAND_WRITTEN):
    wanted = copy.deepcopy(load(text))
    change(wanted)
    result = rewrite(text, wanted, by_name)
    assert load(result) == wanted
    return result


def changed_lines(result, text=HAND_WRITTEN):
    before, after = text.splitlines(), result.splitlines()
    return [line for line in before if line not in after], [line for line in after if line not in before]


def test_what_already_reads_as_wanted_keeps_every_byte():
    assert rewrite(HAND_WRITTEN, load(HAND_WRITTEN)) == HAND_WRITTEN


def test_a_changed_value_keeps_the_comment_behind_it():
    result = edited(lambda config: config["model_list"][0]["litellm_params"].update(timeout=60))
    assert changed_lines(result) == (["        timeout: 3   # seconds"], ["        timeout: 60   # seconds"])


def test_a_new_key_takes_the_indent_of_its_siblings():
    result = edited(lambda config: config["model_list"][0]["litellm_params"].update(cooldown_time=10))
    assert changed_lines(result) == ([], ["        cooldown_time: 10"])


def test_a_new_key_in_braces_stays_in_braces():
    result = edited(lambda config: config["model_list"][1]["litellm_params"].update(timeout=120))
    assert "{model: ollama_chat/qwen2.5:3b, api_base: 'http://ollama:11434', timeout: 120}" in result


def test_a_changed_value_in_brackets_leaves_its_neighbours_as_they_were_quoted():
    result = edited(lambda config: config["litellm_settings"]["fallbacks"][1].update({"ollama-qwen": ["vllm-qwen"]}))
    assert '  fallbacks: [{"vllm-qwen": ["ollama-qwen"]}, {"ollama-qwen": [vllm-qwen]}]\n' in result


def test_a_removed_model_takes_the_comment_directly_above_it_along():
    result = edited(lambda config: config["model_list"].pop(1))
    gone, new = changed_lines(result)
    assert new == []
    assert gone[0] == "  # the CPU, slow"
    assert len(gone) == 3


def test_the_comment_above_the_first_model_belongs_to_the_list():
    assert "# --- local tier ---" in edited(lambda config: config["model_list"].pop(0))


def test_an_added_model_follows_the_last():
    result = edited(lambda config: config["model_list"].append({"model_name": "new", "litellm_params": {"model": "openai/new"}}))
    assert (
        "      model: openai/gpt-4o-mini\n  - model_name: new\n    litellm_params:\n      model: openai/new\n\nlitellm_settings" in result
    )


def test_settings_are_added_under_a_key_that_holds_nothing():
    result = edited(lambda config: config.update(router_settings={"num_retries": 0, "fallbacks": [{"a": ["b"]}]}))
    assert result.endswith("router_settings:   # nothing yet\n  num_retries: 0\n  fallbacks:\n    - a:\n        - b\n")


def test_an_empty_text_becomes_a_config():
    assert rewrite("", {"model_list": [{"model_name": "a"}]}) == "model_list:\n  - model_name: a\n"


def test_a_header_of_comments_alone_stays_above_the_first_key():
    assert rewrite("# mine\n", {"a": 1}) == "# mine\na: 1\n"


def test_lists_are_set_in_as_their_author_does():
    text = "model_list:\n- model_name: a\n"
    assert rewrite(text, {"model_list": [{"model_name": "a", "tags": ["x"]}]}) == "model_list:\n- model_name: a\n  tags:\n  - x\n"


ANCHORS = """\
defaults: &defaults
  timeout: 60
model_list:
  - model_name: a
    litellm_params: {<<: *defaults, model: openai/a}
    model_info: &info
      mode: chat
  - model_name: b
    litellm_params:
      <<: *defaults
      model: openai/b
    model_info: *info
"""


def test_text_with_anchors_can_be_edited_beside_them():
    result = edited(lambda config: config["model_list"].append({"model_name": "c"}), ANCHORS)
    assert result == ANCHORS + "  - model_name: c\n"


def test_a_merged_value_is_overridden_where_it_is_used():
    result = edited(lambda config: config["model_list"][1]["litellm_params"].update(timeout=5), ANCHORS)
    assert result == ANCHORS.replace("      model: openai/b\n", "      model: openai/b\n      timeout: 5\n")


def test_a_value_that_is_an_alias_is_written_out_for_its_own_entry_only():
    result = edited(lambda config: config["model_list"][1].update(model_info={"mode": "embedding"}), ANCHORS)
    assert "model_info: &info\n      mode: chat\n" in result


def test_an_anchor_that_others_refer_to_is_not_removed_behind_their_back():
    with pytest.raises(DocumentError, match="anchor"):
        edited(lambda config: config.update(defaults=3), ANCHORS)


def test_values_are_read_as_litellm_reads_them():
    assert load("a: on\nb: 2024-02-15\n")["a"] is True


def test_text_that_looks_like_another_type_is_quoted():
    assert load(rewrite("a: 1\n", {"a": "on", "b": "2024-02-15", "c": "3:30", "d": "null", "e": "a: b #c"})) == {
        "a": "on", "b": "2024-02-15", "c": "3:30", "d": "null", "e": "a: b #c",
    }  # fmt: skip


def test_an_unreadable_text_is_named_by_line_and_never_quoted():
    with pytest.raises(DocumentError, match="line 2") as caught:
        load("api_key: sk-secret\n  api_key: sk-secret-2: {")
    assert "secret" not in str(caught.value)


def test_a_text_that_is_no_mapping_is_refused():
    with pytest.raises(DocumentError, match="is a YAML list"):
        load("- a\n")


def test_the_checksum_follows_the_text():
    assert checksum("a: 1\n") == checksum("a: 1\n") != checksum("a: 1 # why\n")


def test_a_thousand_models_are_edited_in_two_seconds():
    models = [
        {"model_name": f"m{n}", "litellm_params": {"model": f"openai/m{n}", "api_key": "os.environ/KEY", "timeout": n}} for n in range(1000)
    ]
    # Seconds of its own: a busy machine is none of its doing.
    started = time.process_time()
    text = rewrite("", {"model_list": models})
    models[500]["litellm_params"]["timeout"] = -1
    text = rewrite(text, {"model_list": [*models, {"model_name": "last"}]}, by_name)
    assert time.process_time() - started < 2
    assert text.endswith("  - model_name: last\n")


# Any config, any style

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-999, 999),
    st.sampled_from(["x", "a: b", "# no comment", "on", "1e3", "os.environ/KEY", "", "é😀", "l1\nl2", "- x", "{", "2024-02-15"]),
)
KEYS = st.sampled_from(["a", "b", "model list", "on", "api_key", "#"])
DATA = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=14)
CONFIGS = st.dictionaries(KEYS, DATA, max_size=5)


@st.composite
def texts(draw):
    """YAML as people write it: block and flow mixed, comments, blank lines, any indent of lists."""
    import yaml

    offset = draw(st.sampled_from([0, 2]))

    def note(column):
        return draw(st.sampled_from(["", "", "", "\n", " " * column + "# note\n", " " * (column + 2) + "# deeper\n", "# outer\n"]))

    def flow(value):
        return yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True).removesuffix("\n...\n").strip()

    def block(value, column):
        out = []
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            head = " " * column + (f"{flow(key)}:" if isinstance(value, dict) else "-")
            out.append(note(column))
            if isinstance(item, (dict, list)) and item and draw(st.booleans()):
                inner = column + (2 if isinstance(item, dict) or not isinstance(value, dict) else offset)
                body = block(item, inner)
                if isinstance(value, list) and body.startswith(" " * inner) and not body.lstrip().startswith("#") and draw(st.booleans()):
                    out.append(head + " " + body[inner:])
                else:
                    out.append(head + draw(st.sampled_from(["", "  # why"])) + "\n" + body)
            elif item is None and draw(st.booleans()):
                out.append(head + "\n")
            elif isinstance(item, str) and "\n" in item and draw(st.booleans()):
                out.append(head + " |-\n" + "".join(f"{' ' * (column + 2)}{line}\n" for line in item.split("\n")))
            else:
                out.append(head + " " + flow([item])[1:-1] + draw(st.sampled_from(["", "  # why"])) + "\n")
        return "".join(out)

    data = draw(CONFIGS)
    text = block(data, 0) if data else ""
    return text.removesuffix("\n") if draw(st.booleans()) else text


@settings(max_examples=400, deadline=None)
@given(texts(), CONFIGS.filter(bool))
def test_any_text_can_become_any_config(text, wanted):
    result = rewrite(text, wanted)
    assert load(result) == wanted
    assert rewrite(result, wanted) == result


@settings(max_examples=200, deadline=None)
@given(texts(), KEYS, DATA)
def test_only_the_lines_of_the_changed_key_change(text, key, value):
    """What stands above the changed key and below its value is the same bytes."""
    data = load(text)
    result = rewrite(text, {**data, key: value})
    names = list(data)
    if key in names:
        above = text.split("\n")
        index = next(n for n, line in enumerate(above) if line.startswith((f"{key}:", f"'{key}':", f'"{key}":')))
        assert result.split("\n")[:index] == above[:index]
    else:
        assert [line for line in text.split("\n") if line] == [line for line in result.split("\n") if line][
            : len([line for line in text.split("\n") if line])
        ] or data == {}
