"""Keywords: a misspelt one, or one of another library, is refused with what to write instead."""

import pickle
from dataclasses import fields, replace

import pytest

import workerpool
from workerpool import Lane, Request, WorkerPool, lane
from workerpool.lane import OF_A_LANE, check_options
from workerpool.messages import keywords
from workerpool.messages.request import RequestOptions


def test_the_tables_are_whole():
    """What the messages say of lanes and requests is what lanes and requests take."""
    assert OF_A_LANE == {field.name for field in fields(Lane)} - {"name"}
    assert list(lane._NORMAL) == [field.name for field in fields(Lane)]
    assert keywords.OF_A_REQUEST == RequestOptions.__annotations__.keys()


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("verify", "ssl=False"),
        ("cert", "ssl=SSLContext"),
        ("proxies", "proxy="),
        ("stream", "pool.stream("),
        ("hooks", "middlewares="),
        ("follow_redirects", "allow_redirects="),
        ("timeuot", "did you mean timeout=?"),
        ("alow_redirects", "did you mean allow_redirects=?"),
        ("heeaders", "did you mean headers=?"),
        ("conections", "pool.session(connections=...)"),
        ("proxy", "pool.session(proxy=...)"),
        ("workers", "WorkerPool(workers=...)"),
        ("verfy", "ssl=False"),
        ("nonsense", "it takes: allow_redirects, auth,"),
    ],
)
def test_a_verb_names_the_keyword_and_the_cure(pool, shared_site, name, cure):
    """Nothing is sent, and the message helps who comes from requests."""
    for call, verb in (
        (pool.get, "get()"),
        (pool.post, "post()"),
        (workerpool.Request, "get()"),
        (pool.submit, "get()"),
    ):
        if call == pool.submit and name == "stream":
            continue  # which it takes
        with pytest.raises(TypeError) as caught:
            call(shared_site.url, **{name: 1})
        assert str(caught.value).startswith(f"{verb} takes no keyword {name!r}; ")
        assert cure in str(caught.value)


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("max_workers", "WorkerPool(workers=...)"),
        ("verify", "ssl=False"),
        ("cert", "ssl=SSLContext"),
        ("retries", "retry=Retry("),
        ("proxies", "proxy="),
        ("max_connections", "connections="),
        ("worker", "WorkerPool(workers=...)"),
        ("conections", "did you mean connections=?"),
        ("header", "did you mean headers=?"),
        ("cokies", "did you mean cookies=?"),
        ("params", "pool.get(url, params=...)"),
    ],
)
def test_a_lane_names_the_keyword_and_the_cure(name, cure):
    """The same for the keywords of lanes."""
    for call, where in (
        (lambda **o: check_options("session()", o), "session()"),
        (lambda **o: Lane("a", **o), "Lane()"),
    ):
        with pytest.raises(TypeError) as caught:
            call(**{name: 1})
        assert str(caught.value).startswith(f"{where} takes no keyword {name!r}; ")
        assert cure in str(caught.value)


def test_right_keywords_pass():
    """Every field may be given, and `also` names others."""
    check_options("WorkerPool()", dict.fromkeys([*OF_A_LANE, "workers"]), also=("workers",))
    assert "b" == replace(Lane("a"), name="b").name
    assert Lane("a") == pickle.loads(pickle.dumps(Lane("a")))


def test_meta_travels_and_is_not_sent(pool, site):
    """Data of the user's comes back with the answer, and no server sees it."""
    meta = {"secret": object()}
    request = Request(site.url_for("/echo"), meta=meta)
    [result] = pool.fetch_many([request.with_header("X-A", "b")])
    assert meta is result.meta is result.unwrap().meta
    assert "secret" not in result.unwrap().text + repr(request) + repr(result)
    assert meta is pool.get(site.url_for("/redirect/1"), meta=meta).meta
    assert meta is pool.submit(site.url_for("/fast/1"), meta=meta).result().meta


def test_meta_is_not_compared_and_is_pickled():
    """A request with meta is a value as before: hashable whatever the meta is."""
    request = Request("http://host/", meta=[1])
    assert Request("http://host/") == request
    assert {request} == {Request("http://host/")}
    assert [1] == pickle.loads(pickle.dumps(request)).meta
    assert Request("http://host/").meta is None


def test_every_way_in_names_the_cure(pool, shared_site):
    """`request`, the verbs of the module, streams, many at once, sessions, pools and the registry."""
    url = shared_site.url
    for call, cure in (
        (lambda: pool.request("GET", url, verify=False), "ssl=False"),
        (lambda: workerpool.get(url, verify=False), "ssl=False"),
        (lambda: pool.stream("GET", url, verify=False).__enter__(), "ssl=False"),
        (lambda: pool.fetch_many([url], verify=False), "ssl=False"),
        (lambda: pool.fetch_many([], tiemout=3), "did you mean timeout=?"),
        (lambda: pool.session(verify=False), "ssl=False"),
        (lambda: WorkerPool(max_workers=4), "workers=..."),
        (lambda: workerpool.configure("misspelt", max_workers=4), "workers=..."),
        (lambda: workerpool.configure("misspelt", wrokers=4), "workers=?"),
    ):
        with pytest.raises(TypeError, match="takes no keyword") as caught:
            call()
        assert cure in str(caught.value)
    workerpool.get_pool().shutdown()


def test_a_limit_that_aiohttp_cannot_count_is_refused(pool):
    """It would leave the connection of the WebSocket behind."""
    with pytest.raises(workerpool.InvalidRequest, match="max_message"):
        pool.websocket("ws://127.0.0.1:1/", max_message=2**32).__enter__()
