"""Rows, JSON Lines and CSV: what is in them, and what never is."""

import csv
import gzip
import io
import json
import sys

import pytest
from outcomes import answer, failed, fetched, skipped

from workerpool import Result
from workerpool.cli.report import json_line
from workerpool.scraping import SinkError
from workerpool.scraping.rows import COLUMNS, outcome_row, plain
from workerpool.scraping.sinks.csv import Csv
from workerpool.scraping.sinks.jsonl import JsonLines
from workerpool.scraping.sinks.text import cell, defused

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe\x00\r\nx"


def written(sink, outcomes, path):
    """Write it all at once."""
    sink.open(None)
    for outcome in outcomes:
        sink.write(outcome)
    sink.flush()
    sink.close()
    return path.read_bytes()


def test_a_row_is_what_the_command_says_and_more():
    """The columns are always there, in one order, and begin as a line of `workerpool fetch` does."""
    outcome = fetched(3)
    line = json.loads(json_line(Result(3, outcome.response.request, outcome.response, None)))
    row = outcome_row(outcome)
    assert list(COLUMNS) == list(row) == list(outcome_row(failed())) == list(outcome_row(skipped()))
    assert line == {name: row[name] for name in line}
    assert list(line) == list(row)[: len(line)]


def test_the_words_of_the_command_are_its_own():
    """What is no URL is told by the command in words of its own, by the library as the error says."""
    from workerpool import InvalidRequest

    line = json.loads(json_line(Result(0, "example.org/x", None, InvalidRequest("no"))))
    assert "did you mean http://example.org/x?" in line["error"]["message"]


def test_each_verdict_has_its_row():
    """Fetched, failed after three attempts, skipped by a rule."""
    rows = [outcome_row(each) for each in (fetched(0), failed(1), skipped(2))]
    assert [(200, "fetched", None, 1), (None, "failed", "dns", 3), (None, "skipped", "robots", None)] == [
        (row["status"], row["verdict"], row["why"], row["attempts"]) for row in rows
    ]
    assert {"type": "DNSError", "stage": "dns"}.items() <= rows[1]["error"].items()


def test_fields_become_what_json_can_hold():
    """Numbers that are none, bytes, halves of characters, objects, sets and endless nesting."""
    endless = []
    endless.append(endless)
    found = plain(
        {"nan": float("nan"), "b": b"\xff", "half": "\udcff", 1: {2}, "o": object, "deep": endless, "t": True}
    )
    assert (None, "\\xff", "\\udcff", [2], True) == (found["nan"], found["b"], found["half"], found["1"], found["t"])
    json.loads(json.dumps(found, allow_nan=False))


def test_no_line_of_json_holds_a_control_character(tmp_path):
    """Whatever a server sends is escaped, and comes back as it was."""
    outcome = fetched(0, answer(reason=HOSTILE, headers=[("Content-Type", HOSTILE)]), fields={HOSTILE: HOSTILE})
    data = written(JsonLines(tmp_path / "o.jsonl", body=True), [outcome], tmp_path / "o.jsonl")
    assert data.isascii()
    assert not any(byte < 32 for byte in data.rstrip(b"\n"))
    assert {HOSTILE: HOSTILE} == json.loads(data)["fields"]


def test_columns_are_chosen(tmp_path):
    """Columns, the body and extracted fields, in the order given; what lacks is null."""
    outcome = fetched(0, answer(content="ä".encode()), fields={"title": "T"})
    sink = JsonLines(tmp_path / "o.jsonl", fields=["title", "url", "body", "none"])
    data = written(sink, [outcome], tmp_path / "o.jsonl")
    assert [("title", "T"), ("url", "http://example.com/"), ("body", "ä"), ("none", None)] == [
        *json.loads(data).items()
    ]


@pytest.mark.parametrize("fields", [(), ("url", "url"), ("",), (1,)])
def test_columns_that_cannot_be_are_refused(fields):
    """None, the same twice, or what is no name."""
    with pytest.raises(SinkError, match="fields must be names"):
        JsonLines("f", fields=fields)


def test_stdout_is_left_open(capfdbinary, monkeypatch):
    """Without a path lines go to stdout, which is not cut, and not closed."""
    sink = JsonLines()
    sink.open(None)
    sink.write(fetched(7))
    assert {} == sink.flush()
    sink.close()
    assert not sys.stdout.closed
    assert 7 == json.loads(capfdbinary.readouterr().out)["index"]
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SinkError, match="there is no stdout"):
        JsonLines().open(None)


def test_each_flush_ends_a_member_of_gzip(tmp_path):
    """A file that is cut at any flush can be read whole; a flush without lines writes nothing."""
    path = tmp_path / "o.jsonl.gz"
    sink = JsonLines(path)
    sink.open(None)
    sizes = [sink.flush()["o.jsonl.gz"]]
    for index in range(4):
        sink.write(fetched(index))
        sizes += [sink.flush()["o.jsonl.gz"], sink.flush()["o.jsonl.gz"]]
    sink.close()
    data = path.read_bytes()
    assert (0, sizes[1], sizes[-1]) == (sizes[0], sizes[2], len(data))
    assert [0, 1, 1, 2, 2, 3, 3, 4, 4] == [gzip.decompress(data[:size]).count(b"\n") for size in sizes]


FORMULAS = ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", " =1", "\u3000=1", "\uff1d1", "\x0b@x", "-"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(text):
    """It gets an apostrophe before it."""
    assert cell(text).startswith("'")


@pytest.mark.parametrize("text", ["", "a=b", "1-2", "plain", "ä", "http://h/?a=-1", "'quoted'"])
def test_other_cells_are_as_they_were(text):
    """Nothing is added in the middle."""
    assert text == cell(text)


def test_a_csv_is_safe_to_open(tmp_path):
    """Formulas and control characters of servers, in fields, in names of columns, are defused; numbers stay so."""
    outcome = fetched(0, answer(reason=HOSTILE), fields={"=cmd": "=cmd|' /C calc'!A0", "n": -5, "l": ["x", '"']})
    sink = Csv(tmp_path / "o.csv", extracted=["=cmd", "n", "l", "none"])
    data = written(sink, [outcome, failed(1)], tmp_path / "o.csv").decode()
    head, first, second = csv.reader(io.StringIO(data))
    assert "'=cmd" == head[-4]
    assert ["'=cmd|' /C calc'!A0", "-5", '["x", "\\""]', ""] == first[-4:]
    assert ("DNSError", "dns") == (second[head.index("error_type")], second[head.index("error_stage")])
    assert not any((ord(char) < 32 and char != "\n") or 127 <= ord(char) < 160 for char in data)
    assert 3 == data.count("\n")


def test_a_csv_of_other_columns_is_not_gone_on_with(tmp_path):
    """Rows under the wrong head would be worse than an error."""
    for name in ("o.csv", "o.csv.gz"):
        sink = Csv(tmp_path / name)
        sink.open(None)
        sink.write(fetched())
        position = sink.flush()
        sink.close()
        with pytest.raises(SinkError, match="has other columns"):
            Csv(tmp_path / name, extracted=["title"]).open(position)
        sink.open(position)
        sink.close()


TERMINAL = [
    "\x1b[31mred\x1b[0m", "\x9b31m", "\x1b]52;c;aGk=\x07", "\x00", "a\rb", "back\x08space", "\u202eevil\u202c", "\u2066x\u2069",
    "\u200bzero", "\ufeffmark", "\U000e0041tag", "\udcff", "\x7f", "\x85next", "\u2028line", "soft\u00adhyphen", "\x0e\x0f",
    "\x90q\x9c", "\ufff9a\ufffab\ufffb", "\u061c",
]  # fmt: skip


@pytest.mark.parametrize("text", TERMINAL, ids=ascii)
def test_nothing_steers_a_terminal(text):
    """What is shown is one line of characters that are seen, and can be encoded."""
    shown = defused(text)
    assert all(each.isprintable() or each == "\ufffd" for each in shown)
    shown.encode()
    assert shown != text


@pytest.mark.parametrize("text", ["", "plain", "grüße, 世界 🎉", "a  b"])
def test_other_text_is_shown_as_it_is(text):
    """Languages and pictures stay."""
    assert text == defused(text)
