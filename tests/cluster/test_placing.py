"""Which member a host belongs to, and what becomes of it when members change."""

from workerpool.cluster.placing import Placing, leaders, owner

HOSTS = [f"host-{number}.example:443" for number in range(2000)]


def test_hosts_are_spread_evenly():
    """Of four members each has about a quarter."""
    counts = [sum(owner(host, "abcd") == member for host in HOSTS) for member in "abcd"]
    assert all(400 < count < 600 for count in counts)


def test_few_hosts_move_when_a_member_leaves():
    """Those that it had, and no others."""
    moved = [host for host in HOSTS if owner(host, "abcd") != owner(host, "abc")]
    assert all(owner(host, "abcd") == "d" for host in moved)


def test_the_order_of_members_does_not_matter():
    """Each client comes to the same."""
    assert [owner(host, "abc") for host in HOSTS] == [owner(host, "cab") for host in HOSTS]
    assert leaders("lane", "abcd", 2) == leaders("lane", "dcba", 2)


def test_a_host_that_moved_rests():
    """From when the one before has ended; a host that has stayed does not rest."""
    placing = Placing()
    placing.change(["a", "b"], 10.0)
    assert {0.0} == {placing.not_before(host, 5.0) for host in HOSTS}
    placing.change(["a", "b", "c"], 20.0)
    for host in HOSTS:
        assert (25.0 if placing.owner(host) == "c" else 0.0) == placing.not_before(host, 5.0)


def test_the_last_move_counts():
    """A host that moved away and back rests after the second move."""
    placing = Placing()
    for at, members in enumerate(["ab", "abc", "ab"]):
        placing.change(members, float(at))
    moved = [host for host in HOSTS if owner(host, "abc") == "c"]
    assert {12.0} == {placing.not_before(host, 10.0) for host in moved}


def test_without_members_there_is_no_owner():
    """And nothing fails."""
    assert Placing().owner("host") is None
