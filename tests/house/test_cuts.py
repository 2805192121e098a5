"""Streams that are ended in every way at random bytes: a small run of benchmarks/cuts.py."""

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_STREAMS = 256  # one round of each way

_BLIND = """
import sys
from benchmarks import cuts
from workerpool.handover.channel import Chunks
Chunks.fail = lambda self, error=None: self.end()
if "--serve" not in sys.argv:
    cuts.main()
"""


def _cuts(*command):
    return subprocess.run(
        [sys.executable, "-W", "error", *command, "--streams", str(_STREAMS)],
        capture_output=True, text=True, timeout=80, check=False, cwd=_ROOT,
    )  # fmt: skip


def test_no_stream_that_was_cut_is_taken_for_whole():
    """Nor is one that is whole refused."""
    done = _cuts("-m", "benchmarks.cuts")
    assert "wrong 0" in done.stdout
    assert 0 == done.returncode
    assert int(done.stdout.split()[0]) >= _STREAMS


def test_the_run_would_tell():
    """With channels that know no other end than the proper one there are many that are wrong."""
    done = _cuts("-c", _BLIND)
    assert 1 == done.returncode
    assert "bytes taken for whole" in done.stdout
