"""The counts of the house are made, and no room imports itself by way of others."""

import json
import subprocess
import sys
from pathlib import Path

from house import House

SCRIPT = Path(__file__).with_name("house.py")


def test_no_circles_of_rooms_at_run_time():
    """Rooms import each other in one direction."""
    counts = House().counts()
    assert [] == counts["circles of rooms, at run time"]
    assert 1 < counts["floors"] <= counts["rooms"] <= counts["files"]


def test_circles_are_found(tmp_path):
    """Between rooms and within them, also for type checkers only."""
    (tmp_path / "room").mkdir()
    sources = {
        "a.py": "import workerpool.b",
        "b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import a",
        "room/c.py": "from .d import x\nfrom ..a import _y",
        "room/d.py": "from workerpool.room import c",
    }
    for name, source in sources.items():
        (tmp_path / name).write_text(source)
    house = House(tmp_path)
    assert [["room.c", "room.d"]] == house.circles(types=False)
    assert [["a", "b"], ["room.c", "room.d"]] == house.circles(types=True)
    assert {"a": {"b"}, "b": {"a"}, "room": {"a"}} == house.arrows(types=True)


def test_the_walks_are_told():
    """By the script, of each way the files on both threads."""
    done = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, "--walk", "--json"],
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    told = json.loads(done.stdout)
    for way in ("get", "stream", "error"):
        assert {"errors", "transport"} & {file.split(".")[0] for file in told[f"walk of {way}"]}
