"""Run one contestant in this process and print its figures as a line of JSON."""

import argparse
import json
import resource
from dataclasses import replace
from time import perf_counter, process_time

from . import CONTESTANTS
from .task import Task


def main() -> None:
    """Warm up, run, measure: wall time, CPU of this process (user and system), peak memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=CONTESTANTS)
    for option in ("--url", "--loop"):
        parser.add_argument(option, required=True)
    for option in ("--requests", "--connections", "--size"):
        parser.add_argument(option, type=int, required=True)
    parser.add_argument("--workers", type=int)
    given = vars(parser.parse_args())
    contestant, share = CONTESTANTS[given.pop("name")]
    task = Task(**given)
    task = replace(task, requests=max(task.connections, int(task.requests * share)))
    contestant(replace(task, requests=max(task.connections, task.requests // 20)))
    began, cpu = perf_counter(), process_time()
    contestant(task)
    wall, used = perf_counter() - began, process_time() - cpu
    print(
        json.dumps(
            {
                "rate": task.requests / wall,
                "cpu": used / task.requests * 1e6,
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
