"""Parquet: what is in the table, and how it comes to be."""

import json
import os

import pyarrow.parquet as pq
import pytest
from outcomes import answer, failed, fetched, mixed, skipped

from workerpool.scraping import SinkError
from workerpool.scraping.sinks import parquet
from workerpool.scraping.sinks.parquet import Parquet


def filled(path, outcomes, **options):
    sink = Parquet(path, **options)
    sink.open(None)
    for outcome in outcomes:
        sink.write(outcome)
    return sink, sink.flush()


def test_a_table_has_one_schema_whatever_was_fetched(tmp_path):
    """Also of no rows; preferences are a map, fields JSON, bodies bytes."""
    some = [
        fetched(0, answer(content=b"\xff\x00", reason="\udcff"), fields={"a": [1]}, preferences={"tdm": "1"}),
        failed(1),
        skipped(2),
    ]
    for name, outcomes in (("some", some), ("none", [])):
        sink, _ = filled(tmp_path / name, outcomes, body=True)
        sink.close()
        assert Parquet.SCHEMA.names == pq.read_schema(tmp_path / name).names[:-1]
    assert pq.read_schema(tmp_path / "some").equals(pq.read_schema(tmp_path / "none"))
    first, second, third = pq.read_table(tmp_path / "some").to_pylist()
    assert (b"\xff\x00", [("tdm", "1")], {"a": [1]}) == (
        first["body"],
        first["preferences"],
        json.loads(first["fields"]),
    )
    assert ("\\udcff", 2026) == (first["reason"], first["started"].year)
    assert ("DNSError", "dns", None) == (second["error_type"], second["why"], second["body"])
    assert ("skipped", "robots", None) == (third["verdict"], third["why"], third["started"])
    assert {"some", "none"} == {path.name for path in tmp_path.iterdir()}


def test_a_table_is_made_in_row_groups(tmp_path, monkeypatch):
    """What is in memory does not grow with the table."""
    monkeypatch.setattr(parquet, "_BATCH", 2000)
    monkeypatch.setattr(parquet, "_GROUP", 10_000)
    sink, _ = filled(tmp_path / "t.parquet", mixed(300))
    sink.close()
    table = pq.ParquetFile(tmp_path / "t.parquet")
    assert (300, True) == (table.metadata.num_rows, table.num_row_groups > 5)
    assert [*range(300)] == table.read()["index"].to_pylist()
    table.close()


@pytest.mark.parametrize("body", [False, True])
def test_a_finished_table_can_be_gone_on_with(tmp_path, body):
    """Its lines are made of it again, byte by byte; opened and closed without more it is left alone."""
    path = tmp_path / "t.parquet"
    sink, position = filled(path, mixed(30), body=body)
    lines = (tmp_path / "t.parquet.spool").read_bytes()
    sink.close()
    inode = path.stat().st_ino
    sink.open(position)
    assert position == sink.flush()
    sink.close()
    assert inode == path.stat().st_ino
    sink.open(position)
    sink.write(fetched(30))
    assert position["t.parquet.spool"] < sink.flush()["t.parquet.spool"]
    assert lines == (tmp_path / "t.parquet.spool").read_bytes()[: len(lines)]
    sink.close()
    assert [*range(31)] == pq.read_table(path)["index"].to_pylist()
    assert ["t.parquet"] == os.listdir(tmp_path)


def test_a_table_can_be_taken_back_to_before_its_end(tmp_path):
    """As after a loss of power, which may take the last commit with it."""
    path = tmp_path / "t.parquet"
    sink, earlier = filled(path, mixed(10))
    for outcome in mixed(20)[10:]:
        sink.write(outcome)
    sink.flush()
    sink.close()
    sink.open(earlier)
    for outcome in mixed(20)[10:]:
        sink.write(outcome)
    sink.close()
    assert [*range(20)] == pq.read_table(path)["index"].to_pylist()


def test_an_older_table_is_never_taken_for_the_run_s(tmp_path):
    """A new run of the same size removes it when it begins."""
    path = tmp_path / "t.parquet"
    for _ in range(2):
        sink, position = filled(path, mixed(5))
        assert not path.exists()
        sink.abandon()
        sink.open(position)
        sink.close()
        assert 5 == pq.read_metadata(path).num_rows


def test_a_table_of_other_columns_is_not_gone_on_with(tmp_path):
    """With the cure."""
    sink, position = filled(tmp_path / "t.parquet", mixed(5))
    sink.close()
    with pytest.raises(SinkError, match=r"has other columns.*`body`"):
        Parquet(tmp_path / "t.parquet", body=True).open(position)
