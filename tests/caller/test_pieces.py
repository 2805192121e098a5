"""How a streamed body is cut: lines in any character set, pieces, files; what is not handed out is not lost."""

import asyncio
import csv
import io
import random
import shutil
import tarfile

import pytest
from streams import written

from workerpool import BodyTooLarge, ConnectionLost
from workerpool.caller.pieces import Lines, Loose, Pieces, Text, Whole

LINES = ["first", "", "zweite ä", "三行目", "with \u2028 and \x0b and \x85 inside", "x" * 50]


def _cut(cutter, whole, dice):
    """Feed the body in pieces of any size; return all that comes out."""
    seen, at = [], 0
    while at < len(whole):
        size = dice.choice([1, 1, 2, 3, 7, 100])
        cutter.feed(whole[at : at + size])
        at += size
        while piece := _taken(cutter):
            seen += piece
    cutter.finish()
    while piece := _taken(cutter):
        seen += piece
    return seen


def _taken(cutter):
    piece = cutter.take()
    return [] if piece is None else [piece]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize(
    ("encoding", "declared", "mark"),
    [
        ("utf-8", "utf-8", b""),
        ("utf-8", "latin-1", b"\xef\xbb\xbf"),
        ("utf-16-le", "utf-16", b""),
        ("utf-16-le", "utf-16", b"\xff\xfe"),
        ("utf-16-be", "utf-16", b"\xfe\xff"),
        ("utf-16-be", "utf-16-be", b""),
        ("utf-16-le", "utf-8", b"\xff\xfe"),
        ("utf-32-le", "utf-32", b"\xff\xfe\x00\x00"),
        ("utf-32-le", "utf-32", b""),
        ("gb18030", "gb18030", b""),
        ("euc_jp", "euc_jp", b""),
    ],
)
def test_lines_in_any_character_set(encoding, declared, mark, closed, end):
    """Lines are the same however the body comes; a missing mark raises nothing."""
    lines = [line.encode(encoding, "replace").decode(encoding) for line in LINES]
    whole = mark + (end.join(lines) + end * closed).encode(encoding)
    for seed in range(20):
        assert lines == _cut(Lines(declared, 1000), whole, random.Random(seed))


@pytest.mark.parametrize("declared", ["utf-8", "utf-16", "latin-1", "utf-32"])
def test_anything_is_some_text(declared):
    """No bytes raise, and pieces of text are the text of the whole."""
    for seed in range(100):
        dice = random.Random(seed)
        whole = bytes(dice.choices([0, 10, 13, 65, 0xC3, 0xD8, 0xFF, 0xFE], k=60))
        assert all(isinstance(line, str) for line in _cut(Lines(declared, 1000), whole, dice))
        assert all(isinstance(piece, str) for piece in _cut(Text(declared), whole, dice))


def test_what_is_not_handed_out_is_given_back():
    """At any moment what came out and what is given back are all that was fed."""
    dice = random.Random(1)
    for _ in range(300):
        whole = bytes(dice.choices(b"ab\r\n", k=40))
        for cutter in (Lines("utf-8", 100), Pieces(7), Whole(), Loose()):
            out, fed = b"", 0
            for _step in range(dice.randrange(6)):
                size = dice.randrange(10)
                cutter.feed(whole[fed : fed + size])
                fed = min(len(whole), fed + size)
                if dice.random() < 0.5 and (piece := cutter.take()) is not None:
                    out += piece.encode() if isinstance(piece, str) else piece
            rest = cutter.rest()
            assert whole[:fed].endswith(rest)
            handed_out = whole[: fed - len(rest)]
            if isinstance(cutter, Lines):
                assert out in (handed_out.rstrip(b"\r\n"), handed_out.replace(b"\r", b"").replace(b"\n", b""))
            else:
                assert out == handed_out
            assert b"" == cutter.rest()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030", "shift_jis"])
def test_text_gives_back_the_character_that_is_not_complete(encoding):
    """Whoever reads on, wherever that is, loses half of none; a mark that was read is no text."""
    whole = "ab\u20ac三行目".encode(encoding, "ignore")
    dice = random.Random(1)
    for size in (None, 1, 3):
        for cut in range(len(whole)):
            text = Text(encoding, size)
            text.feed(whole[:cut])
            taken = "".join(iter(text.take, None))
            rest = text.rest() + whole[cut:]
            assert whole.decode(encoding) == taken + "".join(_cut(Text(text.encoding, size), rest, dice))


@pytest.mark.parametrize("chunk", [b"x" * 1000 + b"\nshort\n", b"x" * 11])
def test_no_line_is_longer_than_allowed(chunk):
    """A line that ends within its chunk is measured, too; those before it are handed out."""
    lines = Lines("utf-8", 10)
    lines.feed(b"0123456789\r\n" + chunk)
    assert "0123456789" == lines.take()
    with pytest.raises(BodyTooLarge, match="longer than 10 characters"):
        lines.take()


def test_lines_are_measured_in_characters():
    """Ten characters of three bytes are ten, in one chunk or in many."""
    lines = Lines("utf-8", 10)
    for byte in "行".encode() * 10:
        lines.feed(bytes([byte]))
        assert lines.take() is None
    lines.feed(b"x")
    with pytest.raises(BodyTooLarge):
        lines.take()


def test_a_line_that_never_ends_is_cheap():
    """A server that sends a line byte by byte does not make its reader count it anew each time."""
    lines, looks = Lines("utf-8", 2**16), []
    check = lines._check_tail
    lines._check_tail = lambda: looks.append(check())
    for _ in range(2**16):
        lines.feed(b"x")
        assert lines.take() is None
    assert [] == looks


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8", "utf-32", "shift_jis"])
def test_a_stream_yields_lines_of_what_was_declared(pool, encoding):
    """The declared character set is used, mark or no mark."""
    whole = "eins\r\nzwei 三\n".encode(encoding)
    headers = {"Content-Type": f"text/plain; charset={encoding}"}
    for body in (whole, whole[2:] if encoding == "utf-16" else whole):
        with written([body], headers=headers) as url, pool.stream("GET", url) as answer:
            assert ["eins", "zwei 三"] == list(answer.iter_lines())


def test_a_chosen_encoding_counts(pool):
    """What the caller sets goes before what is declared."""
    with written(["ä\nö".encode("cp1252")]) as url, pool.stream("GET", url) as answer:
        answer.encoding = "cp1252"
        assert ["ä", "ö"] == list(answer.iter_lines())
    with written(["äö".encode("cp1252")]) as url, pool.stream("GET", url) as answer:
        answer.encoding = "cp1252"
        assert "äö" == "".join(answer.iter_content(1, decode_unicode=True))


@pytest.mark.parametrize("size", [3, None])
def test_whoever_leaves_text_early_leaves_whole_characters(pool, size):
    """The bytes of one that is not complete go to the next reader, who may want text, bytes or lines."""
    whole = "ab\u20acc\nd"
    ways = {
        "text": lambda answer: "".join(answer.iter_content(2, decode_unicode=True)),
        "bytes": lambda answer: answer.read().decode(),
        "lines": lambda answer: "\n".join(answer.iter_lines()),
    }
    for read_on in ways.values():
        with written([whole.encode()], headers={"Content-Type": "text/plain; charset=utf-8"}) as url:
            with pool.stream("GET", url) as answer:
                first = next(answer.iter_content(size, decode_unicode=True))
                assert whole == first + read_on(answer)


@pytest.mark.parametrize(
    "read",
    [lambda answer: answer.read(), lambda answer: answer.content, lambda answer: answer.text.encode()],
    ids=["read", "content", "text"],
)
def test_what_was_read_can_be_iterated_over(pool, read):
    """As often as wanted, in each way, also on a loop; with `max_line` as ever."""
    body = "eins\nzwei ä\n"

    async def on_a_loop(answer):
        return [piece async for piece in answer.aiter_bytes(5)], [line async for line in answer.aiter_lines()]

    with written([body.encode()], headers={"Content-Type": "text/plain; charset=utf-8"}) as url:
        with pool.stream("GET", url) as answer:
            assert body.encode() == read(answer)
            for _ in range(2):
                assert body.encode() == b"".join(answer.iter_bytes())
                assert body == "".join(answer.iter_content(4, decode_unicode=True))
                assert ["eins", "zwei ä"] == list(answer.iter_lines())
                assert [("eins", "eins"), ("zwei ä", "zwei ä")] == [
                    *zip(answer.iter_lines(), answer.iter_lines(), strict=True)
                ]
            pieces, lines = asyncio.run(on_a_loop(answer))
            assert (body.encode(), ["eins", "zwei ä"]) == (b"".join(pieces), lines)
            with pytest.raises(BodyTooLarge):
                list(answer.iter_lines(max_line=4))


def test_a_body_is_a_file(pool, tmp_path):
    """`raw` copies, fills, peeks, reads lines, and feeds what reads from files."""
    whole = random.Random(1).randbytes(300_000)
    with written([whole]) as url:
        with pool.stream("GET", url) as answer, (tmp_path / "copy").open("wb") as copy:
            shutil.copyfileobj(answer.raw, copy)
        assert whole == (tmp_path / "copy").read_bytes()
        with pool.stream("GET", url) as answer:
            buffer = bytearray(1000)
            assert 1000 == answer.raw.readinto(buffer)
            assert whole[:1000] == buffer
            assert whole[1000:1010] == answer.raw.peek(1)[:10]
            assert whole[1000:1007] == answer.raw.read1(7)
            assert b"" == answer.raw.read(0)
            assert whole[1007:] == answer.raw.read()
            assert b"" == answer.raw.read()
            assert 0 == answer.raw.readinto(buffer)
        assert answer.raw.readable()
        with pool.stream("GET", url) as answer:
            answer.close()
            with pytest.raises(ConnectionLost):
                answer.raw.read()
        with pool.stream("GET", url) as answer:
            answer.raw.close()
            with pytest.raises(ValueError, match="closed"):
                answer.raw.read(1)


def test_readers_of_files_read_a_body(pool):
    """csv, tarfile and text wrappers take `raw` as they take a file."""
    with written(["a;b\r\nc;ä\r\n".encode()]) as url, pool.stream("GET", url) as answer:
        assert [["a", "b"], ["c", "ä"]] == [*csv.reader(io.TextIOWrapper(answer.raw, "utf-8"), delimiter=";")]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo("name")
        entry.size = 200_000
        tar.addfile(entry, io.BytesIO(b"y" * 200_000))
    with written([packed.getvalue()]) as url, pool.stream("GET", url) as answer:
        with tarfile.open(fileobj=answer.raw, mode="r|gz") as tar:
            assert [b"y" * 200_000] == [tar.extractfile(each).read() for each in tar]


def test_a_cut_body_raises_from_a_file(pool):
    """Who copies a body that was cut gets the pool's error, once and again."""
    with written([b"x" * 1000], length=2000) as url, pool.stream("GET", url) as answer:
        for _ in range(2):
            with pytest.raises(ConnectionLost):
                shutil.copyfileobj(answer.raw, io.BytesIO())
    with written([b"x" * 1000]) as url, pool.stream("GET", url) as answer:
        assert [400, 400, 200] == [len(piece) for piece in answer.iter_content(400)]


@pytest.mark.parametrize("size", [0, -1, True, "1", 1.5])
def test_a_size_that_is_none_is_refused_at_once(pool, size):
    """Not where the first piece is read."""
    with written([b"x"]) as url, pool.stream("GET", url) as answer:
        for read in (answer.iter_bytes, answer.iter_content, answer.aiter_bytes):
            with pytest.raises(ValueError, match="chunk_size"):
                read(size)


@pytest.mark.parametrize("longest", [0, -1, True, "1", None])
def test_a_line_length_that_is_none_is_refused_at_once(pool, longest):
    """Not where the first line is read."""
    with written([b"x"]) as url, pool.stream("GET", url) as answer:
        for read in (answer.iter_lines, answer.aiter_lines, answer.iter_events, answer.aiter_events):
            with pytest.raises(ValueError, match="max_line"):
                read(max_line=longest)
