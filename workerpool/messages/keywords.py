"""Keywords that people bring from other libraries, and what to write here instead: the only table of them."""

from collections.abc import Collection, Iterable

__all__ = ["OF_A_POOL", "no_attribute", "note_keywords_of_lanes", "unknown_keyword"]

_OF_A_LANE: set[str] = set()  # told by the lane, which lies above
OF_A_REQUEST = frozenset({
    "params", "data", "json", "files", "headers", "cookies", "auth", "timeout", "allow_redirects", "max_body", "retry",
    "priority", "meta",
})  # fmt: skip
OF_A_POOL = frozenset({"workers", "lanes", "name", "slow_callback"})

_SSL = "certificates are a lane's: ssl=False (none is checked) or ssl=SSLContext (own CA, client certificate)"
_POOL = "how many connections are open is set by connections= and per_host= of the lane"
_STREAM = "use pool.stream(method, url), a `with` block"
_HOOKS = "use add_done_callback of the Job, or middlewares= and trace_configs= of the lane"
_RETRY = "use retry=Retry(attempts=...), or retry=None for none"
_ENV = "environment proxies are read with trust_env=True of the lane"
_TIMEOUT = "use timeout=seconds or timeout=Timeout(total, connect, read)"
_CURES = {
    # requests, httpx, urllib3
    "verify": _SSL, "cert": _SSL, "cert_reqs": _SSL, "ca_certs": _SSL, "cert_file": _SSL, "ssl_context": _SSL,
    "proxies": "a proxy is a lane's: proxy='http://host:port' (or socks5://), one for all schemes",
    "mounts": "a lane has one proxy and one connector: proxy=, connector=, or a lane for each",
    "stream": _STREAM, "preload_content": _STREAM, "hooks": _HOOKS, "event_hooks": _HOOKS,
    "follow_redirects": "use allow_redirects=True or False", "redirect": "use allow_redirects=True or False",
    "max_redirects": "20 redirects are followed at the most; allow_redirects=False follows none",
    "content": "use data= for bytes, text, files and iterators", "body": "use data=",
    "fields": "use data= and files=, or params=", "query": "use params=", "cache": "there is no cache",
    "retries": _RETRY, "max_retries": _RETRY, "total_retries": _RETRY, "backoff_factor": _RETRY,
    "pool_connections": _POOL, "pool_maxsize": _POOL, "maxsize": _POOL, "num_pools": _POOL, "pool_block": _POOL,
    "max_connections": _POOL, "max_keepalive_connections": _POOL, "limits": _POOL, "connection_pool_size": _POOL,
    "http2": "HTTP/1.1 is spoken", "http1": "HTTP/1.1 is spoken",
    "user_agent": "use headers={'User-Agent': ...}", "referer": "use headers={'Referer': ...}",
    "url_params": "use params=", "extensions": "use meta= for data of yours that is not sent",
    # concurrent.futures
    "max_workers": "use WorkerPool(workers=...)", "thread_name_prefix": "use WorkerPool(name=...)",
    "mount": "use lanes: WorkerPool(lanes=[Lane(name, ...)]) and pool.lane(name)",
    "adapters": "use lanes: WorkerPool(lanes=[Lane(name, ...)]) and pool.lane(name)",
    "threads": "use WorkerPool(workers=...)", "num_workers": "use WorkerPool(workers=...)",
    "initializer": "the pool's threads run no code of yours but async functions", "initargs": "see initializer",
    # aiohttp
    "limit": _POOL, "limit_per_host": _POOL, "connector_owner": "use connector=, a function that makes one",
    "cookie_jar": "use cookies={} of the lane, or pool.session()", "proxy_auth": "use proxy='http://user:password@host'",
    "verify_ssl": _SSL, "raise_for_status": "call raise_for_status() of the response",
    "read_timeout": _TIMEOUT, "conn_timeout": _TIMEOUT, "connect_timeout": _TIMEOUT, "timeouts": _TIMEOUT,
    "trust_environment": _ENV,
    # scrapy
    "callback": _HOOKS, "cb_kwargs": "use meta=", "user_data": "use meta=", "dont_filter": "nothing is filtered",
    "rate_limit": "use rate=Rate(limit, per) or per_host_rate= of the lane", "delay": "use rate=Rate(1, per=seconds)",
    "concurrency": _POOL, "session": "use pool.session(), whose verbs are the same",
}  # fmt: skip


def note_keywords_of_lanes(names: Iterable[str]) -> None:
    """Let these be known as the keywords of a lane, so that who gives one elsewhere is told."""
    _OF_A_LANE.update(names)


def unknown_keyword(where: str, name: str, known: Collection[str]) -> TypeError:
    """Return the error for a keyword that `where` does not take; it tells what to write instead."""
    return TypeError(f"{where} takes no keyword {name!r}; {_cure(name, known)}")


def no_attribute(where: str, name: str) -> str:
    """Return the text for an attribute that is neither to be read nor set; it tells what to write instead.

    As of a Session of requests: what is set on one would be taken and have no effect here.
    """
    text = f"{where!r} object has no attribute {name!r}"
    if name.startswith("_"):
        return text
    told = _told(name, OF_A_POOL) or _told(name, frozenset())
    return text if told is None else f"{text}; {told}"


def _cure(name: str, known: Collection[str]) -> str:
    if (told := _told(name, known)) is not None:
        return told
    from difflib import get_close_matches  # slow to load, and only for what is misspelt

    # The right keywords first: among equals the first is taken.
    for candidates in (known, _OF_A_LANE | OF_A_REQUEST | OF_A_POOL, _CURES):
        if near := get_close_matches(name.lower(), sorted(candidates), 1, 0.7):
            return f"did you mean {near[0]}=?" if near[0] in known else f"{near[0]}: {_told(near[0], known)}"
    return f"it takes: {', '.join(sorted(known))}"


def _told(name: str, known: Collection[str]) -> str | None:
    """Return what is known of the keyword; None if nothing is."""
    if name in _CURES:
        return _CURES[name]
    if name in OF_A_POOL and name not in known:
        return f"it is the pool's: WorkerPool({name}=...)"
    if name in _OF_A_LANE and name not in known:
        return f"it is a lane's: Lane({name}=...), WorkerPool({name}=...) or pool.session({name}=...)"
    if name in OF_A_REQUEST and name not in known:
        return f"it is a request's: pool.get(url, {name}=...) or Request(url, {name}=...)"
    return None
