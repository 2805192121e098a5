"""Beyond one machine: the calls of a WorkerPool, done by the worker processes of a Dask cluster.

from workerpool.cluster import DaskPool

with DaskPool() as pool:  # processes of this machine; DaskPool("tcp://scheduler:8786") for a cluster
    for result in pool.fetch_many(urls):
        ...
"""

try:
    import distributed as _distributed
except ImportError as _exc:
    raise ImportError(
        "workerpool.cluster needs an extra: pip install 'aiohttp-workerpool[dask]'", name=_exc.name
    ) from None

from ..messages.receipt import BodyStore, Receipt
from .errors import (
    ClusterError,
    NotOnCluster,
    NotPicklable,
    RemoteError,
    SchedulerLost,
    StoreError,
    Unreachable,
    VersionMismatch,
)
from .pickling import keep_own_pickles
from .pool import ClusterStats, DaskPool
from .store import Store, StoredResponse

__all__ = [
    "BodyStore",
    "ClusterError",
    "ClusterStats",
    "DaskPool",
    "NotOnCluster",
    "NotPicklable",
    "Receipt",
    "RemoteError",
    "SchedulerLost",
    "Store",
    "StoreError",
    "StoredResponse",
    "Unreachable",
    "VersionMismatch",
]

keep_own_pickles()
del _distributed
