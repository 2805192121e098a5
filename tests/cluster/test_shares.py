"""A limit shared out among members that come and go."""

import random

import pytest

from workerpool.cluster.shares import Shares


def told(shares):
    return dict(shares.due())


def test_all_of_it_is_shared_out():
    """A remainder goes to the first ones."""
    shares = Shares(5)
    shares.aim(["a", "b"])
    assert {"a": 3, "b": 2} == told(shares)


def test_nobody_gets_more_before_others_have_less():
    """A member that joins waits until one has confirmed that it has let go."""
    shares = Shares(4)
    shares.aim(["a"])
    assert {"a": 4} == told(shares)
    shares.confirm("a", 4, 4)
    shares.aim(["a", "b"])
    assert {"a": 2} == told(shares)
    shares.confirm("a", 2, 3)  # one more than it may have is still in flight
    assert {"b": 1} == told(shares)
    shares.confirm("a", 2, 2)
    assert {"b": 2} == told(shares)


def test_what_a_dead_member_had_is_shared_out_when_it_is_dropped():
    """And not before: it may still have it in flight."""
    shares = Shares(4)
    shares.aim(["a", "b"])
    told(shares)
    shares.aim(["b"])
    assert {"a": 0} == told(shares)
    shares.drop("a")
    assert {"b": 4} == told(shares)


def test_an_old_confirmation_does_not_count():
    """A member that confirms what it was told before may still go by that."""
    shares = Shares(4)
    shares.aim(["a"])
    told(shares)
    shares.aim(["a", "b"])
    told(shares)
    shares.confirm("a", 4, 0)
    assert {} == told(shares)


@pytest.mark.parametrize("seed", range(20))
def test_the_limit_is_never_passed(seed):
    """Whatever comes in which order: what members may have in flight at once is never more than all."""
    chance, shares = random.Random(seed), Shares(10)
    knows: dict[str, int] = {}  # what each goes by
    flying: dict[str, int] = {}
    sent: list[tuple[str, int]] = []
    for _ in range(2000):
        step = chance.choice(["aim", "deliver", "deliver", "start", "start", "end", "confirm", "die"])
        members = sorted(knows)
        if step == "aim":
            members = chance.sample(["a", "b", "c", "d"], chance.randint(1, 4))
            for each in members:
                knows.setdefault(each, 0), flying.setdefault(each, 0)
            shares.aim(members)
        elif step == "deliver" and sent:
            member, places = sent.pop(0)
            if member in knows:
                knows[member] = places
        elif members:
            member = chance.choice(members)
            if step == "start" and flying[member] < knows[member]:
                flying[member] += 1
            elif step == "end" and flying[member]:
                flying[member] -= 1
            elif step == "confirm":
                shares.confirm(member, knows[member], flying[member])
            elif step == "die" and len(members) > 1:
                del knows[member], flying[member]
                sent = [each for each in sent if each[0] != member]
                shares.drop(member)
        sent += shares.due()
        assert sum(flying.values()) <= 10
