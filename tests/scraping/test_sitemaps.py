"""Sitemaps: what they name, and what hostile ones do not."""

import gzip
import re
import tracemalloc
from datetime import UTC, datetime

import pytest

from workerpool.scraping.sitemaps import SitemapEntry, SitemapLimits, SitemapTree, read_sitemap

A, B = "http://a.example/1", "http://a.example/2"
HEAD = '<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
SMALL = f"{HEAD}<url><loc>{A}</loc></url><url><loc>{B}</loc></url></urlset>"


def read(content, **options):
    """Return the entries and the troubles."""
    troubles = []
    content = content.encode() if isinstance(content, str) else content
    pieces = [content] if isinstance(content, bytes) else content
    return list(read_sitemap(pieces, on_trouble=troubles.append, **options)), troubles


def urls(content, **options):
    entries, troubles = read(content, **options)
    return [entry.url for entry in entries], " ".join(troubles)


def entities():
    """Return the billion laughs."""
    more = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE urlset [<!ENTITY l0 "ha">{more}]><urlset><url><loc>{A}&l9;</loc></url></urlset>'


def locs(count):
    return (b"<url><loc>http://a.example/%d</loc></url>" % number for number in range(count))


# What is sent, the URLs that are found (or how many), and what is told of it.
HOSTILE = {
    "empty": ("", [], "no element|^$"),
    "blank": (" \n" * 100_000, [], "^$"),
    "HTML": ("<!DOCTYPE html><html><a href=x>y</a></html>", [], "no sitemap: its root is 'html'"),
    "wrong root": ("<svg/>", [], "its root is 'svg'"),
    "cut": (f"{HEAD}<url><loc>{A}</loc></url><url><loc>http://b", [A], "broken or cut"),
    "not closed": (f"{HEAD}<url><loc>{A}</loc><url><loc>{B}</loc></urlset>", [], "broken or cut"),
    "bare ampersand": (f"{HEAD}<url><loc>{A}</loc></url><url><loc>{B}?a&b</loc></url></urlset>", [A], "broken or cut"),
    "entity expansion": (entities(), [], "declares entities"),
    "external entity": (f'<!DOCTYPE urlset [<!ENTITY x SYSTEM "file:///etc/passwd">]><urlset><url><loc>{A}&x;</loc></url></urlset>', [], "declares entities"),
    "external DTD": (f'<!DOCTYPE urlset SYSTEM "http://127.0.0.1:9/x.dtd"><urlset><url><loc>{A}</loc></url></urlset>', [A], "^$"),
    "parameter entity": ('<!DOCTYPE urlset [<!ENTITY % x SYSTEM "http://127.0.0.1:9/">%x;]><urlset/>', [], "declares entities"),
    "deep": ("<urlset>" + "<a>" * 200_000, [], "nested more than 32"),
    "a long name": ("<urlset><" + "a" * 3_000_000 + "/></urlset>", [], "of more than 1048576 bytes"),
    "many attributes": ("<urlset><url " + " ".join(f'a{n}="1"' for n in range(20_000)) + f"><loc>{A}</loc></url></urlset>", [A], "^$"),
    "a million entries": (gzip.compress(b"".join([b"<urlset>", *locs(1_000_000), b"</urlset>"]), 1), 50_000, "more than 50000"),
    "large": ([b"<urlset>", *([b" " * 2**20] * 60)], [], "larger than"),
    "gzip bomb": (gzip.compress(b"<urlset>" + b" " * 40_000_000), [], "packed more than 200 to one"),
    "gzip bomb of members": (gzip.compress(b"") * 5000, [], "too many empty members"),
    "gzip, cut": (gzip.compress(SMALL.encode())[:-12], 1, "gzip is cut|broken"),
    "gzip, broken": (b"\x1f\x8b" + b"\xff" * 50, [], "gzip is broken"),
    "gzip in gzip": (gzip.compress(gzip.compress(SMALL.encode())), [], "URL of the web"),
    "a URL too long": (f"<urlset><url><loc>http://a/{'x' * 100_000}</loc></url><url><loc>{B}</loc></url></urlset>", [B], "no URL of the web"),
    "no URLs": ("<urlset><url/><url><loc/></url><url><loc>javascript:x</loc></url><url><loc>/x</loc></url></urlset>", [], "'javascript:x'"),
    "nested locs": (f"<urlset><url><loc>{A}<loc>{B}</loc></loc><image><loc>http://i/</loc></image></url></urlset>", 1, "^$"),
    "an unknown encoding": (f'<?xml version="1.0" encoding="x-none"?><urlset><url><loc>{A}</loc></url></urlset>', [A], "^$"),
    "a codec that is none": (f'<?xml version="1.0" encoding="zlib"?><urlset><url><loc>{A}</loc></url></urlset>', [A], "^$"),
    "binary": (bytes(range(256)) * 500, [], "no sitemap|too long"),
    "a line without end": ("x" * 200_000, [], "too long"),
    "text that is prose": ("Not found.\n" * 200, [], "neither XML nor a list"),
    "NULs": (b"\0" * 100_000, [], "."),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_sitemap_is_read_within_bounds(name):
    """What is an entry is found, the rest is told, and nothing is raised."""
    content, found, told = HOSTILE[name]
    entries, troubles = urls(content)
    assert found == (entries if isinstance(found, list) else len(entries)) or (found == 1 and len(entries) <= 2)
    assert re.search(told, troubles), troubles


def test_there_are_twenty_hostile_sitemaps():
    """As many as were promised."""
    assert 20 <= len(HOSTILE)


@pytest.mark.parametrize(
    "content",
    [
        SMALL,
        SMALL.encode("utf-16"),
        b"\xef\xbb\xbf" + SMALL.encode(),
        b"\n\n  " + SMALL.encode(),
        b"\xef\xbb\xbf\r\n" + SMALL.encode(),
        gzip.compress(SMALL.encode()),
        gzip.compress(SMALL[:100].encode()) + gzip.compress(SMALL[100:].encode()) + b"\0" * 10,
        SMALL.replace("UTF-8", "gb2312"),
        SMALL.replace("UTF-8", "ISO-8859-1"),
        SMALL.replace("<url", "<s:url").replace("</url", "</s:url"),
        SMALL.replace(' xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"', ""),
        SMALL.replace("http://www.sitemaps.org/schemas/sitemap/0.9", "https://elsewhere.example/"),
        SMALL.upper().replace("HTTP", "http").replace("A.EXAMPLE", "a.example").replace("XMLNS", "xmlns")
        .replace("<?XML VERSION", "<?xml version").replace("ENCODING", "encoding"),
        SMALL.replace(A, f"<![CDATA[ {A} ]]>"),
        f"{A}\n{B}\n",
        f"\ufeff{A}\r\n{B}",
        f"<rss><channel><link>http://x/</link><item><link>{A}</link></item><item><link>{B}</link></item></channel></rss>",
        f"<feed><link href='http://x/'/><entry><link rel='self' href='http://y/'/><link href='{A}'/></entry>"
        f"<entry><link rel='alternate' href='{B}'/></entry></feed>",
        f"<rdf:RDF><channel/><item><link>{A}</link></item><item><link>{B}</link></item></rdf:RDF>",
    ],
)  # fmt: skip
def test_sitemaps_of_all_kinds(content):
    """In all encodings, with and without namespaces, in pieces of any size."""
    content = content if isinstance(content, bytes) else content.encode()
    assert ([A, B], "") == urls(content)
    assert ([A, B], "") == urls([content[place : place + 1] for place in range(len(content))])


def test_what_an_entry_tells():
    """Its kind and its date, in UTC; a date that is none is left out."""
    dates = ["2024", "2024-05", "2024-05-06", "2024-05-06T07:08:09+02:00", "Mon, 06 May 2024 07:08:09 GMT", "soon", ""]
    content = "".join(f"<sitemap><loc>{A}</loc><lastmod>{date}</lastmod></sitemap>" for date in dates)
    entries, _ = read(f"<sitemapindex>{content}</sitemapindex>")
    assert SitemapEntry(A, datetime(2024, 1, 1, tzinfo=UTC), "sitemap") == entries[0]
    assert [(2024, 5, 1, 0), (2024, 5, 6, 0), (2024, 5, 6, 5), (2024, 5, 6, 7)] == [
        (each.lastmod.year, each.lastmod.month, each.lastmod.day, each.lastmod.hour) for each in entries[1:5]
    ]
    assert [None, None] == [each.lastmod for each in entries[5:]]


def test_urls_may_be_relative_where_the_base_is_known():
    """What cannot be joined is told."""
    found = urls(
        "<urlset><url><loc>/x</loc></url><url><loc>http://[</loc></url></urlset>", base="http://a.example/s.xml"
    )
    assert (["http://a.example/x"], "an entry has no URL of the web: ''") == found


def test_limits_can_be_raised():
    """The protocol's are not what all sites keep to."""
    content = b"".join([b"<urlset>", *locs(60_000), b"</urlset>"])
    assert 60_000 == len(urls(content, limits=SitemapLimits(entries=100_000))[0])


def test_memory_is_flat():
    """Entries are yielded as they come."""
    pieces = (b"".join([b"<urlset>" if not number else b"", *locs(1000)]) for number in range(50))
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_sitemap(pieces))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 50_000 == count
    assert peak < 4 * 2**20


def test_a_tree_of_sitemaps_has_an_end():
    """Each is read once; loops, depth and number are bounded, and it is told by what."""
    tree = SitemapTree(["http://a/0"], depth=2, most=4)
    walk = iter(tree)
    assert "http://a/0" == next(walk)
    assert [None, None, "seen", "seen"] == [tree.add(f"http://a/{each}") for each in (1, 2, 1, 0)]
    assert "http://a/1" == next(walk)
    assert [None, "count"] == [tree.add("http://a/3"), tree.add("http://a/4")]
    assert ["http://a/2", "http://a/3"] == [next(walk), next(walk)]
    assert "depth" == tree.add("http://a/5")
    assert [] == list(walk)
