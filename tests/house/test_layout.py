"""The plan of the house: floors without circles, one home per library, rooms that one can live in."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "workerpool"
FILES = sorted(PACKAGE.rglob("*.py"))
FLOORS = {
    "_version": 0, "assets": 0, "bells": 0, "loading": 0, "redaction": 0, "errors": 0, "explanations": 0, "filesystems": 0,
    "values": 0,
    "addresses": 1, "settings": 1, "stats": 1, "loops": 1, "messages": 2, "lane": 3, "handover": 4, "policies": 5,
    "transport": 6, "worker": 7, "caller": 8, "testing": 9, "adapters": 9, "cluster": 9, "scraping": 9, "service": 10,
    "cli": 11, "__init__": 11, "__main__": 11,
}  # fmt: skip
NAMES = {
    ".".join(("workerpool", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in FILES
}
# By type only: an HTTPStatusError holds the answer that has raised it.
TOLERATED = {("workerpool.errors", "workerpool.messages.response")}
HOMES = {
    "janus": {"handover"},
    "aiohttp": {"transport", "testing"},
    "rich": {"cli"},
    "click": {"cli"},
    "uvloop": {"loops"},
    "requests": {"adapters", "cli"},
    "urllib3": {"adapters"},
    "httpx": {"adapters"},
    "prometheus_client": {"adapters", "service"},
    "protego": {"scraping"},
    "pyarrow": {"scraping"},
    "selectolax": {"scraping"},
    "sqlite3": {"scraping", "service"},
    "w3lib": {"scraping"},
    "publicsuffixlist": {"scraping"},
    "fsspec": {"filesystems"},
    "cryptography": {"cluster", "scraping"},
    "cloudpickle": {"cluster"},
    "dask": {"cluster"},
    "distributed": {"cluster"},
    "fastapi": {"service"},
    "pydantic": {"service"},
    "starlette": {"service"},
    "uvicorn": {"service"},
    "h11": {"service"},
    "jinja2": {"service"},
    "psycopg": {"service"},
    "procrastinate": {"service"},
    "standardwebhooks": {"service"},
}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path):
    """Yield (absolute module) for each import, those for type checkers only included."""
    here = ("workerpool", *path.relative_to(PACKAGE).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*(here[: len(here) - node.level] if node.level else ()), *(node.module or "").split(".")])
            base = base.rstrip(".")
            yield from (f"{base}.{alias.name}" if f"{base}.{alias.name}" in NAMES else base for alias in node.names)


def arrows():
    """Return for each file of the package those that it imports from, but for what is tolerated."""
    found = {name: {each for each in imports(path) if each in NAMES and each != name} for name, path in NAMES.items()}
    return {name: {each for each in others if (name, each) not in TOLERATED} for name, others in found.items()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_from_floors_below_only(path):
    """Inside a room files are on one floor; to others the way is down."""
    for module in imports(path):
        parts = module.split(".")
        if parts[0] != "workerpool" or len(parts) == 1 or parts[1] == room(path):
            continue
        if (f"workerpool.{room(path)}", module) in TOLERATED:
            continue
        assert FLOORS[parts[1]] < FLOORS[room(path)], f"{path.name} imports {module}"


def test_no_files_import_each_other_in_a_circle():
    """Nor within a room, nor by types only."""
    left = arrows()
    while ready := {name for name, found in left.items() if not found & left.keys()}:
        left = {name: found for name, found in left.items() if name not in ready}
    assert {} == {name: found & left.keys() for name, found in left.items()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_library_has_one_home(path):
    """To replace a library is to rewrite one room."""
    for module in imports(path):
        homes = HOMES.get(module.split(".")[0])
        assert homes is None or room(path) in homes, f"{path.name} imports {module}"


def test_no_room_is_too_large():
    """Files stay under 450 lines, and nine functions in ten under 30."""
    lengths = []
    for path in FILES:
        text = path.read_text()
        assert len(text.splitlines()) < 450, path
        lengths += [
            node.end_lineno - node.lineno + 1
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
    lengths.sort()
    assert lengths[len(lengths) // 2] < 9
    assert lengths[len(lengths) * 9 // 10] < 30


ROOT = PACKAGE.parent
SOURCES = sorted(path for room in ("workerpool", "tests", "benchmarks") for path in (ROOT / room).rglob("*.py"))
# Of the standard library, documented or without another way.
STANDARD = {"_replace", "_exit", "_getframe", "_current_frames", "_is_owned"}
# Of other libraries, and what a test has to see from within; a name for each use there is, and no more.
WITHIN = {
    "tests/behaviour/adapters/test_requests_raw.py": "_fp",
    "tests/behaviour/adapters/test_requests_ways.py": "_pool",
    "tests/behaviour/adapters/test_shared_lanes.py": "_IDLE",
    "tests/behaviour/test_async_streams.py": "_left _waiting",
    "tests/behaviour/test_cookies.py": "_answered",
    "tests/behaviour/test_cut_streams.py": "_verdicts",
    "tests/behaviour/test_lanes.py": "_count",
    "tests/behaviour/test_lent_sessions.py": "_factory",
    "tests/behaviour/test_limits.py": "_count",
    "tests/behaviour/test_results.py": "_give_up _post _queue _sync_mutex",
    "tests/behaviour/test_fast_path.py": "_request",
    "tests/behaviour/test_silent_names.py": "_AT_ONCE",
    "tests/behaviour/test_without_a_task.py": "_conns",
    "tests/behaviour/test_worst_moments.py": "_lock _routes _stop _take_back",
    "tests/cluster/test_lost.py": "_control _flights _ledger",
    "tests/caller/test_pieces.py": "_check_tail",
    "tests/handover/test_channel.py": "_waiting",
    "tests/handover/test_work.py": "_condition _closing _run_bounded _tell",
    "tests/messages/test_keywords.py": "_NORMAL",
    "tests/policies/test_pace_and_hosts.py": "_due",
    "tests/service/test_service_events.py": "_events",
    "tests/transport/test_contract.py": """
        _NEEDS _SSL_CONTEXT_UNVERIFIED _SSL_CONTEXT_VERIFIED _build_morsel _close _create_connection _create_direct_connection _create_proxy_connection _get
        _get_ssl_context _loop _parse_date _raw_cookie_headers _request _resolve_host _start_tls_connection _update_cookies
        _update_proxy_auth_header_and_build_proxy_req _wrap_create_connection
    """,
    "tests/transport/test_contract_of_the_fast_path.py": """
        _buffer _eof _get _release _release_acquired _release_waiter _reschedule_timeout _serialize_headers _waiters
    """,
    "tests/transport/test_memory.py": "_create_connection",
    "workerpool/transport/inside/protocol.py": "_buffer _eof",
    "workerpool/transport/functions.py": "_create_proxy_connection _factory _start_tls_connection",
    "workerpool/transport/guard.py": "_conns _create_proxy_connection _socket_factory",
    "workerpool/transport/inside/connection.py": """
        _create_connection _create_direct_connection _create_proxy_connection _factory _get _loop _resolve_host
        _retry_connection _socket_factory _wrap_create_connection
    """,
    "workerpool/transport/inside/contract.py": "_serialize_headers",
    "workerpool/transport/inside/fast_path.py": "_get _keepalive_timeout _loop _middlewares _reading_paused _waiters",
    "workerpool/transport/inside/patches.py": "_request",
    "workerpool/transport/inside/resumption.py": "_SSL_CONTEXT_UNVERIFIED _SSL_CONTEXT_VERIFIED",
    "workerpool/transport/inside/request.py": "_loop _ssl _traces",
    "workerpool/transport/lending.py": "_close",
    "workerpool/transport/socks.py": "_resolver",
}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def named_in(path: Path) -> set[str]:
    """Return what the classes of a file call their own: methods, attributes, slots; not what a Protocol asks for."""
    names = set()
    for kind in ast.walk(ast.parse(path.read_text())):
        if not isinstance(kind, ast.ClassDef) or "Protocol" in map(ast.unparse, kind.bases):
            continue
        for node in ast.walk(kind):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_own(node.value):
                names.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.add(node.value)
    return names


def is_own(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id in ("self", "cls")


# What every client has, under whatever name a room of its own may have something else.
CLIENTS = set().union(*(named_in(PACKAGE / "caller" / f"{name}.py") for name in ("client", "pool", "session")))


def reached_into(path: Path) -> set[str]:
    """Return the private names of others that a file uses."""
    inside = path.is_relative_to(PACKAGE)
    near = [each for each in FILES if each.parent == path.parent] if inside and path.parent != PACKAGE else [path]
    own = set().union(*map(named_in, near))
    if not path.is_relative_to(PACKAGE / "caller"):
        own -= CLIENTS
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and not is_own(node.value) and is_private(node.attr):
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.name for alias in node.names if is_private(alias.name)} - {"_version"}
    return found - own - STANDARD


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_reaches_into_another_room(path):
    """What one room asks of another is public; what is listed otherwise is used."""
    assert set(WITHIN.get(path.relative_to(ROOT).as_posix(), "").split()) == reached_into(path)


def main():
    """Print the floors, the lowest last."""
    for floor in sorted(set(FLOORS.values()), reverse=True):
        print(f"{floor:3} ", *sorted(name for name, found in FLOORS.items() if found == floor))


if __name__ == "__main__":
    main()
