"""Lists of URLs: what is in them, what is wrong with them, and how they are gone on with."""

import gzip
import io
import json
import os
import tracemalloc

import pytest
from pages import Generated

from workerpool.scraping import InputError, Item
from workerpool.scraping.input_rows import BadLine
from workerpool.scraping.inputs import Fingerprint, Input, Mark, read_items
from workerpool.scraping.lines import MAX_LINE, zstd

PACKERS = [gzip.compress, *([zstd.compress] if zstd is not None else [])]  # zstd is built into few Pythons

A, B = "http://a.example/", "http://b.example/"


def read(content, **options):
    """Return the items, and the bad lines."""
    bad = []
    return list(read_items(io.BytesIO(content), on_bad=bad.append, **options)), bad


def urls(content, **options):
    items, bad = read(content, **options)
    return [item.url for item in items], [line.number for line in bad]


# What is given, how it is read, the URLs that are found, and the numbers of the bad lines.
HOSTILE = {
    "empty": (b"", "text", [], []),
    "a mark alone": (b"\xef\xbb\xbf", "text", [], []),
    "a mark": (b"\xef\xbb\xbf" + A.encode(), "text", [A], []),
    "a mark amid": (f"{A}\n\ufeff{B}".encode(), "text", [A, f"\ufeff{B}"], []),
    "CRLF": (f"{A}\r\n{B}\r\n".encode(), "text", [A, B], []),
    "no end": (f"{A}\n{B}".encode(), "text", [A, B], []),
    "blanks": (f"\n \t\n  {A}\t\n\n".encode(), "text", [A], []),
    "comments": (f"# one\n{A}\n  # two\n".encode(), "text", [A], []),
    "NUL": (f"{A}\nx\0y\n{B}\n".encode(), "text", [A, B], [2]),
    "NUL only": (b"\0" * 3_000_000, "text", [], [1]),
    "no UTF-8": (b"http://a.example/\xff\n", "text", ["http://a.example/\udcff"], []),
    "too long": (f"{A}\n{'x' * (MAX_LINE + 5)}\n{B}\n".encode(), "text", [A, B], [2]),
    "too long, without end": (A.encode() + b"\n" + b"x" * (3 * MAX_LINE), "text", [A], [2]),
    "as long as may be": (b"http://a/" + b"x" * (MAX_LINE - 10) + b"\n", "text", ["http://a/" + "x" * (MAX_LINE - 10)], []),
    "picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "text", ["\udc89PNG", "\x1a"], [3]),
    "escape sequence": (b"\x1b[31mhttp://a.example/\n", "text", ["\x1b[31mhttp://a.example/"], []),
    "packed text": (gzip.compress(A.encode()), "text", [A], []),
    "packed twice in a row": (gzip.compress(f"{A}\n".encode()) + gzip.compress(B.encode()), "text", [A, B], []),
    "a bomb of one line": (gzip.compress(b"x" * 30_000_000 + f"\n{A}".encode()), "text", [A], [1]),
    "JSON, broken": (f'{{"url": "{A}"}}\n{{"url": \n{{}}\n[1]\n"{B}"\nnull\n'.encode(), "jsonl", [A, B], [2, 3, 4, 6]),
    "JSON, unknown keys": (f'{{"url": "{A}", "ulr": 1}}\n'.encode(), "jsonl", [], [1]),
    "JSON, nested": (b"[" * 200_000 + f'\n"{A}"'.encode(), "jsonl", [A], [1]),
    "JSON, digits": (b'{"url": "' + A.encode() + b'", "priority": ' + b"9" * 10_000 + b"}\n", "jsonl", [], [1]),
    "JSON, half a pair": (b'"http://a/\\ud800"\n{"url": "http://a/", "body": "\\udfff"}\n', "jsonl", [], [1, 2]),
    "JSON, wrong types": (
        b"\n".join(b'{"url": "http://a/", %s}' % each for each in (
            b'"method": 1', b'"headers": "x"', b'"headers": [["a"]]', b'"headers": {"a": 1}', b'"body": {}',
            b'"priority": true', b'"priority": 1.5', b'"priority": 99999999999', b'"lane": ""', b'"name": []',
            b'"body": "x", "json": 1', b'"json": NaN',
        )), "jsonl", [], [*range(1, 13)],
    ),
    "JSON, a list of all": (f'[{{"url": "{A}"}}]'.encode(), "jsonl", [], [1]),
    "CSV, header": (f"id,URL\n1,{A}\n2,{B}\n".encode(), "csv", [A, B], []),
    "CSV, no header": (f"{A}\n{B}\n".encode(), "csv", [A, B], []),
    "CSV, with semicolons": (f"id;url\n1;{A}\n".encode(), "csv", [A], []),
    "CSV, quotes and lines": (f'url,title\n{A},"one\ntwo, ""three"""\n\n{B},\n'.encode(), "csv", [A, B], []),
    "CSV, a quote not closed": (f'url,title\n{A},x\n"{B}\n{A}\n{B}\n'.encode(), "csv", [A, A, B], [3]),
    "CSV, quotes without end": (b"url\n" + b'"x\n' * 2000 + A.encode(), "csv", None, None),
    "CSV, rows too short": (f"id,url\n1,{A}\n2\n,\n".encode(), "csv", [A], [3, 4]),
    "CSV, a field too long": (b'url\n"' + b"x" * 200_000 + f'"\n{A}\n'.encode(), "csv", [A], [2]),
    "CSV, NUL": (f"url\n\0\n{A}\n".encode(), "csv", [A], [2]),
    "CSV, priority": (f"url,priority\n{A},high\n{B},-3\n{B},\u0663\u0663\n".encode(), "csv", [B, B], [2]),
    "CSV, columns twice": (f"url,url,method,method\n{A},{B},POST,PUT\n".encode(), "csv", [A], []),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_list_is_read(name):
    """What is a line is found, what is none is told by its number, and the reading goes on."""
    content, format, found, bad = HOSTILE[name]
    if found is None:
        assert sum(map(len, urls(content, format=format)))
    else:
        assert (found, bad) == urls(content, format=format)


def test_there_are_thirty_hostile_lists():
    """As many as were promised."""
    assert 30 <= len(HOSTILE)


def test_a_line_of_json_has_all_options():
    """A body makes it a POST, and JSON tells its type."""
    line = {"url": A, "headers": {"A": "1"}, "json": {"k": [1]}, "lane": "l", "priority": -1, "name": "n"}
    items, _ = read(
        json.dumps(line).encode()
        + b'\n{"url": "http://b/", "method": "PUT", "headers": [["A", "1"], ["A", "2"]], "body": "\xff"}',
        format="jsonl",
    )
    assert items == [
        Item(url=A, method="POST", headers=(("A", "1"), ("Content-Type", "application/json")), body=b'{"k":[1]}',
             lane="l", priority=-1, name="n", line=1),
        Item(url="http://b/", method="PUT", headers=(("A", "1"), ("A", "2")), body=b"\xff", line=2),
    ]  # fmt: skip


def test_columns_of_csv_are_found_by_name_and_number():
    """In any case, and from 1; the further ones by the header."""
    content = f"n,Link,METHOD,name,lane,priority\n1,{A},PUT,f,slow,7\n".encode()
    wanted = [Item(url=A, method="PUT", name="f", lane="slow", priority=7, line=2)]
    assert wanted == read(content, format="csv", column="link")[0]
    assert wanted == read(content, format="csv", column=2)[0]
    assert [A] == urls(f"x\t{A}\n".encode(), format="tsv", column=2)[0]


@pytest.mark.parametrize(
    ("content", "column", "text"),
    [
        (b"a,b\n", "url", "no column 'url'; it has 'a', 'b'"),
        (b"a,b\n", 3, "no column 3; it has 2"),
        (b"a,b\n", 0, "from 1"),
        (b'"a\n', "a", "first line"),
        ("url\n".encode("utf-16"), None, "iconv"),
    ],
)
def test_an_input_that_cannot_be_read_as_a_whole(content, column, text):
    """The error names the cure."""
    with pytest.raises(InputError, match=text):
        read(content, format="csv", column=column)


def test_wrong_options_are_refused():
    """Before anything is read."""
    with pytest.raises(InputError, match="format must be"):
        Input("x", format="xml")
    with pytest.raises(InputError, match="column is for CSV"):
        Input("x", column=1)


@pytest.mark.parametrize("pack", PACKERS)
def test_what_is_packed_is_unpacked_whatever_its_name(tmp_path, pack):
    """By its first bytes."""
    (tmp_path / "list").write_bytes(pack(f"{A}\n{B}\n".encode()))
    assert [A, B] == [item.url for item in read_items(tmp_path / "list")]


@pytest.mark.parametrize("pack", PACKERS)
def test_what_is_packed_and_cut_is_an_error(pack):
    """What was read until then is there; the end is not taken for the whole."""
    packed = pack("".join(f"http://h{number}.example/{number**5}\n" for number in range(20_000)).encode())
    found = []
    with pytest.raises(InputError, match="is it complete"):
        found.extend(read_items(io.BytesIO(packed[: len(packed) // 2])))
    with pytest.raises(InputError, match="cannot be unpacked"):
        found.extend(read_items(io.BytesIO(packed[:6] + b"\0\xff" * 50)))


def test_without_zstd_the_command_is_told(monkeypatch):
    """That installs it."""
    packed = b"\x28\xb5\x2f\xfd" + bytes(9)  # a frame of zstd begins so (RFC 8878, 3.1.1)
    monkeypatch.setattr("workerpool.scraping.lines.zstd", None)
    with pytest.raises(InputError, match=r"pip install 'aiohttp-workerpool\[speed\]'"):
        read(packed)


def test_streams_of_text_and_bytes_and_stdin(monkeypatch):
    """Each is read to its end, and left open."""
    text = io.StringIO(f"\ufeff{A}\nhttp://b/\udcff\n")
    assert [A, "http://b/\udcff"] == [item.url for item in read_items(text)]
    assert not text.closed
    stdin = io.TextIOWrapper(io.BytesIO(gzip.compress(A.encode())))
    monkeypatch.setattr("sys.stdin", stdin)
    assert [A] == [item.url for item in read_items("-")]
    assert not stdin.closed
    drops = Generated([bytes([byte]) for byte in gzip.compress(f"{A}\n{B}".encode())])
    assert [A, B] == [item.url for item in read_items(drops)]


@pytest.mark.parametrize("as_text", [False, True])
def test_a_line_is_there_before_the_next_one_is(as_text):
    """A pipe may be filled slowly."""
    reading, writing = os.pipe()
    with open(reading, "r" if as_text else "rb") as stream, open(writing, "wb", buffering=0) as pipe:
        pipe.write(f"{A}\n".encode())
        items = read_items(stream)
        assert A == next(items).url
        pipe.write(f"{B}\n".encode())
        assert B == next(items).url
        pipe.close()
        assert [] == list(items)


def test_formats_are_found_by_the_name(tmp_path):
    """Also of what is packed."""
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(f"n,url\n1,{A}\n".encode()))
    (tmp_path / "x.jsonl").write_text(f'"{A}"')
    assert [A] == [item.url for item in read_items(tmp_path / "x.csv.gz")]
    assert [A] == [item.url for item in read_items(tmp_path / "x.jsonl")]


def test_bad_lines_are_logged_where_nobody_asks_for_them(caplog):
    """With number and reason."""
    assert [] == list(read_items(io.BytesIO(b"\0\n")))
    assert "line 1 is passed over: it has a NUL byte" in caplog.text


def test_memory_is_flat():
    """Whether lines are many or long."""
    lines = Generated([*([b"http://site.example/%s\n" % (b"x" * 180)] * 50_000), *([b"y" * 2**16] * 400)])
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_items(lines, on_bad=lambda bad: None))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 50_000 == count
    assert peak < 8 * 2**20


LISTS = {
    "text": f"\ufeff# c\n{A}\n\n{B}\nx\0\n{A}2\n{B}2".encode(),
    "crlf": f"{A}\r\n{B}\r\n\r\n{A}2\r\n{B}2\r\n".encode(),
    "csv": f'url,t\n{A},"x\ny"\n"{B}","z"\n"open\n{A}2,\n{B}2,\n'.encode(),
    "csv without header": f"{A}\n{B}\n{A}2\n{B}2\n".encode(),
    "tsv": f"url\tt,\"u\n{A}\tx\n\n{B}\ty\n\t\n{A}2\tz\n{B}2\t\n".encode(),
    "jsonl": f'"{A}"\n{{}}\n"{B}"\n\n"{A}2"\n"{B}2"\n'.encode(),
}  # fmt: skip


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("name", LISTS)
def test_an_input_is_gone_on_with_from_each_mark(tmp_path, name, pack):
    """With the same lines, numbers and marks; plain files are entered at their offset."""
    path = tmp_path / "list"
    path.write_bytes(pack(LISTS[name]))
    format = {"crlf": "text"}.get(name, name.split()[0])
    source = Input(path, format=format, on_bad=lambda bad: None)
    whole = list(source.read())
    assert 4 == len(whole)
    assert whole == list(source.read(Mark()))
    for place, (_, mark) in enumerate(whole):
        assert (pack is bytes) == (mark.offset is not None)
        assert whole[place + 1 :] == list(source.read(mark))
        assert whole[place + 1 :] == list(source.read(Mark(mark.line)))


def test_a_file_that_was_appended_to_is_gone_on_with(tmp_path):
    """What is new comes next, with its number."""
    path = tmp_path / "list"
    path.write_text(f"{A}\n{B}")
    source = Input(path)
    (_, _), (_, last) = source.read()
    before = source.fingerprint()
    with path.open("a") as file:
        file.write(f"\n{A}2\n")
    assert None is source.why_not(before)
    assert [Item(url=f"{A}2", line=3)] == [item for item, _ in source.read(last)]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"1\n" * 5000, None),
        (b"1\n" * 6000, None),
        (b"1\n" * 4000, "it had 10000 bytes, and has 8000"),
        (b"2\n" + b"1\n" * 4999, "another one"),
        (b"1\n" * 4999 + b"2\n", "another one"),
        (b"0" + b"1\n" * 5000, "another one"),
    ],
)
def test_another_file_is_noticed(tmp_path, content, text):
    """By its size, its beginning, and its end."""
    path = tmp_path / "list"
    path.write_bytes(b"1\n" * 5000)
    before = Fingerprint.from_dict(json.loads(json.dumps(Input(path).fingerprint().as_dict())))
    path.write_bytes(content)
    why = Input(path).why_not(before)
    assert (why is None) if text is None else text in why


def test_a_last_line_that_has_grown_is_noticed(tmp_path):
    """It was another input."""
    path = tmp_path / "list"
    path.write_text(f"{A}1")
    before = Input(path).fingerprint()
    path.write_text(f"{A}12\n")
    assert "last line" in Input(path).why_not(before)


def test_another_name_is_noticed_and_another_folder_is_not(tmp_path):
    """A list may be moved."""
    (tmp_path / "other").mkdir()
    for name in ("list", "other/list", "other/more"):
        (tmp_path / name).write_text(A)
    before = Input(tmp_path / "list").fingerprint()
    assert None is Input(tmp_path / "other" / "list").why_not(before)
    assert "it was 'list'" in Input(tmp_path / "other" / "more").why_not(before)
    assert "it was 'list'" in Input("-").why_not(before)
    assert None is Input("-").why_not(Input("-").fingerprint())


def test_a_bad_line_is_a_value():
    """It can be compared and kept."""
    assert BadLine(3, "x") == BadLine(number=3, reason="x")
