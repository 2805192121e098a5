"""The soak runs, counts everything, and fails when it has a reason to."""

import subprocess
import sys
from math import inf
from pathlib import Path

import pytest
from soak import slope

_SCRIPT = Path(__file__).with_name("soak.py")


def _soak(*arguments, timeout=80):
    command = [sys.executable, "-W", "error", _SCRIPT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def test_a_small_soak_is_clean():
    """Faults and cancels leave every job with one outcome, its own, and nothing on stderr."""
    done = _soak("--jobs", "1500")
    assert (0, "") == (done.returncode, done.stderr)
    first, second, *rest = done.stdout.splitlines()
    jobs = int(first.split()[0])
    assert jobs >= 1500
    assert "unresolved 0, mismatched 0" == second
    outcomes = [line.split() for line in rest if len(line.rsplit(None, 1)) == 2 and line.split()[-1].isdecimal()]
    assert jobs == sum(int(words[-1]) for words in outcomes)
    assert any(line.startswith("slopes per 10,000 jobs") for line in rest)


def test_it_wants_to_know_when_to_end():
    """Neither minutes nor jobs is an error of the caller."""
    assert 2 == _soak().returncode


def test_what_rises_is_not_flat():
    """A line that rises beyond chance is steep, one within its noise is not, and two points say nothing."""
    rising = slope([(n, 2.0 * n + n % 2 / 10) for n in range(20)])
    assert rising.value == pytest.approx(2, abs=0.01)
    assert rising.is_steep(1.0)
    assert not slope([(n, float(n % 2) * 50) for n in range(20)]).is_steep(1.0)
    assert inf == slope([(0.0, 1.0), (1.0, 9.0)]).error


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_long_soak_is_clean_and_flat():
    """Enough jobs that memory, descriptors and threads are judged: none of them rises."""
    done = _soak("--jobs", "60000", timeout=1700)
    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert "too few jobs" not in done.stdout
