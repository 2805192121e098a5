"""A limit of connections shared out among the members of a cluster, so that it is never passed while they change."""

from collections.abc import Iterator, Sequence

__all__ = ["Shares"]


class Shares:
    """Say how many connections of a lane each member may have in flight, and when.

    A member may get more only when others have confirmed that they have less: what it was told, and what it still has
    in flight, count until then. Used on one thread only.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._targets: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._held: dict[str, int] = {}  # at most so many are in flight there

    def aim(self, members: Sequence[str]) -> None:
        """Share out anew, among these; members that are not among them keep what they have until they confirm."""
        number = len(members)
        self._targets = {
            member: self.total // number + (place < self.total % number) for place, member in enumerate(members)
        }

    def of(self, member: str) -> int:
        """Return how many the member was told it may have."""
        return self._told.get(member, 0)

    def held(self) -> int:
        """Return how many may be in flight in all."""
        return sum(self._held.values())

    def due(self) -> Iterator[tuple[str, int]]:
        """Yield what members are to be told now; each is noted as told."""
        for member, told in list(self._told.items()):
            target = self._targets.get(member, 0)
            if target < told:
                self._told[member] = target
                yield member, target
        for member, target in self._targets.items():
            told = self._told.get(member, 0)
            room = self.total - self.held()
            most = min(target, self._held.get(member, 0) + room)
            if most > told:
                self._told[member] = most
                self._held[member] = max(self._held.get(member, 0), most)
                yield member, most

    def confirm(self, member: str, places: int, in_flight: int) -> None:
        """Note that a member knows of so many, and has so many in flight."""
        if member in self._held and places == self._told.get(member):
            self._held[member] = max(places, in_flight)
            if not self._held[member] and member not in self._targets:
                self.drop(member)

    def drop(self, member: str) -> None:
        """Note that a member has surely ended all that it did."""
        for table in (self._targets, self._told, self._held):
            table.pop(member, None)
