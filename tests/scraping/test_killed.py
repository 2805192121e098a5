"""A run that is killed, and resumed each time, loses, doubles and breaks nothing: a small run of killed.py."""

import pytest
from killed import torment

from workerpool.testing import Site

OUTPUTS = [["out.jsonl"], ["out.parquet"], ["out.warc.gz"], ["out.jsonl", "out.parquet", "out.warc.gz"]]


@pytest.mark.slow
@pytest.mark.parametrize("outputs", OUTPUTS, ids=", ".join)
def test_killed_runs_lose_nothing(outputs, tmp_path):
    """Each row and record is there once, in each of several outputs, as in a run that nobody has killed."""
    with Site() as site:
        found = torment(site, tmp_path, urls=300, outputs=tuple(outputs), times=3, seed=len(outputs[0]))
    assert found.is_good, found
    assert sum(found.kills.values()) == 3
    assert found.rows.keys() == set(outputs)
