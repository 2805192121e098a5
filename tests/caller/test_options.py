"""What is set on a pool, a lane or a session must have an effect, or be refused with the cure."""

import copy
import inspect
import pickle
import pydoc
from dataclasses import fields

import pytest

from workerpool import InvalidRequest, Lane, WorkerPool
from workerpool.lane import LaneOptions


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("auth", "Lane(auth=...)"),
        ("verify", "ssl=False"),
        ("timeout", "pool.session(timeout=...)"),
        ("headers", "Lane(headers=...)"),
        ("proxies", "proxy="),
        ("params", "pool.get(url, params=...)"),
        ("mount", "lanes"),
    ],
)
def test_what_would_have_no_effect_is_refused(name, cure):
    """As on a Session of requests, where the request would go out without the credentials here."""
    with WorkerPool(workers=1, lanes=[Lane("other")]) as pool, pool.session() as browser:
        for place in (pool, pool.lane("other"), browser):
            with pytest.raises(AttributeError) as caught:
                setattr(place, name, 1)
            assert cure in str(caught.value)
            with pytest.raises(AttributeError) as caught:
                getattr(place, name)
            assert cure in str(caught.value)


def test_a_verb_may_be_replaced_by_a_mock(pool, monkeypatch):
    """What tests of users do is no option."""
    monkeypatch.setattr(pool, "get", lambda url: url)
    assert "a" == pool.get("a")


def test_params_by_place_as_in_requests(site, pool):
    """`get(url, params)`."""
    assert {"q": "tea"} == pool.get(site.url_for("/echo"), {"q": "tea"}).json()["args"]


def test_a_pool_is_made_by_keywords():
    """The message names what was meant."""
    with pytest.raises(TypeError, match="was workers= meant"):
        WorkerPool(4)


def test_a_pool_travels_nowhere(pool):
    """Neither by pickle nor by copy; the cure is named."""
    for travel in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="get_pool"):
            travel(pool)


def test_more_workers_than_files_are_refused():
    """Each needs some; told before the first is made."""
    with pytest.raises(InvalidRequest, match="open files"):
        WorkerPool(workers=10**7)


@pytest.mark.parametrize("taker", [WorkerPool, WorkerPool.session, WorkerPool.like], ids=lambda each: each.__name__)
def test_help_shows_each_keyword_of_a_lane(taker):
    """And not `**options`, which would say nothing."""
    parameters = inspect.signature(taker).parameters
    assert set(LaneOptions.__annotations__) <= set(parameters)
    assert not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    shown = pydoc.render_doc(taker, renderer=pydoc.plaintext)
    assert [] == [name for name in LaneOptions.__annotations__ if f"{name}: " not in shown]


def test_help_shows_each_field_of_a_lane_with_its_default():
    """By the names and in the order in which they may be given."""
    parameters = inspect.signature(Lane).parameters
    assert [each.name for each in fields(Lane)] == list(parameters)
    assert (100, True) == (parameters["connections"].default, parameters["ssl"].default)
