"""Traps, each by the name of its rule, and honest sites, none of which is one."""

import os
import random
import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime

import pytest
from pages import answer

from workerpool.scraping.simhash import distance, features_of, simhash
from workerpool.scraping.traps import Trap, TrapLimits, Traps

S = "http://site.example"
YEAR = datetime.now(UTC).year
WORDS = [f"{a}{b}{c}" for a in ("al", "be", "cor", "dun", "el", "fa") for b in ("ga", "ho", "im", "ka") for c in ("n", "rt", "st", "x", "le")]  # fmt: skip


def prose(seed, count=200):
    """Return a text of its own."""
    chance = random.Random(seed)
    return " ".join(chance.choice(WORDS) for _ in range(count))


def months(begin, end):
    """Yield year and month."""
    return ((year, month) for year in range(begin, end) for month in range(1, 13))


def hexes(count, seed=1):
    chance = random.Random(seed)
    return [f"{chance.getrandbits(32):08x}" for _ in range(count)]


# The rule, and the URLs that are asked for one after the other.
TRAPS = {
    "a segment, again and again": ("repeated-segment", [f"{S}/a/a/a/"]),
    "two segments": ("repeated-segment", [f"{S}/a/b/a/b/a/b/x"]),
    "three segments": ("repeated-segment", [f"{S}/x" + "/a/b/c" * 3]),
    "four segments": ("repeated-segment", [f"{S}" + "/a/b/c/d" * 3]),
    "a segment here and there": ("repeated-segment", [f"{S}/a/1/a/2/a/3/a/4/a/5"]),
    "numbers": ("repeated-segment", [f"{S}/7/7/7/7"]),
    "deep": ("deep-path", [f"{S}/" + "/".join(WORDS[:21])]),
    "long": ("long-url", [f"{S}/?q=" + "x" * 2100]),
    "a session that grows": ("long-url", [f"{S}/?back=" + "%252F" * 500]),
    "many parameters": ("many-parameters", [f"{S}/?" + "&".join(f"p{n}=1" for n in range(31))]),
    "facets": ("parameter-explosion", [f"{S}/shop?color={n % 11}&size={n % 13}&sort={n % 7}&brand={n}" for n in range(1001)]),
    "facets in any order": ("parameter-explosion", [f"{S}/shop?" + "&".join(f"{w}=1" for w in random.Random(n).sample(WORDS, 2)) for n in range(200)]),
    "a calendar": ("endless-dates", [f"{S}/calendar/{y}/{m:02}/" for y, m in months(YEAR, YEAR + 5)]),
    "a calendar without zeros": ("endless-dates", [f"{S}/events/{y}/{m}" for y, m in months(YEAR, YEAR + 5)]),
    "a calendar in the query": ("endless-dates", [f"{S}/cal.php?month={m}&year={y}" for y, m in months(YEAR, YEAR + 5)]),
    "a calendar by dates": ("endless-dates", [f"{S}/book?date={y}-{m:02}-01" for y, m in months(YEAR, YEAR + 5)]),
    "a compact calendar": ("endless-dates", [f"{S}/x?startdate={y}{m:02}01" for y, m in months(YEAR, YEAR + 5)]),
    "a calendar in a segment": ("endless-dates", [f"{S}/agenda/week-{y}-{m:02}-01" for y, m in months(YEAR, YEAR + 5)]),
    "a calendar of all ages": ("endless-dates", [f"{S}/calendar/{y}/{m:02}/{d:02}" for y in range(1000, 2000) for m in range(1, 13) for d in range(1, 3)]),
    "a maze": ("similar-paths", [f"{S}/maze/{a}/{b}/{c}" for a, b, c in zip(hexes(6000, 1), hexes(6000, 2), hexes(6000, 3), strict=True)]),
    "a maze of numbers": ("similar-paths", [f"{S}/{n}/{n % 7}/{n % 11}/x" for n in range(100_000, 105_001)]),
}  # fmt: skip

# URLs of sites as they are; none of them may be held back.
HONEST = {
    "a shop": [f"{S}/product/{n}" for n in range(20_000)],
    "a shop by query": [f"{S}/item.php?id={n}&lang=en" for n in range(20_000)],
    "a forum": [f"{S}/thread/{n}/{page}" for n in range(1990, 2100) for page in range(1, 10)],
    "a forum by query": [f"{S}/viewtopic.php?f={n % 30}&t={n}" for n in range(10_000)],
    "a newspaper": [f"{S}/{y}/{m:02}/{d:02}/a-story-of-{WORDS[d]}-{m}" for y, m in months(1995, YEAR) for d in range(1, 5)],
    "an archive by month": [f"{S}/archive/{y}/{m:02}/" for y, m in months(1850, YEAR + 2)],
    "a calendar of two years": [f"{S}/calendar?year={y}&month={m}" for y, m in months(YEAR - 2, YEAR + 2)],
    "plans for later": [f"{S}/vision-{y}/goals" for y in range(2030, 2100)],
    "a wiki": [f"{S}/wiki/{a}_{b}" for a in WORDS for b in WORDS[:100]],
    "a wiki's images": [f"{S}/images/{name[0]}/{name[:2]}/{name}.jpg" for name in hexes(3000)],
    "commits": [f"{S}/me/project/commit/{name * 5}" for name in hexes(5000)],
    "a source tree": [f"{S}/src/{'/'.join(WORDS[n : n + 12])}.c" for n in range(100)],
    "tiles": [f"{S}/tiles/{z}/{x}/{y}.png" for z in range(3) for x in range(2**z) for y in range(2**z)],
    "papers": [f"{S}/abs/{y:02}{m:02}.{n:05}" for y in range(10, 30) for m in range(1, 13) for n in range(20)],
    "pages of a list": [f"{S}/list?page={n}&sort=new" for n in range(5000)],
    "a search": [f"{S}/search?q={a}+{b}" for a in WORDS for b in WORDS[:50]],
    "a search with three": [f"{S}/search?q={a}&lang=en&page={n}" for a in WORDS[:30] for n in range(30)],
    "a mirror": [f"{S}/debian/pool/main/{a[0]}/{a}/{a}_{n}.deb" for a in WORDS for n in range(20)],
    "languages": [f"{S}/{lang}/docs/{lang}/{a}" for lang in ("en", "de", "fr") for a in WORDS],
    "a date that repeats": [f"{S}/2011/11/11/eleven", f"{S}/11/11/11"],
    "versions": [f"{S}/docs/{a}.{b}.{c}/index.html" for a in range(3) for b in range(30) for c in range(20)],
    "UUIDs": [f"{S}/o/{a}-1234-4321-abcd-{a}0000" for a in hexes(5000)],
    "years by name": [f"{S}/people/{y}/{name}" for y in range(1900, 2100) for name in WORDS[:5]],
    "map": [f"{S}/map?x={x}&y={y}" for x in range(2000, 2100) for y in range(2000, 2050)],
    "no URL": ["", "x", "http://[::1", "http://[@/", "http://a/\udcff", "mailto:x"],
}  # fmt: skip


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_found_and_named(name):
    """By its last URL at the latest, and the text of it is the reason."""
    rule, urls = TRAPS[name]
    traps = Traps()
    found = [trap for url in urls if (trap := traps.check(url)) is not None]
    assert {rule} == {trap.rule for trap in found}
    assert f"trap:{rule}" == str(found[0])
    if len(urls) > 1:
        assert found[-1].place in {trap.place for trap in traps.aside}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_site_is_no_trap(name):
    """However large it is."""
    traps = Traps()
    assert [] == [url for url in HONEST[name] if traps.check(url) is not None]
    assert {} == traps.aside


def test_there_are_twenty_of_each():
    """As many as were promised."""
    assert 20 <= len(TRAPS)
    assert 20 <= len(HONEST)


def test_a_place_that_is_set_aside_is_named_and_counted():
    """What else the host has is asked for; a later run may be told."""
    traps = Traps()
    for url in TRAPS["a calendar"][1]:
        traps.check(url)
    ((trap, count),) = traps.aside.items()
    assert Trap("endless-dates", "site.example/calendar/@/") == trap
    assert count > 1
    assert None is traps.check(f"{S}/calendar/help")
    later = Traps(aside=traps.aside)
    assert trap == later.check(f"{S}/calendar/{YEAR}/01/")


def test_bodies_that_are_nearly_the_same_set_their_folder_aside():
    """Numbers and single words make no difference."""
    traps = Traps()
    text = prose(1, 400)
    for number in range(60):
        url = f"{S}/maze/{WORDS[number]}-{number}"
        trap = traps.seen(url, answer(f"<p>{number * 7} {text} {WORDS[number]}</p>", url))
        if trap is not None:
            break
    assert Trap("near-duplicate", "site.example/maze/*") == trap
    assert trap == traps.check(f"{S}/maze/another/page")
    assert None is traps.check(f"{S}/blog/x")


def test_bodies_that_differ_are_no_trap():
    """Nor are short ones, errors, pictures, and one page in two that is known."""
    traps = Traps()
    for number in range(300):
        assert None is traps.seen(f"{S}/a/{number}", answer(prose(number)))
        assert None is traps.seen(f"{S}/b/{number}", answer("not much to read here"))
        assert None is traps.seen(f"{S}/c/{number}", answer(prose(1), status=404))
        assert None is traps.seen(f"{S}/d/{number}", answer(prose(1), kind="image/png"))
        assert None is traps.seen(f"{S}/e/{number}", answer(prose(number if number % 2 else 1)))
        assert None is traps.seen(f"{S}/f/{number}", answer(f"<nav>{prose(1, 100)}</nav>{prose(number, 100)}"))
    assert {} == traps.aside


def test_a_tarpit_sets_its_host_aside():
    """Whether its answers come to an end or not; the port is part of the host."""
    traps = Traps()
    assert None is traps.seen(f"{S}/1", answer(b"x" * 500), took=60.0)
    assert None is traps.seen(f"{S}/2", None, took=60.0, size=100)
    assert Trap("tarpit", "site.example") == traps.seen(f"{S}/3", None, took=30.0)
    assert Trap("tarpit", "site.example") == traps.check(f"{S}/any")
    assert None is traps.check("http://site.example:8080/")


def test_a_slow_site_is_no_tarpit():
    """If it sends something, answers soon, or is slow only now and then."""
    traps = Traps()
    for number in range(20):
        assert None is traps.seen(f"{S}/{number}", answer(b"x" * 10_000), took=60.0)
        assert None is traps.seen("http://b.example/", answer(b""), took=5.0)
        assert None is traps.seen("http://c.example/", answer(b""), took=60.0 * (number % 2))
    assert {} == traps.aside


def test_memory_is_bounded():
    """For as many hosts, paths and places as there may be."""
    traps = Traps(TrapLimits(future=0), most=500)
    tracemalloc.start()
    try:
        for number in range(5000):
            url = f"http://h{number}.example/calendar/x{number}/3000/01?a{number}=1&b&c"
            traps.check(url)
            traps.seen(url, None, took=60.0)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(traps.aside) <= 500
    assert held < 2**20


def test_fingerprints_are_near_where_texts_are():
    """And far where they are not; they are the same on each machine."""
    one, other = prose(1, 1000), prose(2, 1000)
    near = one.replace(one.split()[500], "changed", 1)
    assert distance(simhash(features_of(one)), simhash(features_of(near))) <= 3
    assert distance(simhash(features_of(one)), simhash(features_of(other))) > 10
    assert 0 == simhash([])
    assert 0x7469278D4609CC30 == simhash(["a b c"])
    assert 0 == distance(simhash(["a b c"]), simhash(["a b c"] * 9))
    assert ["ab cd ef"] == features_of("<b a='1'>ab</b> 12 c cd<br>ef")
    assert [] == features_of("<" * 100_000)


def test_what_was_counted_is_kept_and_gone_on_with():
    """Piece by piece, each change once; the same verdicts come as without a stop, in another process, too."""
    urls = [f"http://h.test/list?{'&'.join(f'p{n % 7}{k}={n}' for k in range(3))}" for n in range(80)]
    urls += [f"http://h.test/calendar/{2030 + n}-01-05" for n in range(30)]
    whole, kept, found = Traps(), {}, []
    expected = [whole.check(url) for url in urls]
    for url in urls:
        part = Traps()
        part.recall(kept.items())
        found.append(part.check(url))
        kept.update(part.changes())
        assert [] == list(part.changes())
    assert expected == found
    assert any(expected)
    last = Traps()
    last.recall(kept.items())
    assert whole.aside == last.aside


def test_answers_that_were_too_slow_are_kept():
    """Until others come between."""
    kept = {}
    for number in range(3):
        traps = Traps()
        traps.recall(kept.items())
        trap = traps.seen(f"http://h.test/{number}", None, took=60.0, size=10)
        kept.update(traps.changes())
    assert "tarpit" == trap.rule
    assert {"slow h.test", "aside h.test"} <= kept.keys()


def test_what_is_forgotten_is_forgotten_of_the_state():
    """The least recently used, as in memory."""
    traps = Traps(most=3)
    traps.recall(())
    kept = {}
    for number in range(9):
        traps.check(f"http://h{number}.test/a?b=1")
        kept.update(traps.changes())
    assert 3 == sum(value is not None for value in kept.values())


SETS = """
from workerpool.scraping import Traps
traps = Traps()
traps.recall(())
for n in range(40):
    traps.check(f"http://h.test/?a{n}=1&b=2")
print(sorted(traps.changes()))
"""


def test_each_process_counts_the_same():
    """Whatever seed its hashes have."""
    seeds = [os.environ | {"PYTHONHASHSEED": seed} for seed in "12"]
    command = [sys.executable, "-c", SETS]
    found = [subprocess.run(command, env=env, capture_output=True, text=True, timeout=80, check=True) for env in seeds]
    assert found[0].stdout == found[1].stdout
