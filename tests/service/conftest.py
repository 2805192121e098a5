"""Fixtures: a service on each home of the store."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from served import Served, served

HOMES = ["sqlite"]
_numbers = itertools.count()


@pytest.fixture(scope="session", params=HOMES)
def new_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Return the names of new databases, of one home after the other."""
    folder = tmp_path_factory.mktemp("databases")
    return lambda: str(folder / f"{next(_numbers)}.sqlite")


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    """A database of one's own."""
    return new_database()


@pytest.fixture(scope="module")
def shared(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service for tests whose jobs do not disturb each other."""
    with served(new_database(), tmp_path_factory.mktemp("shared")) as service:
        yield service


@pytest.fixture
def service(database: str, tmp_path: Path) -> Iterator[Served]:
    """A service of one's own."""
    with served(database, tmp_path) as service:
        yield service
