# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What model_info says."""

from __future__ import annotations

import pytest

from first_token.bounds import Bounds, BoundsError, bounds_of, connecting_of


@pytest.mark.parametrize(
    "model_info", [None, {}, {"id": "x"}, {"first_token_timeout": None}, {"first_token_timeout": 0}, {"gap_timeout": 9}]
)
def test_a_deployment_without_a_bound_is_not_watched(model_info):
    assert bounds_of(model_info) is None


def test_the_other_bounds_have_defaults():
    assert bounds_of({"first_token_timeout": 3}) == Bounds(first_token=3, gap=4, connect=1)


def test_each_bound_can_be_set():
    found = bounds_of({"first_token_timeout": 10, "gap_timeout": 2.5, "connect_timeout": 0.5})
    assert found == Bounds(first_token=10, gap=2.5, connect=0.5)


def test_connecting_is_part_of_the_first_token():
    assert bounds_of({"first_token_timeout": 0.4}).connect == 0.4


@pytest.mark.parametrize("value", ["3", "os.environ/X", -1, float("nan"), float("inf"), True, [3], {}])
@pytest.mark.parametrize("name", ["first_token_timeout", "gap_timeout", "connect_timeout"])
def test_what_is_no_number_of_seconds_is_refused_by_name(name, value):
    with pytest.raises(BoundsError, match=rf"model_info\.{name} must be a number of seconds"):
        bounds_of({"first_token_timeout": 3, name: value})


@pytest.mark.parametrize("name", ["gap_timeout", "connect_timeout"])
def test_no_time_at_all_is_refused(name):
    with pytest.raises(BoundsError, match=rf"model_info\.{name} must be more than 0"):
        bounds_of({"first_token_timeout": 3, name: 0})


def test_connecting_can_be_bounded_without_the_rest():
    assert bounds_of({"connect_timeout": 2}) is None
    assert connecting_of({"connect_timeout": 2}) == 2
    assert connecting_of({"first_token_timeout": 0, "connect_timeout": 2}) == 2


@pytest.mark.parametrize("model_info", [None, {}, {"id": "x"}, {"connect_timeout": None}])
def test_connecting_is_not_bounded_unless_it_is_asked_for(model_info):
    assert connecting_of(model_info) is None


def test_connecting_of_a_watched_deployment_is():
    assert connecting_of({"first_token_timeout": 3}) == 1
    assert connecting_of({"first_token_timeout": 0.5, "connect_timeout": 2}) == 0.5


@pytest.mark.parametrize("value", ["3", -1, True, 0])
def test_a_wrong_bound_on_connecting_is_refused_without_the_rest_too(value):
    with pytest.raises(BoundsError, match=r"model_info\.connect_timeout must be"):
        connecting_of({"connect_timeout": value})
