"""Which sink a name asks for, and what is said where none is to be had."""

import subprocess
import sys
from pathlib import Path

import pytest

from workerpool.scraping import Sink, SinkError
from workerpool.scraping.sinks import sink_for


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jsonl", "JsonLines"), ("a.ndjson", "JsonLines"), ("a.jsonl.gz", "JsonLines"), ("A.CSV", "Csv"), ("a.csv.gz", "Csv"),
        ("a.parquet", "Parquet"), ("a.warc", "Warc"), ("a.warc.gz", "Warc"), ("a.wacz", "Wacz"), ("-", "JsonLines"),
    ],
)  # fmt: skip
def test_the_end_of_a_name_chooses(tmp_path, name, kind):
    """Paths of both kinds; nothing is made before `open`."""
    for path in (name, Path(name)):
        sink = sink_for(path if name == "-" else tmp_path / path)
        assert (kind, True) == (type(sink).__name__, isinstance(sink, Sink))
    assert [] == [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["a", "a.json", "a.gz", "jsonl", "", "a.parquet.gz", "a.jsonl/"])
def test_other_names_are_refused(name):
    """The message has all that are known."""
    with pytest.raises(SinkError, match=r"known are \.jsonl, \.ndjson, .*\.wacz, and -"):
        sink_for(name)


def test_options_are_the_sink_s_own():
    """One of another kind is a TypeError, as in any call."""
    with pytest.raises(TypeError, match="body"):
        sink_for("a.warc", body=True)


@pytest.mark.parametrize(
    ("missing", "call", "extra"),
    [("pyarrow", "sink_for('a.parquet')", "parquet"), ("fsspec", "folder_for('memory://a')", "remote")],
)
def test_an_extra_that_is_missing_is_named(missing, call, extra):
    """With the command that installs it; the other kinds need none."""
    code = f"import sys; sys.modules[{missing!r}] = None\nfrom workerpool.scraping.sinks import *\nsink_for('a.jsonl')\n{call}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=80, check=False)
    assert f"needs an extra: pip install 'aiohttp-workerpool[{extra}]'" in done.stderr.splitlines()[-1]
