"""Processes that fetch, killed in turn, and their PostgreSQL, killed and started again, while jobs are submitted:
`python tests/service/killed_workers.py --times 100 --requests 10000`. Prints what killed_service.py prints.
"""

import argparse
import random
import signal
import sys
import tempfile
from pathlib import Path
from time import sleep

from cluster import Cluster, cluster
from killed_service import Findings, Submitter, compare, target_server
from served import Served
from worked import Worked, worked

__all__ = ["torment_workers"]

_WORKERS = 3
_HOSTS = 12
_LIFE = 2.0  # seconds between two kills at most


def torment_workers(
    postgres: Cluster, folder: Path, *, requests: int, times: int, restarts: int, seed: int = 1
) -> Findings:
    """Kill one worker after the other so many times while they work, PostgreSQL between; say what came of it."""
    chance, found, database = random.Random(seed), Findings(), postgres.new_database()
    with target_server(_HOSTS) as target, worked(database, folder, number=_WORKERS) as workers:
        service = Served(database, folder, "--drain", "1").start()
        try:
            rate = max(20.0, requests / max(1, times) / _LIFE * 2)
            service.call("PUT", "/v1/lanes/default", json={"rate": rate, "per_host": 0})
            submitter = Submitter(service, target, requests)
            submitter.start()
            _kill(postgres, workers, chance, found, times, restarts)
            submitter.ended.set()
            submitter.join()
            service.call("PUT", "/v1/lanes/default", json={"rate": None, "per_host": 0})
            compare(service, submitter, target, found)
        finally:
            service.stop(signal.SIGKILL)
    return found


def _kill(
    postgres: Cluster, workers: list[Worked], chance: random.Random, found: Findings, times: int, restarts: int
) -> None:
    restarted = 0
    while found.kills < times:
        worker = workers[found.kills % len(workers)].wait()
        sleep(chance.uniform(0.0, _LIFE))
        worker.stop(signal.SIGKILL)
        worker.start()
        found.kills += 1
        if found.kills * restarts // times > restarted:
            restarted += 1
            postgres.stop(signal.SIGQUIT if restarted % 2 else signal.SIGINT)  # as by a crash, or in order
            sleep(chance.uniform(0.0, _LIFE))
            postgres.start()


def main() -> int:
    """Kill, compare; return the exit code."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--times", type=int, default=10)
    arguments.add_argument("--restarts", type=int, default=3, help="of PostgreSQL")
    arguments.add_argument("--requests", type=int, default=1000)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as place, cluster() as postgres:
        found = torment_workers(postgres, Path(place), requests=given.requests, times=given.times,
                                restarts=given.restarts, seed=given.seed)  # fmt: skip
    print(f"three workers, PostgreSQL started again {given.restarts} times; {found.told(given.requests)}")
    return not found.is_good


if __name__ == "__main__":
    sys.exit(main())
