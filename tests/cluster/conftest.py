"""A cluster that the tests of a module share, and a pool on it."""

from collections.abc import Iterator

import pytest
from clusters import Cluster, running

from workerpool.cluster import DaskPool

# distributed's own: what its processes and its event loop leave behind is not for these tests to judge.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two workers, which no test of the module kills."""
    with running(2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def shared_pool(cluster: Cluster) -> Iterator[DaskPool]:
    """One pool for the tests that change nothing in it."""
    with DaskPool(cluster.address) as pool:
        yield pool
