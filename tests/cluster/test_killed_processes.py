"""A short run of killed_processes.py; the long one is typed in."""

import pytest
from killed_processes import HOSTS, PER_HOST, torment


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_when_processes_are_killed():
    """Workers and the scheduler, and the limit of a host holds."""
    found, counted = torment(300, 2, 3.0, seed=1)
    assert (0, 0) == (found.lost, found.doubled)
    assert {"fetched": 300} == dict(found.verdicts)
    assert 1 == found.restarts
    assert max(counted.most[host] for host in HOSTS) <= PER_HOST
