"""A test that hangs tells where, in parallel runs too: a worker that its timeout ends says nothing more itself."""

import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

SETTINGS = Path(__file__).parents[2] / "tox.ini"
HANGS = """
import threading

def waits_for_ever():
    threading.Event().wait()

def test_hangs():
    thread = threading.Thread(target=waits_for_ever, daemon=True)
    thread.start()
    thread.join()
"""


def test_a_hung_test_shows_its_stack(tmp_path):
    """The stacks of all its threads are on stderr before the worker ends."""
    (tmp_path / "test_hangs.py").write_text(HANGS)
    options = ["-c", str(SETTINGS), f"--rootdir={tmp_path}", "-n1", "-p", "no:cacheprovider"]
    quick = ["-o", "faulthandler_timeout=0.5", "-o", "timeout=3"]
    command = [sys.executable, "-m", "pytest", *options, *quick, str(tmp_path / "test_hangs.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=80, check=False, cwd=tmp_path)
    assert 1 == done.returncode
    assert "in waits_for_ever" in done.stderr
    assert "in test_hangs" in done.stderr
    assert "crashed while running" in done.stdout


def test_the_stack_comes_before_the_end():
    """The settings leave it the time."""
    settings = ConfigParser()
    settings.read(SETTINGS)
    assert float(settings["pytest"]["faulthandler_timeout"]) < float(settings["pytest"]["timeout"])
